//! Webhooks in axum 0.8 (feature `axum`): a ready handler, and an extractor.
//!
//! The ready handler checks, hands each event over, and answers:
//!
//! ```
//! use axum::Router;
//! use fullscript::webhook::{Event, Receiver, axum::receive};
//!
//! /// Puts the event where it survives a crash.
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
//! For a handler of your own, [`Delivery`] is an extractor that refuses what is
//! not the vendor's before the handler runs. It takes the receiver from the
//! state: from `Arc<Receiver>`, or from a state that it is had of by
//! `FromRef`. [`Reply`] and [`WebhookError`] are responses.
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
//! Both read the body with axum's own limit, 2 MB unless a `DefaultBodyLimit`
//! says otherwise, and then hold it to the receiver's. The time is the
//! machine's; where it must be another, call [`Receiver::receive`].

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
use super::http::answer;
use super::receiver::{Delivery, Receiver};
use super::reply::Reply;

/// Makes the route of a webhook: each event that is surely the vendor's goes
/// to the handler, perhaps more than once, and the answer follows.
///
/// A handler that fails is answered with 503, so that the vendor delivers the
/// event again; its error is dropped unread, so log it before. Pings and
/// refused deliveries never come to the handler.
///
/// The vendor hangs up after about two seconds, and the handler is dropped then
/// wherever it is: put the event into a queue here, and work elsewhere.
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

/// Takes the receiver from the state.
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

/// A request that is no delivery of the vendor's; answers with the right
/// status.
#[derive(Debug)]
pub struct Rejection(Kind);

#[derive(Debug)]
enum Kind {
    Unread(BytesRejection),
    Refused(WebhookError),
}

impl Rejection {
    /// Why the delivery was refused, if its body could be read.
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
            Kind::Unread(_) => "the body of a delivery could not be read",
            Kind::Refused(_) => "a delivery was refused",
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
    reason = "an extractor has nobody to ask, and the clock of `auth` is not in every build"
)]
fn now() -> SystemTime {
    SystemTime::now()
}
