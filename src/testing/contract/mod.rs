//! Checks that any implementation of a trait of this crate must pass.
//!
//! Call them from a test of your own implementation. Each function panics with the requirement that
//! is not met.

mod processed_events;
mod rate_limit;
mod token_store;

pub use processed_events::processed_events;
pub use rate_limit::rate_limit;
pub use token_store::token_store;
