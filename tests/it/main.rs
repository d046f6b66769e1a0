//! The one integration binary.
#![allow(
    clippy::unwrap_used,
    reason = "a test that can't go on says so by panicking"
)]

mod auth;
mod calls;
mod compare;
mod ids;
mod json_schema;
mod query;
mod refresh;
mod round_trip;
mod support;
mod surface;
mod token_endpoint;
mod tolerance;
mod wire;
