//! A client for the Fullscript partner API: connect practitioners, read their
//! patients, write treatment plans, and hear of orders and lab results.
//!
//! ```no_run
//! use fullscript::{AccessToken, Client, Environment};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let token = AccessToken::new(std::env::var("FULLSCRIPT_TOKEN")?);
//! let client = Client::builder(Environment::UsSandbox).access_token(token).build()?;
//! let mut patients = client.list_patients().items();
//! while let Some(patient) = patients.next().await {
//!     println!("{}", patient?.id);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! It is not affiliated with Fullscript, and not endorsed by it.
//!
//! # Guides
//!
//! [`guide`] has one for each task, with examples that are run as tests:
//! [connect a user](guide::connect),
//! [refresh and many users](guide::many_users),
//! [list and page](guide::lists),
//! [calls that hold](guide::calls),
//! [treatment plans, safely](guide::treatment_plans),
//! [labs](guide::labs),
//! [webhooks](guide::webhooks),
//! [embed](guide::embed),
//! [testing](guide::testing),
//! [updates](guide::updates),
//! [errors](guide::errors).
//!
//! # What is where
//!
//! | Item | Holds |
//! |---|---|
//! | [`Client`] | One method for each operation. It returns a builder that takes the arguments and ends in `send()`; that of a list also in `items()` and `pages()`. |
//! | [`types`] | Models of what is sent and answered, ids, and sets of values. |
//! | [`auth`] | The login of practitioners and staff, their tokens, and where these are kept. |
//! | [`Error`] | Why a call failed, and what to do. |
//! | [`CallOptions`], [`RateLimit`] | How long a call may take, what is tried again, how often one may call. |
//! | [`webhook`] | Deliveries: checked, answered, read as events, each handled once. Works without the client. |
//! | [`replay`] | Events that no webhook brought. |
//! | [`embed`] | What a page needs to show Fullscript. |
//! | [`operations`] | The table of operations: scopes, restrictions, pages, sources. |
//! | [`value`] | Money, flags, times and secrets as the server really sends them. |
//! | [`testing`] | A fake of the API for your tests. |
//! | [`builder`] | The builders that the client's methods return. |
//!
//! # Good to know
//!
//! - **A treatment plan's state is chosen, never left out**: without one the
//!   vendor makes a plan active and sends it to the patient. See
//!   [`CreateTreatmentPlanRequest::draft`](types::CreateTreatmentPlanRequest::draft).
//! - **A few operations are restricted** to partners whom the vendor approved.
//!   Their documentation begins with that; no call is held back for it.
//! - **Answers are decoded leniently.** A number sent as text, a flag sent as
//!   `1`, a missing or a new field, a new value of a set: none costs the
//!   record. Nearly every field is an `Option`, for the vendor does not say
//!   which are always there.
//! - **`Debug` shows no health data**: of a model the names of its fields, of
//!   an error its advice. Serialize a model to see all of it.
//! - **Ids are typed**, and one that would lead to another path is refused
//!   before anything is sent.
//!
//! # Features
//!
//! | Feature | Default | What it brings |
//! |---|---|---|
//! | `client` | yes | The HTTP client. Without it: models, webhooks, the table of operations. |
//! | `rustls-ring` | yes | TLS by rustls with ring; leave it off to bring another provider. |
//! | `sqlite` | no | [`sqlite::SqliteStore`]; takes a C compiler. |
//! | `http` | with `client` | [`webhook::http`]: webhooks for hyper, warp and axum. |
//! | `axum` | no | [`webhook::axum`]: webhooks as a route and an extractor. |
//! | `tracing` | no | A span for each call. |
//! | `schemars` | no | `JsonSchema` on every model. |
//! | `testing` | no | [`testing`]. |
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(
    not(all(feature = "axum", feature = "sqlite", feature = "testing")),
    allow(
        rustdoc::broken_intra_doc_links,
        reason = "the guides and the front page link to what features bring"
    )
)]

// In the order of the layers: a module uses those above it, never those below.

pub mod types;

mod clock;
pub mod embed;
mod environment;
pub mod operations;
mod text;
mod treatment_plan;
pub mod value;
pub mod webhook;

#[cfg(feature = "client")]
mod transport;

#[cfg(feature = "client")]
pub mod auth;

#[cfg(feature = "client")]
mod error;

#[cfg(feature = "client")]
mod call;

#[cfg(feature = "client")]
mod client;

#[cfg(feature = "sqlite")]
pub mod sqlite;

#[cfg(feature = "client")]
pub mod replay;

#[cfg(feature = "testing")]
pub mod testing;

#[cfg(all(feature = "client", any(doc, doctest)))]
pub mod guide;

/// Holds the README's examples to what compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}

pub use clock::{Clock, SystemClock};
pub use environment::Environment;
/// The version of `http` whose methods, statuses and headers are used here.
#[cfg(feature = "http")]
pub use http;
/// The version of `reqwest` whose client, proxy and body types are used here.
#[cfg(feature = "client")]
pub use reqwest;

#[cfg(feature = "client")]
mod exports {
    #[doc(inline)]
    pub use crate::auth::AccessToken;
    pub use crate::call::response::{ByteStream, Response};
    pub use crate::client::{
        Client, ClientBuilder, Download, DownloadedFile, Items, ListChanges, Page, PageMeta, Pages,
        RequestBuilder, builder,
    };
    pub use crate::error::{Error, ErrorKind};
    pub use crate::transport::{BuildError, CallOptions, CallReport, RateLimit};
}
#[cfg(feature = "client")]
pub use exports::*;
