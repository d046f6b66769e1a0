//! The transmission of responses: complete, in pieces, truncated, or not at all.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

use crate::testing::server::script::Script;

/// The reaction to a request.
pub(in crate::testing) enum Sending {
    /// Sends a response with a body of these pieces.
    Answer(Script, VecDeque<Piece>),
    /// Resets the connection.
    Reset,
    /// Sends nothing and keeps the connection open.
    Silence,
}

/// A part of a body, a pause, or the end of the connection.
pub(in crate::testing) enum Piece {
    Bytes(Bytes),
    Pause(Duration),
    /// Closes the connection.
    Close,
    /// Resets the connection.
    Reset,
}

/// The state that the server and the bodies of one connection share.
#[derive(Clone, Default)]
pub(in crate::testing) struct Link {
    is_reset: Arc<AtomicBool>,
}

impl Link {
    /// Marks the connection to be reset, and returns the error that makes the server drop it.
    pub(in crate::testing) fn reset(&self) -> Cut {
        self.is_reset.store(true, Ordering::Relaxed);
        Cut
    }

    /// Resets the connection if it was marked.
    pub(in crate::testing) fn end(&self, stream: &TcpStream) {
        if self.is_reset.load(Ordering::Relaxed) {
            #[allow(
                deprecated,
                reason = "`set_zero_linger` asks for a newer tokio than the crate does; with zero nothing blocks"
            )]
            let reset = stream.set_linger(Some(Duration::ZERO));
            // Without the option the connection is closed normally.
            drop(reset);
        }
    }
}

/// An error that ends the connection before the response is complete.
#[derive(Debug)]
pub(in crate::testing) struct Cut;

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("connection ended by a fault of the fake")
    }
}

impl std::error::Error for Cut {}

/// The body of a response.
pub(in crate::testing) struct Body {
    pieces: VecDeque<Piece>,
    /// The length in the `Content-Length` header.
    length: usize,
    pause: Option<Pin<Box<Sleep>>>,
    link: Link,
}

impl Body {
    pub(in crate::testing) fn new(pieces: VecDeque<Piece>, length: usize, link: Link) -> Self {
        Self {
            pieces,
            length,
            pause: None,
            link,
        }
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        loop {
            if let Some(pause) = &mut self.pause {
                ready!(pause.as_mut().poll(context));
                self.pause = None;
            }
            return Poll::Ready(match self.pieces.pop_front() {
                None => None,
                Some(Piece::Bytes(bytes)) => Some(Ok(Frame::data(bytes))),
                Some(Piece::Close) => Some(Err(Cut)),
                Some(Piece::Reset) => Some(Err(self.link.reset())),
                Some(Piece::Pause(pause)) => {
                    self.pause = Some(Box::pin(sleep(pause)));
                    continue;
                }
            });
        }
    }

    fn is_end_stream(&self) -> bool {
        self.pause.is_none() && self.pieces.is_empty()
    }

    /// Returns the length of the complete body, which is sent as `Content-Length`.
    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.length as u64)
    }
}
