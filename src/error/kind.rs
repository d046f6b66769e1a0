//! The classes of errors that callers match on.

use reqwest::StatusCode;

use super::{Cause, Error};
use crate::transport::CallOutcome;

/// The class of an [`Error`], returned by [`Error::kind`].
///
/// ```
/// use fullscript::{Error, ErrorKind};
///
/// fn status_page(error: &Error) -> &'static str {
///     match error.kind() {
///         ErrorKind::Auth => "reconnect your Fullscript account",
///         ErrorKind::RateLimited | ErrorKind::Timeout | ErrorKind::Server => "try again later",
///         ErrorKind::NotFound => "no such record",
///         _ => "something went wrong",
///     }
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The request was not sent: an argument is missing or not valid.
    InvalidRequest,
    /// There is no valid token for the call; [`Error::auth_error`] returns the cause.
    Auth,
    /// Too many requests: the server returned 429, or the client's own rate limiter had no
    /// permit before the deadline.
    RateLimited,
    /// The deadline passed before the response was complete.
    Timeout,
    /// The connection could not be established, or was closed before the response was complete.
    Connection,
    /// The server rejected the token (401).
    Unauthorized,
    /// The server refused the operation (403): a scope or an approval is missing.
    Forbidden,
    /// The object does not exist (404).
    NotFound,
    /// The server rejected the values (422); [`Error::messages`] names them.
    Validation,
    /// The server returned another status below 500 that is not a success.
    Refused,
    /// The server failed (status 500 and above).
    Server,
    /// The server returned a success status, but the response could not be decoded.
    Decode,
    /// A record of a list cannot be read; see [`Error::is_record_unreadable`].
    RecordUnreadable,
    /// The server returned a success status without a body; see [`Error::is_empty_success`].
    EmptySuccess,
    /// The pages of a list are inconsistent; see [`Error::is_pagination`].
    Pagination,
}

impl Error {
    /// Returns the class of the error.
    ///
    /// Predicates such as [`is_transient`](Self::is_transient) decide what the caller can do,
    /// independently of the class.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match &self.inner.cause {
            Cause::InvalidRequest(_) | Cause::ActingUser(_) => ErrorKind::InvalidRequest,
            Cause::Auth(error) if error.is_rate_limited() => ErrorKind::RateLimited,
            Cause::Auth(_) => ErrorKind::Auth,
            Cause::NoPermit => ErrorKind::RateLimited,
            Cause::WaitTimedOut(_) | Cause::TimedOut => ErrorKind::Timeout,
            Cause::Transport if self.has_timeout_source() => ErrorKind::Timeout,
            Cause::Transport => ErrorKind::Connection,
            Cause::Decode(..) | Cause::TooLarge(_) => ErrorKind::Decode,
            Cause::Record(_) => ErrorKind::RecordUnreadable,
            Cause::EmptySuccess => ErrorKind::EmptySuccess,
            Cause::Pagination(_) => ErrorKind::Pagination,
            Cause::Refused => match self.status() {
                Some(StatusCode::UNAUTHORIZED) => ErrorKind::Unauthorized,
                Some(StatusCode::FORBIDDEN) => ErrorKind::Forbidden,
                Some(StatusCode::NOT_FOUND) => ErrorKind::NotFound,
                Some(StatusCode::UNPROCESSABLE_ENTITY) => ErrorKind::Validation,
                Some(StatusCode::TOO_MANY_REQUESTS) => ErrorKind::RateLimited,
                Some(status) if status >= StatusCode::INTERNAL_SERVER_ERROR => ErrorKind::Server,
                _ => ErrorKind::Refused,
            },
        }
    }

    /// Returns the outcome of the call, for its report and its span.
    pub(crate) fn outcome(&self) -> CallOutcome {
        match (&self.inner.cause, self.kind()) {
            (Cause::TooLarge(_), _) => CallOutcome::ResponseTooLarge,
            (Cause::Refused, ErrorKind::Server) => CallOutcome::ServerError,
            (Cause::Refused, _) => CallOutcome::Refused,
            (_, ErrorKind::InvalidRequest) => CallOutcome::InvalidRequest,
            (_, ErrorKind::Auth) => CallOutcome::Auth,
            (_, ErrorKind::RateLimited) => CallOutcome::RateLimit,
            (_, ErrorKind::Timeout) => CallOutcome::Timeout,
            (_, ErrorKind::Connection) if self.status().is_some() => {
                CallOutcome::IncompleteResponse
            }
            (_, ErrorKind::Connection) => CallOutcome::Connection,
            (_, ErrorKind::EmptySuccess) => CallOutcome::EmptySuccess,
            _ => CallOutcome::Decode,
        }
    }

    fn has_timeout_source(&self) -> bool {
        let source = self.inner.source.as_ref();
        let source = source.and_then(|source| source.downcast_ref::<reqwest::Error>());
        source.is_some_and(reqwest::Error::is_timeout)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_that_cannot_be_built_is_an_invalid_request() {
        // An error of the kind that `reqwest::RequestBuilder::build` returns.
        let error = reqwest::Proxy::http("").unwrap_err();
        assert!(error.is_builder());
        let error = Error::unsent("get_clinic", error.into());
        assert_eq!(error.kind(), ErrorKind::InvalidRequest);
        assert!(!error.is_transient());
    }
}
