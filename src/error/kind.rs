//! The classes of errors, to match on.

use reqwest::StatusCode;

use super::{Cause, Error};

/// The class of an [`Error`], returned by [`Error::kind`].
///
/// ```
/// use fullscript::{Error, ErrorKind};
///
/// fn status_page(error: &Error) -> &'static str {
///     match error.kind() {
///         ErrorKind::Auth => "connect your Fullscript account again",
///         ErrorKind::RateLimited | ErrorKind::Timeout | ErrorKind::Server => "try again later",
///         ErrorKind::NotFound => "no such record",
///         _ => "something went wrong",
///     }
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The request was not sent: an argument is missing or not acceptable.
    InvalidRequest,
    /// There is no valid token for the call; [`Error::auth_error`] says why.
    Auth,
    /// Too many requests: the server answered 429, or the client's own rate limiter had no
    /// permit before the deadline.
    RateLimited,
    /// The deadline passed before the response was complete.
    Timeout,
    /// The connection could not be made, or broke.
    Connection,
    /// The server rejected the token (401).
    Unauthorized,
    /// The server refused the operation (403): a scope or an approval is missing.
    Forbidden,
    /// The object does not exist (404).
    NotFound,
    /// The server rejected the values (422); [`Error::messages`] names them.
    Validation,
    /// The server refused the request with another status below 500.
    Refused,
    /// The server failed (status 500 and above).
    Server,
    /// The server answered with a success, but the response could not be decoded.
    Decode,
    /// The pages of a list lead nowhere, see [`Error::is_pagination`].
    Pagination,
}

impl Error {
    /// Returns the class of the error, to match on.
    ///
    /// The predicates, such as [`is_transient`](Self::is_transient), answer what the caller can
    /// do, whatever the class.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match &self.inner.cause {
            Cause::InvalidRequest(_) => ErrorKind::InvalidRequest,
            Cause::Auth(error) if error.retry_after().is_some() => ErrorKind::RateLimited,
            Cause::Auth(_) => ErrorKind::Auth,
            Cause::Busy => ErrorKind::RateLimited,
            Cause::Late(_) | Cause::TimedOut => ErrorKind::Timeout,
            Cause::Transport if self.is_timeout() => ErrorKind::Timeout,
            Cause::Transport => ErrorKind::Connection,
            Cause::Decode(_) => ErrorKind::Decode,
            Cause::Pagination(_) => ErrorKind::Pagination,
            Cause::Refused => match self.status() {
                Some(StatusCode::UNAUTHORIZED) => ErrorKind::Unauthorized,
                Some(StatusCode::FORBIDDEN) => ErrorKind::Forbidden,
                Some(StatusCode::NOT_FOUND) => ErrorKind::NotFound,
                Some(StatusCode::UNPROCESSABLE_ENTITY) => ErrorKind::Validation,
                Some(StatusCode::TOO_MANY_REQUESTS) => ErrorKind::RateLimited,
                Some(status) if status.is_server_error() => ErrorKind::Server,
                _ => ErrorKind::Refused,
            },
        }
    }
}
