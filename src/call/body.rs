//! Reads a body within a deadline and a size limit.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;

use bytes::Bytes;
use reqwest::Version;
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, TRANSFER_ENCODING};
use serde::de::IgnoredAny;
use tokio::time::Sleep;

use super::outcome::IncompleteBody;

/// Runs a future until the timer fires, and returns `None` in that case.
///
/// One timer serves all chunks of a body, which costs less than a timer for each chunk.
pub(crate) async fn run_until<T>(
    mut timer: Pin<&mut Sleep>,
    work: impl Future<Output = T>,
) -> Option<T> {
    let mut work = pin!(work);
    poll_fn(|context| match work.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => timer.as_mut().poll(context).map(|()| None),
    })
    .await
}

/// Reads the whole body of at most `limit` bytes; on failure, the error contains the part that was
/// read.
pub(crate) async fn read_body(
    response: &mut reqwest::Response,
    mut timer: Option<Pin<&mut Sleep>>,
    limit: usize,
) -> Result<Bytes, IncompleteBody> {
    let limit = if response.status().is_success() {
        limit
    } else {
        limit.min(MAX_ERROR_BODY)
    };
    let expected = response.content_length();
    let length = expected.map(|length| usize::try_from(length).unwrap_or(usize::MAX));
    if length > Some(limit) {
        let read = Bytes::new();
        return Err(IncompleteBody::TooLarge { read, limit });
    }
    // Most bodies arrive in one chunk, which is returned without a copy.
    let mut first = Bytes::new();
    let mut body = Vec::new();
    let read_so_far = |first, body: Vec<u8>| {
        if body.is_empty() {
            first
        } else {
            Bytes::from(body)
        }
    };
    loop {
        let chunk = match &mut timer {
            Some(timer) => match run_until(timer.as_mut(), response.chunk()).await {
                Some(chunk) => chunk,
                None => return Err(IncompleteBody::TimedOut(read_so_far(first, body))),
            },
            None => response.chunk().await,
        };
        match chunk {
            Ok(Some(chunk)) if chunk.len() > limit - first.len().max(body.len()) => {
                let read = read_so_far(first, body);
                return Err(IncompleteBody::TooLarge { read, limit });
            }
            Ok(None) => {
                let body = read_so_far(first, body);
                return if body.is_empty() && is_lost(response) {
                    Err(IncompleteBody::Closed(None, body))
                } else {
                    Ok(body)
                };
            }
            Ok(Some(chunk)) if first.is_empty() => first = chunk,
            Ok(Some(chunk)) => {
                if body.is_empty() {
                    body.reserve_exact(length.unwrap_or_default());
                    body.extend_from_slice(&first);
                }
                body.extend_from_slice(&chunk);
            }
            Err(error) => {
                let body = read_so_far(first, body);
                return Err(IncompleteBody::Closed(Some(error), body));
            }
        }
    }
}

/// Returns whether an empty body was lost with its connection.
///
/// An intentionally empty body has a length of 0 or a chunk of length 0.
fn is_lost(response: &reqwest::Response) -> bool {
    let media_type = response.headers().get(CONTENT_TYPE);
    let media_type = media_type.and_then(|value| value.to_str().ok());
    response.status().is_success()
        && ends_with_connection(response)
        && media_type.is_some_and(|value| value.contains("json"))
}

/// Returns whether a body that could not be decoded is only the beginning of a JSON text.
///
/// Without `Content-Length` a lost connection may look like the end of the body, even if a proxy
/// sends it on in chunks.
pub(super) fn ends_early(headers: &HeaderMap, body: &[u8]) -> bool {
    !headers.contains_key(CONTENT_LENGTH)
        && serde_json::from_slice::<IgnoredAny>(body).is_err_and(|error| error.is_eof())
}

/// Returns whether the body ends where the connection does, so that a lost connection looks like
/// the end of the body (RFC 9112, section 6.3).
pub(crate) fn ends_with_connection(response: &reqwest::Response) -> bool {
    let headers = response.headers();
    response.version() <= Version::HTTP_11
        && !headers.contains_key(CONTENT_LENGTH)
        && !headers.contains_key(TRANSFER_ENCODING)
}

/// The largest body of an unsuccessful response that an error keeps: 1 MiB.
pub(super) const MAX_ERROR_BODY: usize = 1 << 20;
