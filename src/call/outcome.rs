//! The result of a call.

use bytes::Bytes;
use reqwest::Response;

use crate::auth::AuthError;
use crate::error::{Error, Trace};

/// The result of a call, with the facts that its error keeps.
pub(crate) struct Ending {
    pub(crate) trace: Trace,
    pub(crate) outcome: Outcome,
    /// Whether a response that differs from its model is an error.
    pub(crate) strict: bool,
}

pub(crate) enum Outcome {
    /// A response, with its body if it was read already.
    Response(Response, Option<Result<Bytes, IncompleteBody>>),
    Failed(Failure),
}

/// The reason why a call has no response.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The request was not sent: it is not valid.
    Invalid(&'static str),
    /// The request was not sent, or not retried: there is no valid token.
    Auth(AuthError),
    /// The request was not sent, or not retried: no rate-limit permit before the deadline.
    NoPermit,
    /// The request was not sent, or not retried: the deadline passed while waiting for this.
    WaitTimedOut(&'static str),
    /// The request was sent, and the deadline passed before a response arrived.
    TimedOut,
    /// The request may have been sent; no response arrived.
    Transport(reqwest::Error),
}

/// A body that was not read completely, with the part that was read.
#[derive(Debug)]
pub(crate) enum IncompleteBody {
    /// The connection was closed. There is no error if the end looked like a regular one.
    Closed(Option<reqwest::Error>, Bytes),
    /// The deadline passed.
    TimedOut(Bytes),
    /// The body exceeds the size limit.
    TooLarge { read: Bytes, limit: usize },
}

impl Ending {
    pub(crate) fn response(&self) -> Option<&Response> {
        match &self.outcome {
            Outcome::Response(response, _) => Some(response),
            Outcome::Failed(_) => None,
        }
    }
}

impl Failure {
    pub(crate) fn into_error(self, operation_id: &'static str, trace: Trace) -> Error {
        let error = match self {
            Self::Invalid(reason) => Error::invalid_request(operation_id, reason.into()),
            Self::Auth(error) => Error::auth(operation_id, error),
            Self::NoPermit => Error::no_permit(operation_id),
            Self::WaitTimedOut(waited_for) => Error::wait_timed_out(operation_id, waited_for),
            Self::TimedOut => Error::timed_out(operation_id, None),
            Self::Transport(error) => Error::transport(operation_id, error),
        };
        error.traced(trace)
    }
}

impl IncompleteBody {
    /// Returns the part of the body that was read.
    pub(crate) fn into_bytes(self) -> Bytes {
        match self {
            Self::Closed(_, read) | Self::TimedOut(read) | Self::TooLarge { read, .. } => read,
        }
    }
}
