//! Reads a body within a deadline and a size limit.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;

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

/// Reads the whole body; on failure, the error contains the part that was read.
pub(crate) async fn read_body(
    response: &mut reqwest::Response,
    mut timer: Option<Pin<&mut Sleep>>,
) -> Result<bytes::Bytes, IncompleteBody> {
    let limit = if response.status().is_success() {
        MAX_BODY
    } else {
        MAX_ERROR_BODY
    };
    let expected = response
        .content_length()
        .and_then(|length| usize::try_from(length).ok());
    // Most bodies arrive in one chunk, which is returned without a copy.
    let mut first = bytes::Bytes::new();
    let mut body = Vec::new();
    let read_so_far = |first, body: Vec<u8>| {
        if body.is_empty() {
            first
        } else {
            bytes::Bytes::from(body)
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
            Ok(None) => return Ok(read_so_far(first, body)),
            Ok(Some(chunk)) if first.is_empty() => first = chunk,
            Ok(Some(chunk)) => {
                if body.is_empty() {
                    body.reserve_exact(expected.unwrap_or_default().min(limit));
                    body.extend_from_slice(&first);
                }
                body.extend_from_slice(&chunk);
            }
            Err(error) => return Err(IncompleteBody::Closed(error, read_so_far(first, body))),
        }
        if first.len().max(body.len()) > limit {
            return Err(IncompleteBody::TooLarge(read_so_far(first, body)));
        }
    }
}

/// The largest response body that is read into memory: 64 MiB.
///
/// A full page of the largest records has a few hundred KiB, so a larger body does not come from
/// this API.
pub(super) const MAX_BODY: usize = 64 << 20;

/// The largest body of an unsuccessful response that an error keeps: 1 MiB.
const MAX_ERROR_BODY: usize = 1 << 20;
