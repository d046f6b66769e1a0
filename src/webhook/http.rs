//! Webhooks with requests and responses of the `http` crate, as used by hyper and most frameworks
//! (feature `http`).
//!
//! [`answer`] verifies a delivery, calls a handler and returns the response. Without it,
//! [`Receiver::receive`] accepts the `headers()` and the body of a request, and a [`Reply`] or a
//! [`WebhookError`] converts to a response:
//!
//! ```
//! use std::time::SystemTime;
//!
//! use fullscript::http::{Request, Response};
//! use fullscript::webhook::{Event, Receiver};
//!
//! fn handle(receiver: &Receiver, request: &Request<Vec<u8>>, now: SystemTime) -> Response<String> {
//!     match receiver.receive(request.headers(), request.body(), now) {
//!         Ok(delivery) => {
//!             delivery.event().map(enqueue);
//!             delivery.reply().into()
//!         }
//!         Err(error) => error.into(),
//!     }
//! }
//!
//! fn enqueue(event: &Event) { /* your queue or table */ }
//! # let now = SystemTime::UNIX_EPOCH;
//! # let receiver = Receiver::new("secret", "token").unwrap();
//! # assert_eq!(handle(&receiver, &Request::new(Vec::new()), now).status(), 200);
//! # assert_eq!(handle(&receiver, &Request::new(b"{}".to_vec()), now).status(), 401);
//! ```
//!
//! # warp 0.4
//!
//! The response of [`answer`] is a `warp::Reply`. This example and the next one were checked
//! manually, because neither framework is a dependency of the tests.
//!
//! ```text
//! use std::sync::Arc;
//! use std::time::SystemTime;
//!
//! use fullscript::webhook::{Event, Receiver, http::answer};
//! use warp::http::HeaderMap;
//! use warp::hyper::body::Bytes;
//! use warp::{Filter, Rejection, Reply};
//!
//! /// For `warp::serve`.
//! fn webhook(
//!     receiver: Arc<Receiver>,
//! ) -> impl Filter<Extract = (impl Reply,), Error = Rejection> + Clone {
//!     warp::path!("webhooks")
//!         .and(warp::post())
//!         .and(warp::header::headers_cloned())
//!         .and(warp::body::content_length_limit(1024 * 1024))
//!         .and(warp::body::bytes())
//!         .then(move |headers: HeaderMap, body: Bytes| {
//!             let receiver = Arc::clone(&receiver);
//!             async move {
//!                 let now = SystemTime::now();
//!                 answer::<String, _, _, _>(&receiver, &headers, &body, now, enqueue).await
//!             }
//!         })
//! }
//!
//! /// Stores the event durably.
//! async fn enqueue(event: Event) -> std::io::Result<()> {
//!     Ok(())
//! }
//! ```
//!
//! # actix-web 4 and other frameworks with `http` 0.2
//!
//! `receive` also accepts the headers of frameworks with an older `http` (such as warp 0.3). Build
//! the response yourself.
//!
//! ```text
//! use std::time::SystemTime;
//!
//! use actix_web::http::StatusCode;
//! use actix_web::web::{Bytes, Data};
//! use actix_web::{HttpRequest, HttpResponse};
//! use fullscript::webhook::{Event, Receiver};
//!
//! /// For `App::new().app_data(receiver).route("/webhooks", web::post().to(webhook))`,
//! /// where `receiver` is `Data::new(Receiver::new(..)?)`.
//! async fn webhook(receiver: Data<Receiver>, request: HttpRequest, body: Bytes) -> HttpResponse {
//!     let delivery = match receiver.receive(request.headers(), &body, SystemTime::now()) {
//!         Ok(delivery) => delivery,
//!         Err(error) => {
//!             let status = StatusCode::from_u16(error.status());
//!             let status = status.unwrap_or(StatusCode::UNAUTHORIZED);
//!             return HttpResponse::build(status).body(error.to_string());
//!         }
//!     };
//!     let reply = delivery.reply().clone();
//!     if let Some(event) = delivery.into_event()
//!         && enqueue(event).await.is_err()
//!     {
//!         return HttpResponse::ServiceUnavailable().finish();
//!     }
//!     HttpResponse::Ok()
//!         .content_type(reply.content_type())
//!         .body(reply.body().to_owned())
//! }
//!
//! /// Stores the event durably.
//! async fn enqueue(event: Event) -> std::io::Result<()> {
//!     Ok(())
//! }
//! ```

use std::future::Future;
use std::time::SystemTime;

use http::header::{CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Response, StatusCode};

use super::error::WebhookError;
use super::event::Event;
use super::event_log::EventLog;
use super::once::process_once;
use super::receiver::Receiver;
use super::reply::Reply;

/// Response body if the handler failed. The cause is not disclosed to the sender.
const UNHANDLED: &str = "failed to process the event; deliver it again";

/// Verifies a webhook delivery, passes its event to `handler`, and returns the response.
///
/// If the handler fails, the response has status 503, so that Fullscript delivers the event again.
/// The handler's error is dropped, so log it in the handler. Pings and rejected deliveries do not
/// reach the handler. The response body is any type that implements `From<String>`: `Full<Bytes>`,
/// `axum::body::Body`.
///
/// With hyper:
///
/// ```
/// use std::convert::Infallible;
/// use std::sync::Arc;
///
/// use fullscript::{Clock, SystemClock};
/// use fullscript::webhook::{Event, Receiver, http::answer};
/// use http_body_util::{BodyExt, Full, Limited};
/// use hyper::body::{Bytes, Incoming};
/// use hyper::{Request, Response, StatusCode};
///
/// /// For `hyper::service::service_fn`.
/// async fn webhook(
///     receiver: Arc<Receiver>,
///     request: Request<Incoming>,
/// ) -> Result<Response<Full<Bytes>>, Infallible> {
///     let (head, body) = request.into_parts();
///     let Ok(body) = Limited::new(body, 1024 * 1024).collect().await else {
///         let mut refused = Response::default();
///         *refused.status_mut() = StatusCode::PAYLOAD_TOO_LARGE;
///         return Ok(refused);
///     };
///     let body = body.to_bytes();
///     Ok(answer(&receiver, &head.headers, &body, SystemClock.now(), enqueue).await)
/// }
///
/// /// Stores the event durably.
/// async fn enqueue(event: Event) -> std::io::Result<()> {
///     # drop(event);
///     Ok(())
/// }
/// ```
pub async fn answer<B, H, F, E>(
    receiver: &Receiver,
    headers: &HeaderMap,
    body: &[u8],
    now: SystemTime,
    handler: H,
) -> Response<B>
where
    B: From<String>,
    H: FnOnce(Event) -> F,
    F: Future<Output = Result<(), E>>,
{
    let delivery = match receiver.receive(headers, body, now) {
        Ok(delivery) => delivery,
        Err(error) => return error.into(),
    };
    let reply = delivery.reply().clone();
    if let Some(event) = delivery.into_event()
        && handler(event).await.is_err()
    {
        return text(StatusCode::SERVICE_UNAVAILABLE, UNHANDLED.into());
    }
    (&reply).into()
}

/// Verifies a webhook delivery, processes its event once, and returns the response.
///
/// Like [`answer`] with [`process_once`]: an event that was processed before does not reach the
/// handler, and an event that another process has claimed gets status 503, so that Fullscript
/// delivers it again. The errors of the event log are dropped like those of the handler.
pub async fn answer_once<B, H, F, E>(
    receiver: &Receiver,
    event_log: &dyn EventLog,
    headers: &HeaderMap,
    body: &[u8],
    now: SystemTime,
    handler: H,
) -> Response<B>
where
    B: From<String>,
    H: FnOnce(Event) -> F,
    F: Future<Output = Result<(), E>>,
{
    let once = async |event| process_once(event_log, event, now, handler).await.map(drop);
    answer(receiver, headers, body, now, once).await
}

/// Converts to the response that acknowledges the delivery.
impl<B: From<String>> From<&Reply> for Response<B> {
    fn from(reply: &Reply) -> Self {
        let content_type = HeaderValue::from_static(reply.content_type());
        response(
            status(reply.status()),
            content_type,
            reply.body().to_owned(),
        )
    }
}

/// Converts to a response with the error's status and its message in plain text.
impl<B: From<String>> From<WebhookError> for Response<B> {
    fn from(error: WebhookError) -> Self {
        text(status(error.status()), error.to_string())
    }
}

fn status(status: u16) -> StatusCode {
    StatusCode::from_u16(status).expect("replies and errors have valid HTTP statuses")
}

fn text<B: From<String>>(status: StatusCode, body: String) -> Response<B> {
    let content_type = HeaderValue::from_static("text/plain; charset=utf-8");
    response(status, content_type, body)
}

fn response<B: From<String>>(
    status: StatusCode,
    content_type: HeaderValue,
    body: String,
) -> Response<B> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}
