#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "client")]
pub mod auth;
#[cfg(feature = "client")]
mod client;
mod environment;
#[cfg(feature = "client")]
mod error;
mod generated;
#[cfg(feature = "client")]
mod hooks;
#[cfg(feature = "client")]
#[cfg_attr(
    not(test),
    expect(dead_code, reason = "calls do not wait for their turn yet")
)]
mod limit;
pub mod operations;
#[cfg(feature = "client")]
mod response;
#[cfg(feature = "client")]
mod retry_after;
#[cfg(feature = "testing")]
pub mod testing;
mod treatment_plan;
pub mod value;

#[cfg(feature = "client")]
pub use auth::AccessToken;
#[cfg(feature = "client")]
pub use client::{BuildError, ClientBuilder};
pub use environment::Environment;
#[cfg(feature = "client")]
pub use error::Error;
#[cfg(feature = "client")]
pub use generated::client::{Client, builder};
pub use generated::types;
#[cfg(feature = "client")]
pub use limit::RateLimit;
#[cfg(feature = "client")]
pub use response::{Bytes, Response};
