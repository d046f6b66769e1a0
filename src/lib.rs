#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "client")]
pub mod auth;
#[cfg(feature = "client")]
mod call;
#[cfg(feature = "client")]
mod calls;
#[cfg(feature = "client")]
mod client;
#[cfg(feature = "client")]
mod connection;
#[cfg(feature = "client")]
mod download;
pub mod embed;
#[cfg(feature = "client")]
mod ending;
mod environment;
#[cfg(feature = "client")]
mod error;
mod generated;
#[cfg(feature = "client")]
mod hooks;
#[cfg(feature = "client")]
mod limit;
pub mod operations;
#[cfg(feature = "client")]
mod options;
#[cfg(feature = "client")]
mod page;
#[cfg(feature = "client")]
pub mod replay;
#[cfg(feature = "client")]
mod request;
#[cfg(feature = "client")]
mod response;
#[cfg(feature = "client")]
mod retry;
#[cfg(feature = "client")]
mod retry_after;
#[cfg(feature = "client")]
mod span;
#[cfg(feature = "testing")]
pub mod testing;
mod text;
mod treatment_plan;
pub mod value;
pub mod webhook;

#[cfg(feature = "client")]
pub use auth::AccessToken;
#[cfg(feature = "client")]
pub use calls::CallReport;
#[cfg(feature = "client")]
pub use client::{BuildError, ClientBuilder};
#[cfg(feature = "client")]
pub use download::{Download, File};
pub use environment::Environment;
#[cfg(feature = "client")]
pub use error::Error;
#[cfg(feature = "client")]
pub use generated::client::{Client, builder};
pub use generated::types;
#[cfg(feature = "client")]
pub use limit::RateLimit;
#[cfg(feature = "client")]
pub use options::CallOptions;
#[cfg(feature = "client")]
pub use page::{Items, ListChanges, Page, PageMeta, Pages};
#[cfg(feature = "client")]
pub use request::RequestBuilder;
#[cfg(feature = "client")]
pub use response::{Bytes, Response};

/// The version of `http` whose methods, statuses and headers are used here.
#[cfg(feature = "http")]
pub use http;
