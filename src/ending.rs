//! How a call ended.

use std::time::Duration;

use bytes::Bytes;
use reqwest::Response;

use crate::auth::{AuthError, Scope};
use crate::error::Error;

/// The end of a call.
pub(crate) struct Ending {
    pub(crate) trace: Trace,
    pub(crate) outcome: Outcome,
}

pub(crate) enum Outcome {
    /// An answer, with its body where that was read already.
    Answered(Response, Option<Result<Bytes, Unreadable>>),
    Failed(Failure),
}

/// What is known of a call besides its answer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trace {
    /// How often a request was sent.
    pub(crate) attempts: u32,
    /// Whether one of them may have reached the server.
    pub(crate) may_have_arrived: bool,
    /// Whether sending it twice is as good as once.
    pub(crate) repeatable: bool,
    /// How long the server, or the limit of requests, asks to wait.
    pub(crate) retry_after: Option<Duration>,
    /// Whether the token was refused, and the body could not be sent again.
    pub(crate) unrepeatable: bool,
    /// The scopes that the operation needs and the token lacks.
    pub(crate) missing_scopes: Vec<&'static str>,
}

/// Why a call has no answer.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Not sent: something about the request is not acceptable.
    Invalid(&'static str),
    /// Not sent, or not again, for want of a token.
    Auth(AuthError),
    /// Not sent, or not again: the limit of requests leaves no room in time.
    Busy,
    /// Not sent, or not again: the time of the call was over before.
    Late(&'static str),
    /// Sent, and the time was over before an answer came.
    TimedOut,
    /// Sent, perhaps, and no answer came.
    Transport(reqwest::Error),
}

/// A body that did not arrive whole.
#[derive(Debug)]
pub(crate) enum Unreadable {
    /// The connection broke.
    Broken(reqwest::Error, Bytes),
    /// The time was over.
    Late(Bytes),
    /// Larger than an answer can be.
    TooLarge(Bytes),
}

impl Ending {
    pub(crate) fn response(&self) -> Option<&Response> {
        match &self.outcome {
            Outcome::Answered(response, _) => Some(response),
            Outcome::Failed(_) => None,
        }
    }
}

impl Failure {
    pub(crate) fn into_error(self, operation_id: &'static str, trace: Trace) -> Error {
        let error = match self {
            Self::Invalid(reason) => Error::invalid_request(operation_id, reason.into()),
            Self::Auth(error) => Error::auth(operation_id, error),
            Self::Busy => Error::busy(operation_id),
            Self::Late(what) => Error::late(operation_id, what),
            Self::TimedOut => Error::timed_out(operation_id, None),
            Self::Transport(error) => Error::transport(operation_id, error),
        };
        error.traced(trace)
    }
}

impl Unreadable {
    pub(crate) fn so_far(self) -> Bytes {
        match self {
            Self::Broken(_, body) | Self::Late(body) | Self::TooLarge(body) => body,
        }
    }
}

/// The scopes that an operation needs and a token lacks, where both are known;
/// of several ways the one that lacks the fewest.
pub(crate) fn missing_scopes(
    needed: &[&'static [&'static str]],
    held: &[Scope],
) -> Vec<&'static str> {
    if held.is_empty() {
        return Vec::new();
    }
    let is_held = |scope: &str| held.iter().any(|held| held.as_str() == scope);
    let lacking = needed.iter().map(|together| {
        let missing = together.iter().copied().filter(|scope| !is_held(scope));
        missing.collect::<Vec<_>>()
    });
    lacking.min_by_key(Vec::len).unwrap_or_default()
}
