//! The integration test binary.
#![allow(
    clippy::unwrap_used,
    reason = "a test that can't go on says so by panicking"
)]

mod api;
mod auth;
mod call;
mod conformance;
mod embed;
mod fake;
mod page;
mod replay;
mod secrets;
mod stores;
mod support;
mod tools;
mod value;
mod webhook;
