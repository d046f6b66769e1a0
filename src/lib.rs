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
//! An access token is valid for two hours. For users who connect their accounts, use
//! [`auth::OAuthApp`], which refreshes tokens automatically.
//!
//! # Guides
//!
//! The module [`guide`] has one guide for each task. The code in the guides is run as tests; most
//! of it uses the fake server of the feature `testing`.
//!
//! - [Connect a user](guide::connect)
//! - [Token refresh and many users](guide::many_users)
//! - [Move from your own token table](guide::import)
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
//! - [Many machines](guide::fleet)
//! - [Upgrading](guide::upgrading)
//! - [Errors](guide::errors)
//!
//! In this documentation, "documented" means that the vendor's documentation states it, and "third
//! parties" are public projects that use the API. Neither was verified against the vendor's
//! servers.
//!
//! # Modules and main types
//!
//! | Item | Contents |
//! |---|---|
//! | [`Client`] | One method for each operation, listed by topic. A method returns a request builder: set its arguments, then send it with `.await` or `send()`. The builder of a list also has `items()` and `pages()`. |
//! | [`types`] | Models of requests and responses, typed ids, open enums. |
//! | [`auth`] | The OAuth flow of practitioners and staff, their tokens, and token stores. |
//! | [`Error`], [`ErrorKind`] | The reason why a call failed, and what to do. |
//! | [`CallOptions`], [`RateLimit`] | Timeouts, retries, idempotency keys, rate limits. |
//! | [`webhook`] | Receiving webhook deliveries: signature, challenge, decoding, deduplication. Works without the feature `client`. |
//! | [`replay`] | Replay of events that no webhook delivered. |
//! | [`sqlite`] | A store of tokens and processed events in an SQLite file, for one machine. |
//! | [`postgres`] | A store of tokens, processed events and a shared rate limit in a PostgreSQL database, for many machines. |
//! | [`encryption`] | Encryption of tokens at rest, over any token store. |
//! | [`embed`] | The HTML that embeds Fullscript in your page. |
//! | [`operations`] | The table of operations: scopes, commercial approval, pagination, source of each fact. |
//! | [`value`] | Decimals, flags, timestamps, dates and secrets. Each keeps its value exactly as the server sent it. [`value::OrEmpty`] reads optional text; [`value::Update`] is a field of a partial update. |
//! | [`tools`] | Operations as tools of a language model, and calls by name. |
//! | [`testing`] | A fake server for your tests. |
//! | [`builder`] | The request builders that the client's methods return. |
//!
//! # Behavior to know
//!
//! - **A treatment plan needs an explicit state.** If a plan is created without a state, the vendor
//!   activates it and sends it to the patient (documented). Use
//!   [`CreateTreatmentPlanRequest::draft`](types::CreateTreatmentPlanRequest::draft) or
//!   [`active`](types::CreateTreatmentPlanRequest::active).
//! - **Creating a patient sends a welcome e-mail to the patient** unless you set
//!   `send_welcome_email(false)`, also in the sandbox; see
//!   [Patients, orders and catalog](guide::patients).
//! - **Six operations require commercial approval** by the vendor. The documentation of each says
//!   so. The client does not block any call.
//! - **Responses are decoded leniently.** A number sent as text, a flag sent as `1`, a missing
//!   field, an unknown field or an unknown value does not cause an error. Nearly every field is an
//!   `Option`, because the vendor does not document which fields are always present.
//! - **`Debug` output contains no health data.** The output of a model contains ids that look opaque
//!   and the names of the other fields, and the output of an error contains its message. Serialize a
//!   model to see its values; in tests, use [`testing::Expose`].
//! - **Ids are typed.** If an id is empty or would change the path (such as `..`), the call fails
//!   with [`ErrorKind::InvalidRequest`], and nothing is sent.
//!
//! # Features
//!
//! | Feature | Default | What it adds |
//! |---|---|---|
//! | `client` | yes | The HTTP client. Without it: models, webhooks, the table of operations. |
//! | `rustls-ring` | yes | TLS by rustls with ring. Needs a C compiler. Disable it to use another TLS provider. |
//! | `encryption` | no | [`encryption::EncryptedStore`]. |
//! | `sqlite` | no | [`sqlite::SqliteStore`]. Needs a C compiler. |
//! | `postgres` | no | [`postgres::PostgresStore`]. |
//! | `http` | with `client` | [`webhook::http`]: webhooks for hyper, warp and axum. |
//! | `axum` | no | [`webhook::axum`]: webhooks as a route and an extractor. |
//! | `tracing` | no | A span for each call, and log events about failures. |
//! | `schemars` | no | `JsonSchema` on every model. |
//! | `tools` | no | [`tools`]: tool definitions and calls by name for language models. |
//! | `testing` | no | [`testing`]: the fake server. |
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(
    not(all(
        feature = "axum",
        feature = "encryption",
        feature = "postgres",
        feature = "sqlite",
        feature = "testing",
        feature = "tools"
    )),
    allow(
        rustdoc::broken_intra_doc_links,
        reason = "the guides and the front page link to items of optional features"
    )
)]

// In the order of the layers: a module uses only modules above it.

pub mod types;

mod clock;
mod environment;
mod lock;
pub mod operations;
mod text;
mod treatment_plan;
pub mod value;
pub mod webhook;

pub mod embed;

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

#[cfg(feature = "encryption")]
pub mod encryption;

#[cfg(feature = "client")]
mod fetch;

#[cfg(feature = "postgres")]
pub mod postgres;

#[cfg(feature = "sqlite")]
pub mod sqlite;

#[cfg(feature = "client")]
pub mod replay;

#[cfg(feature = "tools")]
pub mod tools;

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
pub use fetch::Fetch;

#[cfg(feature = "client")]
mod exports {
    #[doc(inline)]
    pub use crate::auth::AccessToken;
    pub use crate::call::response::{ByteStream, Response};
    pub use crate::client::{
        Client, ClientBuilder, CollectError, Download, DownloadedFile, Items, ListChanges, Page,
        PageMeta, Pages, RecordJson, RequestBuilder, builder,
    };
    pub use crate::error::{Error, ErrorKind};
    pub use crate::transport::{
        BuildError, CallOptions, CallOutcome, CallReport, DriftKind, DriftReport, RateLimit,
        shared_limit,
    };
}
#[cfg(feature = "client")]
pub use exports::*;
