//! Scalar values as the API really sends them.
//!
//! The server is not consistent about how it spells a value: money arrives as
//! `"19.99"`, `19.99` or `""`, a flag as `true`, `1` or `"true"`, an instant
//! as ISO 8601 or as a Unix time. The types here keep what came:
//!
//! - decoding never fails because of how a value is spelled, only because it
//!   is no scalar at all (an array, an object, or `null` outside an `Option`);
//! - serializing writes back what was received, in the same JSON kind;
//! - a value made by the caller is checked first, and is written as text,
//!   which is what the API documents for requests;
//! - reading the meaning ([`Decimal::value`], [`Flag::value`],
//!   [`Timestamp::instant`], [`Date::date`]) is a separate step that answers
//!   `None` for nonsense.
//!
//! Decoding asks the format what it holds, so it works with self-describing
//! formats such as JSON only.

pub(crate) mod id;
pub(crate) mod lenient;
pub(crate) mod open_enum;
pub(crate) mod scalar;

mod decimal;
mod flag;
mod or_empty;
mod refusal;
mod secret;
mod time;
mod update;

pub use decimal::{Decimal, InvalidDecimal};
pub use flag::{Flag, InvalidFlag};
pub use or_empty::OrEmpty;
pub use secret::Secret;
pub use time::{Date, InvalidDate, InvalidTimestamp, Timestamp};
pub use update::Update;

/// Stands for a value that `Debug` of a model does not show.
pub(crate) struct Hidden;

impl std::fmt::Debug for Hidden {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("..")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_send_and_sync() {
        fn check<T: Send + Sync + 'static>() {}
        check::<Decimal>();
        check::<Flag>();
        check::<Timestamp>();
        check::<Date>();
        check::<Secret>();
        check::<InvalidDecimal>();
        check::<InvalidFlag>();
        check::<InvalidTimestamp>();
        check::<InvalidDate>();
        check::<Update<Date>>();
    }
}
