//! The one integration binary.
#![allow(
    clippy::unwrap_used,
    reason = "a test that can't go on says so by panicking"
)]

mod auth;
mod calls;
mod compare;
mod dependencies;
mod download;
mod embed;
mod encryption;
mod fake;
mod ids;
mod json_schema;
mod pages;
mod processes;
mod query;
mod refresh;
mod replay;
mod round_trip;
mod secrets;
mod spans;
mod sqlite;
mod store;
mod support;
mod surface;
mod token_endpoint;
mod tolerance;
mod webhook;
mod webhook_adapters;
mod wire;
