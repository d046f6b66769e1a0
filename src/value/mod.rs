//! Scalar values as the API sends them in practice.
//!
//! The server is not consistent in how it encodes a value: money arrives as `"19.99"`, `19.99` or
//! `""`, a flag as `true`, `1` or `"true"`, an instant as ISO 8601 or as a Unix time. The types of
//! this module keep the value as it was received:
//!
//! - Decoding fails only if the value is not a scalar (an array, an object, or `null` outside an
//!   `Option`), never because of how it is encoded.
//! - Serializing writes the received value, with the same JSON type.
//! - A value created by the caller is validated first and is written as a string, which the API
//!   documents for requests.
//! - Interpreting the value ([`Decimal::value`], [`Flag::value`], [`Timestamp::instant`],
//!   [`Date::date`]) is a separate step that returns `None` for an invalid value.
//!
//! Decoding requires a self-describing format such as JSON.

pub(crate) mod id;
pub(crate) mod json;
pub(crate) mod lenient;
pub(crate) mod object;
pub(crate) mod open_enum;
pub(crate) mod scalar;
#[cfg(feature = "client")]
pub(crate) mod shape;

mod decimal;
mod flag;
mod issue;
mod or_empty;
mod refusal;
mod secret;
mod time;
#[cfg(feature = "client")]
mod unreadable;
mod update;

pub use decimal::{Decimal, InvalidDecimal};
pub use flag::{Flag, InvalidFlag};
pub use issue::{DecodeIssue, DecodeIssueKind};
pub use or_empty::OrEmpty;
pub use secret::Secret;
pub use time::{Date, InvalidDate, InvalidTimestamp, Timestamp};
#[cfg(feature = "client")]
pub use unreadable::UnreadableRecord;
pub use update::Update;

/// Placeholder for a value that `Debug` does not show.
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
