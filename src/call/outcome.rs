//! How a call ended.

use bytes::Bytes;
use reqwest::Response;

use crate::auth::AuthError;
use crate::error::{Error, Trace};

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
