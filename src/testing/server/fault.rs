//! Faults of a request and of its response.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use serde_json::json;

use crate::testing::server::body::{Piece, Sending};
use crate::testing::server::script::{Script, rate_limited};

/// The number of pieces of a slow body.
const PIECES: usize = 10;

/// The time between the sent part of a response and the end of the connection. A reset discards
/// data that the client has not read yet, and the server cannot know when it was read.
const DELAY_BEFORE_END: Duration = Duration::from_millis(20);

/// A fault of a request; see [`FakeFullscript::fault`](crate::testing::FakeFullscript::fault).
///
/// Some faults replace the response: the operation then has no effect, unless
/// [`after_effect`](Self::after_effect) is set. Others affect the response in transit: the
/// operation has had its effect.
#[derive(Clone)]
pub struct Fault {
    kind: Kind,
    after_effect: bool,
}

#[derive(Clone)]
enum Kind {
    None,
    Answer(Script),
    ResetBeforeHeaders,
    ResetWithinBody,
    TruncatedBody,
    SlowBody(Duration),
    Delay(Duration),
    Silence,
}

impl Fault {
    /// Creates a fault that does nothing. Use it to skip a request, so that the next fault applies
    /// to a later one.
    #[must_use]
    pub fn none() -> Self {
        Self::new(Kind::None)
    }

    /// Responds with 401 and the `WWW-Authenticate` header of an expired token, although the token
    /// is valid.
    #[must_use]
    pub fn expired_token() -> Self {
        let challenge = r#"Bearer realm="Fullscript", error="invalid_token", error_description="The access token expired""#;
        let refusal = Script::html(401, "").header("www-authenticate", challenge);
        Self::answer(refusal)
    }

    /// Responds with 400 and `invalid_grant`, as for an invalid, expired or revoked code or refresh
    /// token. Use it with `create_oauth_token`.
    #[must_use]
    pub fn invalid_grant() -> Self {
        let refusal = json!({
            "error": "invalid_grant",
            "error_description": "The provided authorization grant is invalid, expired or revoked",
        });
        Self::answer(Script::json(400, &refusal))
    }

    /// Responds with 429 and a `Retry-After` header in whole seconds, rounded up.
    ///
    /// The vendor documents a limit, but not the response above it. Most servers respond like this.
    #[must_use]
    pub fn rate_limited(retry_after: Duration) -> Self {
        Self::answer(rate_limited(retry_after))
    }

    /// Responds with a status, such as 500, 502, 503 or 504, and a short JSON body.
    #[must_use]
    pub fn status(status: u16) -> Self {
        let reason = hyper::StatusCode::from_u16(status).ok();
        let reason = reason.and_then(|status| status.canonical_reason());
        let body = json!({"status": status, "error": reason.unwrap_or("Error")});
        Self::answer(Script::json(status, &body))
    }

    /// Responds with 200 and an HTML page, as proxies do or servers during maintenance.
    #[must_use]
    pub fn html() -> Self {
        let page = "<!DOCTYPE html>\n<html><body><h1>We'll be back soon</h1></body></html>\n";
        Self::answer(Script::html(200, page))
    }

    /// Resets the connection (TCP RST) before the response.
    #[must_use]
    pub fn reset_before_headers() -> Self {
        Self::new(Kind::ResetBeforeHeaders)
    }

    /// Resets the connection in the middle of the response body.
    #[must_use]
    pub fn reset_within_body() -> Self {
        Self::new(Kind::ResetWithinBody)
    }

    /// Closes the connection in the middle of the response body, without a reset. The body is
    /// shorter than its `Content-Length`.
    #[must_use]
    pub fn truncated_body() -> Self {
        Self::new(Kind::TruncatedBody)
    }

    /// Sends the response body in pieces over the given time.
    #[must_use]
    pub fn slow_body(takes: Duration) -> Self {
        Self::new(Kind::SlowBody(takes))
    }

    /// Delays the response by the given time.
    #[must_use]
    pub fn delay(by: Duration) -> Self {
        Self::new(Kind::Delay(by))
    }

    /// Never responds, and keeps the connection open.
    #[must_use]
    pub fn silence() -> Self {
        Self::new(Kind::Silence)
    }

    /// Lets the operation take effect before the fault.
    ///
    /// For example, the token is rotated or the record is created, but the caller does not get the
    /// response.
    #[must_use]
    pub fn after_effect(mut self) -> Self {
        self.after_effect = true;
        self
    }

    pub(in crate::testing) fn answer(answer: Script) -> Self {
        Self::new(Kind::Answer(answer))
    }

    fn new(kind: Kind) -> Self {
        let after_effect = match kind {
            Kind::Answer(_) | Kind::ResetBeforeHeaders | Kind::Silence => false,
            Kind::None
            | Kind::ResetWithinBody
            | Kind::TruncatedBody
            | Kind::SlowBody(_)
            | Kind::Delay(_) => true,
        };
        Self { kind, after_effect }
    }

    /// Returns what is sent for a request with this fault.
    pub(in crate::testing) fn apply(self, answer: impl FnOnce() -> Script) -> Sending {
        // Calling `answer` executes the operation.
        let answer = if self.after_effect {
            answer()
        } else {
            Script::html(200, "")
        };
        let whole = |answer: Script| {
            let body = Some(answer.body.clone()).filter(|body| !body.is_empty());
            let pieces = body.into_iter().map(Piece::Bytes).collect();
            Sending::Answer(answer, pieces)
        };
        let body = answer.body.clone();
        match self.kind {
            Kind::None => whole(answer),
            Kind::Answer(instead) => whole(instead),
            Kind::ResetBeforeHeaders => Sending::Reset,
            Kind::Silence => Sending::Silence,
            Kind::Delay(by) => {
                let delay = answer.delay + by;
                whole(answer.after(delay))
            }
            Kind::SlowBody(takes) => {
                let pieces = slow(&body, takes);
                Sending::Answer(answer, pieces)
            }
            Kind::TruncatedBody => {
                let pieces = [
                    first_half(&body),
                    Piece::Pause(DELAY_BEFORE_END),
                    Piece::Close,
                ];
                Sending::Answer(answer, pieces.into())
            }
            Kind::ResetWithinBody => {
                let pieces = [
                    first_half(&body),
                    Piece::Pause(DELAY_BEFORE_END),
                    Piece::Reset,
                ];
                Sending::Answer(answer, pieces.into())
            }
        }
    }
}

fn first_half(body: &Bytes) -> Piece {
    Piece::Bytes(body.slice(..body.len() / 2))
}

/// Splits a body into pieces that take the given time in total.
fn slow(body: &Bytes, takes: Duration) -> VecDeque<Piece> {
    let size = body.len().div_ceil(PIECES).max(1);
    let count = body.len().div_ceil(size).max(1);
    let pause = takes / u32::try_from(count).unwrap_or(1);
    let pieces = (0..body.len()).step_by(size).flat_map(|at| {
        let piece = body.slice(at..(at + size).min(body.len()));
        [Piece::Pause(pause), Piece::Bytes(piece)]
    });
    pieces.collect()
}

/// Shows the kind of fault, and nothing of a response.
impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, time) = match &self.kind {
            Kind::None => ("none", None),
            Kind::Answer(answer) => return write!(f, "Fault(status {})", answer.status),
            Kind::ResetBeforeHeaders => ("reset_before_headers", None),
            Kind::ResetWithinBody => ("reset_within_body", None),
            Kind::TruncatedBody => ("truncated_body", None),
            Kind::SlowBody(takes) => ("slow_body", Some(takes)),
            Kind::Delay(by) => ("delay", Some(by)),
            Kind::Silence => ("silence", None),
        };
        match time {
            None => write!(f, "Fault({name})"),
            Some(time) => write!(f, "Fault({name}, {time:?})"),
        }
    }
}
