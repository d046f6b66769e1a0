//! How an answer goes out: whole, in pieces, broken off, or not at all.

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

/// What is done with one request.
pub(in crate::testing) enum Sending {
    /// An answer, whose body is these pieces.
    Answer(Script, VecDeque<Piece>),
    /// The connection is reset.
    Reset,
    /// Nothing is ever sent.
    Silence,
}

/// A part of a body, or what happens to it.
pub(in crate::testing) enum Piece {
    Bytes(Bytes),
    Pause(Duration),
    /// The connection is closed.
    Close,
    /// The connection is reset.
    Reset,
}

/// What the server and the bodies of one connection share.
#[derive(Clone, Default)]
pub(in crate::testing) struct Link {
    is_reset: Arc<AtomicBool>,
}

impl Link {
    /// Has the connection reset as soon as the server lets go of it, which it
    /// does with this error.
    pub(in crate::testing) fn reset(&self) -> Cut {
        self.is_reset.store(true, Ordering::Relaxed);
        Cut
    }

    /// Ends the connection, as was decided.
    pub(in crate::testing) fn end(&self, stream: &TcpStream) {
        if self.is_reset.load(Ordering::Relaxed) {
            #[allow(
                deprecated,
                reason = "`set_zero_linger` asks for a newer tokio than the crate does; with zero nothing blocks"
            )]
            let reset = stream.set_linger(Some(Duration::ZERO));
            // It ends all the same, in better order.
            drop(reset);
        }
    }
}

/// The connection ends before the answer does.
#[derive(Debug)]
pub(in crate::testing) struct Cut;

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the fake was told to end the connection")
    }
}

impl std::error::Error for Cut {}

/// The body of an answer.
pub(in crate::testing) struct Body {
    pieces: VecDeque<Piece>,
    /// How long it says that it is.
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

    /// What it was to have been: from this the `Content-Length` comes.
    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.length as u64)
    }
}
