//! Reads a body within a deadline and a size limit.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;

use tokio::time::Sleep;

use super::outcome::Unreadable;

/// What comes of the work before the timer ends.
///
/// The timer is registered once for all that it is given to, which for a body
/// in many pieces costs less than one each.
pub(crate) async fn before<T>(
    mut timer: Pin<&mut Sleep>,
    work: impl Future<Output = T>,
) -> Option<T> {
    let mut work = pin!(work);
    poll_fn(|context| match work.as_mut().poll(context) {
        Poll::Ready(done) => Poll::Ready(Some(done)),
        Poll::Pending => timer.as_mut().poll(context).map(|()| None),
    })
    .await
}

/// The whole body, or what comes of it until the timer ends.
pub(crate) async fn read_body(
    response: &mut reqwest::Response,
    mut timer: Option<Pin<&mut Sleep>>,
) -> Result<bytes::Bytes, Unreadable> {
    let limit = if response.status().is_success() {
        LARGEST_ANSWER
    } else {
        LARGEST_REFUSAL
    };
    let expected = response
        .content_length()
        .and_then(|length| usize::try_from(length).ok());
    // Most answers come in one piece, which is not copied.
    let mut first = bytes::Bytes::new();
    let mut body = Vec::new();
    let so_far = |first, body: Vec<u8>| {
        if body.is_empty() {
            first
        } else {
            bytes::Bytes::from(body)
        }
    };
    loop {
        let chunk = match &mut timer {
            Some(timer) => match before(timer.as_mut(), response.chunk()).await {
                Some(chunk) => chunk,
                None => return Err(Unreadable::Late(so_far(first, body))),
            },
            None => response.chunk().await,
        };
        match chunk {
            Ok(None) => return Ok(so_far(first, body)),
            Ok(Some(chunk)) if first.is_empty() => first = chunk,
            Ok(Some(chunk)) => {
                if body.is_empty() {
                    body.reserve_exact(expected.unwrap_or_default().min(limit));
                    body.extend_from_slice(&first);
                }
                body.extend_from_slice(&chunk);
            }
            Err(error) => return Err(Unreadable::Broken(error, so_far(first, body))),
        }
        if first.len().max(body.len()) > limit {
            return Err(Unreadable::TooLarge(so_far(first, body)));
        }
    }
}

/// The largest answer that is read into memory: 64 MiB.
///
/// A full page of the largest records is a few hundred KiB; what is larger
/// than this is not an answer of this API.
pub(super) const LARGEST_ANSWER: usize = 64 << 20;

/// What an error keeps of a refusal's body: 1 MiB.
const LARGEST_REFUSAL: usize = 1 << 20;
