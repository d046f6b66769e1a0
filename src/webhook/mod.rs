//! Webhooks: check what was delivered, answer it, handle each event once.
//!
//! Works without the client (`default-features = false`) and on
//! `wasm32-unknown-unknown`: nothing here opens a connection or asks for the
//! time.
//!
//! ```
//! use fullscript::webhook::{Delivery, Receiver, WebhookError};
//!
//! # fn enqueue(_: &fullscript::webhook::Event) {}
//! /// What an HTTP handler does: a status, a content type and a body.
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
//! let (status, _, answer) = handle(&receiver, headers, body, now);
//! assert_eq!((status, answer.as_str()), (200, r#"{"challenge":"the challenge token"}"#));
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! # Answer first
//!
//! A delivery counts only if it is answered with 200 or 201 and the challenge,
//! and the vendor waits for about two seconds; what takes longer is delivered
//! again. So put the event where it survives a crash (a table, a queue), send
//! [`Delivery::reply`], and handle the event afterwards. Tries are six, the
//! gaps between them 1, 5, 30 and 60 minutes and 5 hours; what was missed by
//! then a `fullscript::replay` finds for thirty days, through the Events API.
//!
//! [`Receiver::receive`] must see the body as it came. A framework that parses
//! JSON and writes it again breaks every signature.
//!
//! # Once each
//!
//! The vendor delivers at least once and in no certain order. [`EventLog`] says of
//! each event whether it was handled, across restarts and processes, and
//! whether one that is newer came before it.
//!
//! # Replace a secret
//!
//! [`Receiver::additional_secret`] accepts a second secret. Deploy the new one
//! beside the old, replace it in the dashboard, and take the old one out a day
//! later, when the last retry is over.
//!
//! # What is known and what is inferred
//!
//! Documented: the header and its message, the challenge and its reply, the
//! tries, the events and most of their fields. Inferred, and so made that being
//! wrong does not hurt:
//!
//! - Whether the body is `{"event": ..}` or `{"event_payload": {"event": ..}}`:
//!   the pages disagree, so both are read, and a bare event too.
//! - Whether an empty body still comes ahead of each event, and whether it is
//!   signed: it is answered without looking at its signature. Thus whoever can
//!   reach the address can learn the challenge token. It proves to the vendor
//!   that the address is yours and nothing to you: trust in an event rests on
//!   the signature alone.
//! - Several signatures, unknown keys and several headers: all are looked at,
//!   and one that fits suffices.
//! - Whether a retry is signed anew: if it is not, the later ones are refused as
//!   stale, and a longer [`Receiver::tolerance`] lets them through.

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
mod receiver;
mod reply;
mod signature;
mod view;

#[cfg(feature = "client")]
pub(crate) use event_log::AGE as DEFAULT_AGE;

pub use data::{
    BrandData, DosageData, EventData, LabOrderData, LabRecommendationData, LabTestData,
    LineItemData, OrderData, PatientData, PatientReferenceData, PractitionerReferenceData,
    ProductData, RecommendationData, ResourceData, TreatmentPlanData, VariantData,
};
pub use error::{UnusableSecret, WebhookError};
pub use event::Event;
pub use event_log::{
    Claim, EventKey, EventLog, EventLogError, EventLogFuture, Grant, MemoryEventLog,
};
pub use receiver::{Delivery, Receiver};
pub use reply::Reply;
pub use signature::{SIGNATURE_HEADER, sign};
