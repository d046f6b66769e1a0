//! The result of one attempt, and what it says about a retry.

use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use reqwest::{Response, StatusCode};
use tokio::time::{Instant, Sleep};

use super::body::read_body;
use super::outcome::IncompleteBody;
use crate::transport::retry::{self, Reason};

/// The timeout for reading the body of an unsuccessful response.
const ERROR_BODY_TIMEOUT: Duration = Duration::from_secs(2);

/// The result of an attempt.
pub(super) enum Attempt {
    /// A response, with its body if it was read.
    Response(Response, Option<Result<Bytes, IncompleteBody>>),
    NoResponse {
        error: reqwest::Error,
        /// Whether the request was certainly not sent.
        unsent: bool,
    },
    /// The timeout of an attempt, or the deadline, passed before a response arrived.
    TimedOut,
}

impl Attempt {
    pub(super) fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Response(response, _) => Some(response.status()),
            Self::NoResponse { .. } | Self::TimedOut => None,
        }
    }

    pub(super) fn timed_out(&self) -> bool {
        matches!(
            self,
            Self::TimedOut | Self::Response(_, Some(Err(IncompleteBody::TimedOut(_))))
        )
    }

    pub(super) fn is_unsent(&self) -> bool {
        matches!(self, Self::NoResponse { unsent: true, .. })
    }

    /// Returns whether the server reported a success and sent no body where JSON was announced.
    pub(super) fn is_empty_success(&self) -> bool {
        matches!(
            self,
            Self::Response(response, Some(Err(IncompleteBody::Closed(None, body))))
                if body.is_empty() && response.status().is_success()
        )
    }

    /// Returns the reason to retry, if the attempt failed in a way that may be transient.
    pub(super) fn retry_reason(&self) -> Option<Reason> {
        match self {
            Self::Response(response, body) if response.status().is_success() => match body {
                Some(Err(IncompleteBody::Closed(..) | IncompleteBody::TimedOut(_))) => {
                    Some(Reason::Failure)
                }
                Some(Ok(_) | Err(IncompleteBody::TooLarge { .. })) | None => None,
            },
            // An incomplete body does not matter: the status decides.
            Self::Response(response, body) => {
                let body = body.as_ref().and_then(|body| body.as_ref().ok());
                retry::refusal_reason(response.status(), body.map_or(&[], |body| &body[..]))
            }
            Self::NoResponse { .. } | Self::TimedOut => Some(Reason::Failure),
        }
    }

    /// Returns whether the connection was closed before the first byte of the response.
    pub(super) fn is_stale_connection(&self) -> bool {
        let Self::NoResponse { error, .. } = self else {
            return false;
        };
        let is_io = causes(error)
            .find_map(|cause| cause.downcast_ref::<std::io::Error>())
            .is_some_and(|cause| {
                use std::io::ErrorKind::{BrokenPipe, ConnectionReset};
                matches!(cause.kind(), ConnectionReset | BrokenPipe)
            });
        is_io
            || causes(error)
                .filter_map(|cause| cause.downcast_ref::<hyper::Error>())
                .any(|cause| cause.is_incomplete_message() || cause.is_canceled())
    }
}

/// Returns whether the connection was closed before hyper wrote the first byte of the request.
pub(super) fn was_canceled(error: &reqwest::Error) -> bool {
    causes(error)
        .filter_map(|cause| cause.downcast_ref::<hyper::Error>())
        .any(hyper::Error::is_canceled)
}

/// Returns the sources of an error, from the nearest one.
fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn std::error::Error + 'static)> {
    std::iter::successors(std::error::Error::source(error), |cause| cause.source())
}

/// Reads the body within the attempt, so that an incomplete response can be retried.
pub(super) async fn read(
    mut response: Response,
    mut timer: Pin<&mut Sleep>,
    limit: usize,
) -> Attempt {
    if !response.status().is_success() {
        // The status decides what to do next, so the body is not worth a long wait.
        let until = timer.deadline().min(Instant::now() + ERROR_BODY_TIMEOUT);
        timer.as_mut().reset(until);
    }
    let body = read_body(&mut response, Some(timer), limit).await;
    Attempt::Response(response, Some(body))
}
