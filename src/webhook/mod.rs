//! Receives webhooks: verifies deliveries, replies to them, and deduplicates events.
//!
//! Works without the client (`default-features = false`) and on `wasm32-unknown-unknown`: this
//! module opens no connection and reads no clock.
//!
//! ```
//! use fullscript::webhook::{Delivery, Receiver, WebhookError};
//!
//! # fn enqueue(_: &fullscript::webhook::Event) {}
//! /// Handles a request: returns a status, a content type and a body.
//! fn handle<'h>(
//!     receiver: &Receiver,
//!     headers: impl IntoIterator<Item = (&'h str, &'h [u8])>,
//!     body: &[u8],
//!     now: std::time::SystemTime,
//! ) -> (u16, &'static str, String) {
//!     match receiver.receive(headers, body, now) {
//!         Ok(delivery) => {
//!             if let Some(event) = delivery.event() {
//!                 enqueue(event);
//!             }
//!             let reply = delivery.reply();
//!             (reply.status(), reply.content_type(), reply.body().to_owned())
//!         }
//!         Err(error) => (error.status(), "text/plain", error.to_string()),
//!     }
//! }
//!
//! let receiver = Receiver::new("the signature secret key", "the challenge token")?;
//! # let now = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_700_000_000);
//! let body = br#"{"event":{"id":"1","type":"patient.created","data":{}}}"#;
//! let header = fullscript::webhook::sign("the signature secret key", now, body);
//! let headers = [("Fullscript-Signature", header.as_bytes())];
//! let (status, _, response) = handle(&receiver, headers, body, now);
//! assert_eq!((status, response.as_str()), (200, r#"{"challenge":"the challenge token"}"#));
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! # Reply before processing
//!
//! Fullscript counts a delivery as successful only if the response has status 200 or 201 and
//! contains the challenge. It waits about two seconds for the response; a slower one is delivered
//! again. Therefore store the event durably (in a table or a queue), send [`Delivery::reply`], and
//! process the event afterwards.
//!
//! Fullscript makes six attempts; the gaps between them are 1, 5, 30 and 60 minutes and 5 hours.
//! Events that were missed after that can be recovered for thirty days with `fullscript::replay`,
//! through the Events API.
//!
//! [`Receiver::receive`] needs the body unchanged. A framework that parses JSON and serializes it
//! again breaks every signature.
//!
//! # Deduplication
//!
//! Fullscript delivers each event at least once and in no guaranteed order. An [`EventLog`]
//! records, across restarts and processes, which events were processed and whether a newer event
//! about the same object was claimed before.
//!
//! # Rotating the signing secret
//!
//! [`Receiver::additional_secret`] accepts a second signing secret. Deploy the new secret in
//! addition to the old one, replace it in the dashboard, and remove the old one a day later, after
//! the last retry.
//!
//! # Documented and inferred behavior
//!
//! Documented by Fullscript: the signature header and the signed message, the challenge and its
//! reply, the attempts, the events and most of their fields. The following is inferred, and the
//! code is safe if the inference is wrong:
//!
//! - Whether the body is `{"event": ..}` or `{"event_payload": {"event": ..}}`: Fullscript's pages
//!   disagree, so both are accepted, and an event without envelope too.
//! - Whether a delivery with an empty body still precedes each event, and whether it is signed: it
//!   gets a reply without a check of its signature. Therefore anyone who can reach the endpoint can
//!   learn the challenge token. The token proves to Fullscript that the endpoint is yours and
//!   proves nothing to you: trust in an event rests on the signature alone.
//! - Several signatures, unknown keys and several headers: all are examined, and one valid
//!   signature is enough.
//! - Whether a retry is signed again: if it is not, later retries are rejected as stale, and a
//!   longer [`Receiver::tolerance`] accepts them.

#![cfg_attr(
    feature = "client",
    doc = "\n# See also\n\nThe [guide to webhooks](crate::guide::webhooks), and [`replay`](crate::replay)."
)]

#[cfg(feature = "axum")]
pub mod axum;
mod data;
mod error;
mod event;
mod event_log;
#[cfg(feature = "http")]
pub mod http;
mod once;
mod receiver;
mod reply;
mod routes;
mod signature;
pub(crate) mod view;

#[cfg(feature = "client")]
pub(crate) use event_log::DEFAULT_AGE;

pub use data::{
    BrandData, DosageData, EventData, LabOrderData, LabOrderUpdated, LabRecommendationData,
    LabTestData, LineItemData, OrderData, OrderPlaced, PatientCreated, PatientData,
    PatientEmancipated, PatientReferenceData, PatientUpdated, PractitionerReferenceData,
    ProductCreated, ProductData, ProductDescriptionUpdated, ProductUpdated, RecommendationData,
    ResourceData, TreatmentPlanCreated, TreatmentPlanData, TreatmentPlanRecommendationUpdated,
    TreatmentPlanUpdated, VariantData,
};
pub use error::{UnusableSecret, WebhookError};
pub use event::Event;
pub use event_log::{
    Claim, EventKey, EventLog, EventLogError, EventLogFuture, Grant, MemoryEventLog,
};
pub use once::{NotProcessed, process_once};
pub use receiver::{Delivery, Receiver};
pub use reply::Reply;
pub use routes::{EventKind, Events, HandlerFuture, TypedEvent};
pub use signature::{SIGNATURE_HEADER, sign};
