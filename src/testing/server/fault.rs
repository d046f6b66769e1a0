//! What goes wrong on the way to the fake and back.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use serde_json::json;

use crate::testing::server::body::{Piece, Sending};
use crate::testing::server::script::{Script, rate_limited};

/// How many pieces a slow body comes in.
const PIECES: usize = 10;

/// So long a part of an answer is on its way before the connection ends: a reset
/// overtakes what was sent, and nothing tells when it was read.
const HEAD_START: Duration = Duration::from_millis(20);

/// Something that goes wrong with a request; see [`FakeFullscript::fault`].
///
/// Some faults take the place of the answer: the operation has no effect then,
/// unless [`after_effect`](Self::after_effect) says so. Others befall the
/// answer on its way: the operation has had its effect.
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
    /// Nothing goes wrong, so that the next fault befalls a later request.
    #[must_use]
    pub fn none() -> Self {
        Self::new(Kind::None)
    }

    /// 401, and the header that tells of an expired token, although it is not.
    #[must_use]
    pub fn expired_token() -> Self {
        let challenge = r#"Bearer realm="Fullscript", error="invalid_token", error_description="The access token expired""#;
        let refusal = Script::html(401, "").header("www-authenticate", challenge);
        Self::answer(refusal)
    }

    /// 400 and `invalid_grant`, for `create_oauth_token`: a code or a refresh
    /// token that is not good (any more).
    #[must_use]
    pub fn invalid_grant() -> Self {
        let refusal = json!({
            "error": "invalid_grant",
            "error_description": "The provided authorization grant is invalid, expired or revoked",
        });
        Self::answer(Script::json(400, &refusal))
    }

    /// 429, and `Retry-After` in whole seconds, rounded up.
    ///
    /// The vendor documents a limit and not how it refuses; this is how most
    /// servers do.
    #[must_use]
    pub fn rate_limited(retry_after: Duration) -> Self {
        Self::answer(rate_limited(retry_after))
    }

    /// An answer of this status with a short body in JSON: 500, 502, 503, 504.
    #[must_use]
    pub fn status(status: u16) -> Self {
        let reason = hyper::StatusCode::from_u16(status).ok();
        let reason = reason.and_then(|status| status.canonical_reason());
        let body = json!({"status": status, "error": reason.unwrap_or("Error")});
        Self::answer(Script::json(status, &body))
    }

    /// 200 and a page in HTML, as of a proxy or during maintenance.
    #[must_use]
    pub fn html() -> Self {
        let page = "<!DOCTYPE html>\n<html><body><h1>We'll be back soon</h1></body></html>\n";
        Self::answer(Script::html(200, page))
    }

    /// The connection is reset (TCP RST) where the answer was due.
    #[must_use]
    pub fn reset_before_headers() -> Self {
        Self::new(Kind::ResetBeforeHeaders)
    }

    /// The connection is reset in the middle of the answer's body.
    #[must_use]
    pub fn reset_within_body() -> Self {
        Self::new(Kind::ResetWithinBody)
    }

    /// The connection is closed, in good order, in the middle of the answer's
    /// body: fewer bytes come than its `Content-Length` says.
    #[must_use]
    pub fn truncated_body() -> Self {
        Self::new(Kind::TruncatedBody)
    }

    /// The answer's body takes so long to come, piece by piece.
    #[must_use]
    pub fn slow_body(takes: Duration) -> Self {
        Self::new(Kind::SlowBody(takes))
    }

    /// The answer comes so much later.
    #[must_use]
    pub fn delay(by: Duration) -> Self {
        Self::new(Kind::Delay(by))
    }

    /// No answer ever comes, and the connection stays open.
    #[must_use]
    pub fn silence() -> Self {
        Self::new(Kind::Silence)
    }

    /// The operation has its effect before this goes wrong: the token is
    /// rotated, the record created, and the caller does not hear of it.
    #[must_use]
    pub fn after_effect(mut self) -> Self {
        self.after_effect = true;
        self
    }

    /// This answer.
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

    /// What is sent where this befalls a request.
    pub(in crate::testing) fn befall(self, answer: impl FnOnce() -> Script) -> Sending {
        // Carries the operation out.
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
                let pieces = [first_half(&body), Piece::Pause(HEAD_START), Piece::Close];
                Sending::Answer(answer, pieces.into())
            }
            Kind::ResetWithinBody => {
                let pieces = [first_half(&body), Piece::Pause(HEAD_START), Piece::Reset];
                Sending::Answer(answer, pieces.into())
            }
        }
    }
}

fn first_half(body: &Bytes) -> Piece {
    Piece::Bytes(body.slice(..body.len() / 2))
}

/// A body that takes so long.
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

/// Shows what goes wrong, and nothing of an answer.
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

/// The faults of each operation.
#[derive(Default)]
pub(in crate::testing) struct Faults {
    /// Those of the next requests, the next at the front.
    pub(in crate::testing) next: HashMap<&'static str, VecDeque<Fault>>,
    pub(in crate::testing) lasting: HashMap<&'static str, Fault>,
}

impl Faults {
    /// What befalls a request that has just come.
    pub(in crate::testing) fn befalling(&mut self, operation_id: &str) -> Fault {
        let next = self.next.get_mut(operation_id);
        next.and_then(VecDeque::pop_front)
            .or_else(|| self.lasting.get(operation_id).cloned())
            .unwrap_or_else(Fault::none)
    }
}
