//! Webhooks in axum 0.8 (feature `axum`): a ready handler, and an extractor.
//!
//! [`receive`] returns a handler that verifies deliveries, passes each event to a function, and
//! replies:
//!
//! ```
//! use axum::Router;
//! use fullscript::webhook::{Event, Receiver, axum::receive};
//!
//! /// Stores the event durably.
//! async fn enqueue(event: Event) -> std::io::Result<()> {
//!     # drop(event);
//!     Ok(())
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let receiver = Receiver::new("the signature secret key", "the challenge token")?;
//! let app: Router = Router::new().route("/webhooks", receive(receiver, enqueue));
//! # drop(app);
//! # Ok(())
//! # }
//! ```
//!
//! In a custom handler, use the extractor [`Delivery`], which rejects invalid deliveries before the
//! handler runs. It takes the receiver from the state: from `Arc<Receiver>`, or from a state that
//! implements `FromRef` for it. [`Reply`] and [`WebhookError`] implement `IntoResponse`.
//!
//! ```
//! use std::sync::Arc;
//!
//! use axum::{Router, extract::FromRef, routing::post};
//! use fullscript::webhook::{Delivery, Receiver, Reply};
//!
//! #[derive(Clone)]
//! struct App {
//!     receiver: Arc<Receiver>,
//! }
//!
//! impl FromRef<App> for Arc<Receiver> {
//!     fn from_ref(app: &App) -> Self {
//!         app.receiver.clone()
//!     }
//! }
//!
//! async fn webhook(delivery: Delivery) -> Reply {
//!     if let Some(event) = delivery.event() {
//!         println!("{event:?}");
//!     }
//!     delivery.reply().clone()
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let receiver = Receiver::new("the signature secret key", "the challenge token")?;
//! let app = App { receiver: Arc::new(receiver) };
//! let routes: Router = Router::new().route("/webhooks", post(webhook)).with_state(app);
//! # drop(routes);
//! # Ok(())
//! # }
//! ```
//!
//! Both apply axum's own body limit (2 MB unless a `DefaultBodyLimit` sets another) and then the
//! receiver's limit. Both read the system clock; to use another clock, call [`Receiver::receive`].

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::SystemTime;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRef, FromRequest, Request};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, post};

use super::error::WebhookError;
use super::event::Event;
use super::event_log::EventLog;
use super::http::{answer, answer_once};
use super::receiver::{Delivery, Receiver};
use super::reply::Reply;

/// Returns the route of a webhook, which passes each verified event to `handler` and then replies.
///
/// An event may be delivered more than once.
///
/// If the handler fails, the response has status 503, so that Fullscript delivers the event again.
/// The handler's error is dropped, so log it in the handler. Pings and rejected deliveries do not
/// reach the handler.
///
/// Fullscript closes the connection after about two seconds, and the handler's future is dropped at
/// that point. Only enqueue the event here and process it elsewhere.
pub fn receive<S, H, F, E>(receiver: impl Into<Arc<Receiver>>, handler: H) -> MethodRouter<S>
where
    S: Clone + Send + Sync + 'static,
    H: Fn(Event) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<(), E>> + Send,
    E: Send,
{
    let receiver = receiver.into();
    post(async move |headers: HeaderMap, body: Bytes| -> Response {
        answer(&receiver, &headers, &body, now(), handler).await
    })
}

/// Returns the route of a webhook, which passes each event to `handler` once and then replies.
///
/// Like [`receive`] with [`process_once`](super::process_once): claims the event in the event log,
/// calls the handler, and acknowledges the event. An event that was processed before gets the
/// reply without a call of the handler. If the handler or the event log fails, or another process
/// has the claim, the response has status 503, so that Fullscript delivers the event again.
///
/// ```
/// use axum::Router;
/// use fullscript::webhook::{Event, MemoryEventLog, Receiver, axum::receive_once};
///
/// /// Writes to the application's own database.
/// async fn process(event: Event) -> std::io::Result<()> {
///     # drop(event);
///     Ok(())
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let receiver = Receiver::new("the signature secret key", "the challenge token")?;
/// let event_log = MemoryEventLog::new(); // durable: `SqliteStore::event_log`
/// let app: Router = Router::new().route("/webhooks", receive_once(receiver, event_log, process));
/// # drop(app);
/// # Ok(())
/// # }
/// ```
pub fn receive_once<S, L, H, F, E>(
    receiver: impl Into<Arc<Receiver>>,
    event_log: L,
    handler: H,
) -> MethodRouter<S>
where
    S: Clone + Send + Sync + 'static,
    L: EventLog,
    H: Fn(Event) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<(), E>> + Send,
    E: Send,
{
    let (receiver, event_log) = (receiver.into(), Arc::new(event_log));
    post(async move |headers: HeaderMap, body: Bytes| -> Response {
        answer_once(&receiver, &*event_log, &headers, &body, now(), handler).await
    })
}

/// Verifies the request with the receiver from the state.
impl<S> FromRequest<S> for Delivery
where
    Arc<Receiver>: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Rejection;

    async fn from_request(request: Request, state: &S) -> Result<Self, Rejection> {
        let headers = request.headers().clone();
        let body = Bytes::from_request(request, state)
            .await
            .map_err(|unread| Rejection(Kind::Unread(unread)))?;
        Arc::<Receiver>::from_ref(state)
            .receive(&headers, &body, now())
            .map_err(|refused| Rejection(Kind::Refused(refused)))
    }
}

/// A request that is not a valid delivery; converts to a response with the matching status.
#[derive(Debug)]
pub struct Rejection(Kind);

#[derive(Debug)]
enum Kind {
    Unread(BytesRejection),
    Refused(WebhookError),
}

impl Rejection {
    /// Returns why the delivery was rejected, or `None` if its body could not be read.
    #[must_use]
    pub fn refused(&self) -> Option<WebhookError> {
        match self.0 {
            Kind::Unread(_) => None,
            Kind::Refused(error) => Some(error),
        }
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Kind::Unread(_) => "webhook delivery: failed to read the body",
            Kind::Refused(_) => "webhook delivery: rejected",
        })
    }
}

impl std::error::Error for Rejection {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.0 {
            Kind::Unread(error) => Some(error),
            Kind::Refused(error) => Some(error),
        }
    }
}

impl IntoResponse for Rejection {
    fn into_response(self) -> Response {
        match self.0 {
            Kind::Unread(unread) => unread.into_response(),
            Kind::Refused(refused) => refused.into_response(),
        }
    }
}

impl IntoResponse for WebhookError {
    fn into_response(self) -> Response {
        self.into()
    }
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        (&self).into()
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "an extractor takes no clock, and `crate::clock` is not in every build"
)]
fn now() -> SystemTime {
    SystemTime::now()
}
