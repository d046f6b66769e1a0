//! A client for the Fullscript partner API: practitioners, patients, treatment plans, orders, labs
//! and webhooks.
//!
//! **Status**: built from a reconstructed spec, not yet run against the vendor's servers. The crate
//! is not affiliated with Fullscript and not endorsed by it.
//!
//! ```no_run
//! use fullscript::{AccessToken, Client, Environment};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let token = AccessToken::new(std::env::var("FULLSCRIPT_TOKEN")?);
//! let client = Client::builder(Environment::UsSandbox).access_token(token).build()?;
//!
//! let clinic = client.get_clinic().await?;
//! println!("{:?}", clinic.clinic.name);
//!
//! let mut patients = client.list_patients().items();
//! while let Some(patient) = patients.next().await {
//!     println!("{}", patient?.id);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! An access token lives for two hours. For users who connect their accounts, use
//! [`auth::OAuthApp`], whose tokens refresh automatically.
//!
//! # Guides
//!
//! The module [`guide`] has one guide for each task; its code is run as tests:
//!
//! - [Connect a user](guide::connect)
//! - [Token refresh and many users](guide::many_users)
//! - [Pagination](guide::lists)
//! - [Retries, timeouts and rate limits](guide::calls)
//! - [Patients, orders and catalog](guide::patients)
//! - [Treatment plans](guide::treatment_plans)
//! - [Labs](guide::labs)
//! - [Webhooks](guide::webhooks)
//! - [Embed and redirect](guide::embed)
//! - [Testing](guide::testing)
//! - [Multi-user jobs](guide::multi_user_jobs)
//! - [Production](guide::production)
//! - [Upgrading](guide::upgrading)
//! - [Errors](guide::errors)
//!
//! # Modules and main types
//!
//! | Item | Contents |
//! |---|---|
//! | [`Client`] | One method for each operation, listed by topic. A method returns a request builder: set its arguments, then send it with `.await` or `send()`; a list also has `items()` and `pages()`. |
//! | [`types`] | Models of requests and responses, typed ids, open enums. |
//! | [`auth`] | The OAuth flow of practitioners and staff, their tokens, and token stores. |
//! | [`Error`], [`ErrorKind`] | Why a call failed, and what to do. |
//! | [`CallOptions`], [`RateLimit`] | Timeouts, retries, idempotency keys, rate limits. |
//! | [`webhook`] | Webhook deliveries: verified, answered, decoded as events, deduplicated. Works without the client. |
//! | [`replay`] | Events that no webhook delivered. |
//! | [`sqlite`] | Tokens and processed events in an SQLite file. |
//! | [`embed`] | Fullscript embedded in a page. |
//! | [`operations`] | The table of operations: scopes, restrictions, pagination, sources. |
//! | [`value`] | Decimals, flags, timestamps, dates and secrets as the server sends them; [`value::OrEmpty`] reads optional text, and [`value::Update`] is a field of a partial update. |
//! | [`testing`] | A fake server for your tests. |
//! | [`builder`] | The request builders that the client's methods return. |
//!
//! # Behavior to know
//!
//! - **A treatment plan needs an explicit state.** The vendor activates a plan without a state and
//!   sends it to the patient. Use
//!   [`CreateTreatmentPlanRequest::draft`](types::CreateTreatmentPlanRequest::draft) or
//!   [`active`](types::CreateTreatmentPlanRequest::active).
//! - **Creating a patient sends a welcome e-mail** unless `send_welcome_email` is false; see
//!   [Patients, orders and catalog](guide::patients).
//! - **A few operations require commercial approval** by the vendor. Their documentation starts
//!   with that; the client does not block any call.
//! - **Responses are decoded leniently.** A number sent as text, a flag sent as `1`, a missing
//!   field, an unknown field or an unknown value does not fail the response. Nearly every field is
//!   an `Option`, because the vendor does not document which fields are always present.
//! - **`Debug` shows no health data.** For a model it shows the names of the fields, for an error
//!   its message. Serialize a model to see its values.
//! - **Ids are typed.** An id that is empty or leads to another path is refused when the request is
//!   sent.
//!
//! # Features
//!
//! | Feature | Default | What it adds |
//! |---|---|---|
//! | `client` | yes | The HTTP client. Without it: models, webhooks, the table of operations. |
//! | `rustls-ring` | yes | TLS by rustls with ring. Disable it to use another TLS provider. |
//! | `sqlite` | no | [`sqlite::SqliteStore`]. Needs a C compiler. |
//! | `http` | with `client` | [`webhook::http`]: webhooks for hyper, warp and axum. |
//! | `axum` | no | [`webhook::axum`]: webhooks as a route and an extractor. |
//! | `tracing` | no | A span for each call. |
//! | `schemars` | no | `JsonSchema` on every model. |
//! | `testing` | no | [`testing`]: the fake server. |
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(
    not(all(feature = "axum", feature = "sqlite", feature = "testing")),
    allow(
        rustdoc::broken_intra_doc_links,
        reason = "the guides and the front page link to items of optional features"
    )
)]

// In the order of the layers: a module uses only modules above it.

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

/// Compiles and runs the README's examples as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}

pub use clock::{Clock, SystemClock};
pub use environment::Environment;
/// The `http` crate, in the version whose types this crate uses.
#[cfg(feature = "http")]
pub use http;
/// The `reqwest` crate, in the version whose types this crate uses.
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
