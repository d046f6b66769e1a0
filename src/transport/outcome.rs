//! The outcome of a call, as a label for metrics and spans.

use std::fmt;

/// The outcome of a call, in a [`CallReport`](crate::CallReport).
///
/// `Display` and [`as_str`](Self::as_str) return a short name, which is also the value of
/// `error.type` in the span of the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CallOutcome {
    /// The call succeeded, and its response was decoded. A streamed body may still fail.
    Ok,
    /// The request was not sent, because it is not valid.
    InvalidRequest,
    /// There was no valid token for the call.
    Auth,
    /// The rate limiter had no permit before the deadline.
    RateLimit,
    /// The deadline passed before the response was complete.
    Timeout,
    /// No response arrived.
    Connection,
    /// The connection was closed before the response was complete.
    IncompleteResponse,
    /// The server refused the request with a status below 500.
    Refused,
    /// The server failed, with a status of 500 or above.
    ServerError,
    /// The response is larger than the limit.
    ResponseTooLarge,
    /// The server returned a success status with a response that could not be decoded, or a file
    /// that is not the expected one.
    Decode,
    /// The server returned a success status without the body that the operation returns.
    EmptySuccess,
    /// The future of the call was dropped before it ended, for example by a timeout of the caller.
    /// The request may have been sent.
    Dropped,
}

impl CallOutcome {
    /// Returns the name of the outcome, such as `timeout` or `server_error`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::InvalidRequest => "invalid_request",
            Self::Auth => "auth",
            Self::RateLimit => "rate_limit",
            Self::Timeout => "timeout",
            Self::Connection => "connection",
            Self::IncompleteResponse => "incomplete_response",
            Self::Refused => "refused",
            Self::ServerError => "server_error",
            Self::ResponseTooLarge => "response_too_large",
            Self::Decode => "decode",
            Self::EmptySuccess => "empty_success",
            Self::Dropped => "dropped",
        }
    }
}

impl fmt::Display for CallOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
