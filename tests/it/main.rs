//! The one integration binary.
#![allow(
    clippy::unwrap_used,
    reason = "a test that can't go on says so by panicking"
)]

mod auth;
mod compare;
mod encryption;
mod ids;
mod json_schema;
mod processes;
mod query;
mod round_trip;
mod sqlite;
mod store;
mod surface;
mod tolerance;
mod wire;
