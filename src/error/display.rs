//! The texts of an error.

use std::fmt;

use super::{Cause, Error};
use crate::transport::retry::whole_seconds;

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.inner.operation_id.is_empty() {
            write!(f, "{}: ", self.inner.operation_id)?;
        }
        if let Some(page) = self.inner.page {
            write!(f, "page {page}: ")?;
        }
        match (&self.inner.cause, self.status()) {
            (Cause::InvalidRequest(reason), _) if self.attempts() > 0 => {
                write!(f, "not retried: {reason}")?;
            }
            (Cause::InvalidRequest(reason), _) => write!(f, "not sent: {reason}")?,
            (Cause::ActingUser(reason), _) => write!(f, "not sent: {reason}")?,
            (Cause::Auth(error), _) if self.attempts() > 0 => write!(f, "not retried: {error}")?,
            (Cause::Auth(error), _) => write!(f, "not sent: {error}")?,
            (Cause::NoPermit, _) => {
                f.write_str("rate limit: no permit before the deadline")?;
                if let Some(wait) = self.retry_after() {
                    write!(f, " (retry after {} s)", whole_seconds(wait))?;
                }
            }
            (Cause::WaitTimedOut(waited_for), _) => {
                write!(f, "timed out waiting for {waited_for}")?;
            }
            (Cause::TimedOut, None) => f.write_str("timed out waiting for the response")?,
            (Cause::TimedOut, Some(status)) => {
                write!(f, "timed out reading the response body (status {status})")?;
            }
            (Cause::Transport, None) if self.is_timeout() => {
                f.write_str("timed out waiting for the response")?;
            }
            (Cause::Transport, None) => {
                f.write_str("connection failed: no response from the server")?;
            }
            (Cause::Transport, Some(status)) => write!(
                f,
                "connection closed before the response was complete (status {status})"
            )?,
            (Cause::Refused, Some(status)) => write!(f, "the server returned {status}")?,
            (Cause::TooLarge(limit), status) => {
                write!(
                    f,
                    "the response body is larger than the limit of {limit} bytes"
                )?;
                if let Some(status) = status {
                    write!(f, " (status {status})")?;
                }
            }
            (Cause::Record(record), status) => {
                let index = record.index();
                write!(f, "record {index} cannot be read: {}", record.cause())?;
                if let Some(status) = status {
                    write!(f, " (status {status})")?;
                }
            }
            (Cause::EmptySuccess, status) => {
                f.write_str("the request succeeded, but the response has no body")?;
                if let Some(status) = status {
                    write!(f, " (status {status})")?;
                }
            }
            (Cause::Refused, None) => f.write_str("the server refused the request")?,
            (Cause::Decode(reason, _) | Cause::Pagination(reason), Some(status)) => {
                write!(f, "{reason} (status {status})")?;
            }
            (Cause::Decode(reason, _) | Cause::Pagination(reason), None) => f.write_str(reason)?,
        }
        if let Some(request_id) = self.request_id() {
            write!(f, ", request id {request_id}")?;
        }
        if self.attempts() > 1 {
            write!(f, ", after {} attempts", self.attempts())?;
        }
        match self.advice() {
            Some(advice) => write!(f, "; {advice}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("message", &format_args!("{self}"))
            .field("source", &self.inner.source)
            .finish_non_exhaustive()
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.inner.cause {
            // The message contains the `AuthError`, so the chain continues with its source.
            Cause::Auth(error) => error.source(),
            _ => self.inner.source.as_deref().map(|source| source as _),
        }
    }
}
