//! How a call ended, on its way through the generated code.
//!
//! That code lets `exec` answer a response or fail with an error of reqwest's,
//! and nothing else: so the end of a call travels as an extension of the
//! response, of a made-up one where there was none, and is taken out again
//! where answers are read.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::Response;

use crate::auth::{AuthError, Scope};
use crate::error::Error;

/// The end of a call.
#[derive(Default)]
pub(crate) struct Ending {
    pub(crate) trace: Trace,
    pub(crate) outcome: Outcome,
}

#[derive(Default)]
pub(crate) enum Outcome {
    /// An answer whose body is still to be read.
    #[default]
    Unread,
    /// An answer whose body was read.
    Read(Result<Vec<u8>, Unreadable>),
    /// No answer.
    Failed(Failure),
}

/// What is known of a call besides its answer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trace {
    /// How often a request was sent.
    pub(crate) attempts: u32,
    /// Whether one of them may have reached the server.
    pub(crate) may_have_arrived: bool,
    /// Whether sending it twice is as good as once.
    pub(crate) repeatable: bool,
    /// How long the server, or the limit of requests, asks to wait.
    pub(crate) retry_after: Option<Duration>,
    /// Whether the token was refused, and the body could not be sent again.
    pub(crate) unrepeatable: bool,
    /// The scopes that the operation needs and the token lacks.
    pub(crate) missing_scopes: Vec<&'static str>,
}

/// Why a call has no answer.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Not sent: something about the request is not acceptable.
    Invalid(&'static str),
    /// Not sent, or not again, for want of a token.
    Auth(AuthError),
    /// Not sent, or not again: the limit of requests leaves no room in time.
    Busy,
    /// Not sent, or not again: the time of the call was over before.
    Late(&'static str),
    /// Sent, perhaps, and no answer came.
    Transport(reqwest::Error),
}

/// A body that did not arrive whole.
#[derive(Debug)]
pub(crate) enum Unreadable {
    /// The connection broke.
    Broken(reqwest::Error, Vec<u8>),
    /// Larger than an answer can be.
    TooLarge(Vec<u8>),
}

/// An extension must be possible to clone; whoever takes it first has it.
#[derive(Clone)]
struct Carried(Arc<Mutex<Option<Ending>>>);

impl Ending {
    /// Puts the end of a call where [`Ending::take`] finds it.
    pub(crate) fn travel_on(self, response: Option<Response>) -> Response {
        let mut response =
            response.unwrap_or_else(|| Response::from(http::Response::new(Vec::new())));
        let carried = Carried(Arc::new(Mutex::new(Some(self))));
        response.extensions_mut().insert(carried);
        response
    }

    pub(crate) fn take(response: &mut Response) -> Self {
        let carried = response.extensions_mut().remove::<Carried>();
        let ending = carried.and_then(|carried| {
            let mut ending = carried.0.lock().unwrap_or_else(PoisonError::into_inner);
            ending.take()
        });
        ending.unwrap_or_default()
    }
}

impl Failure {
    pub(crate) fn into_error(self, operation_id: &'static str, trace: Trace) -> Error {
        let error = match self {
            Self::Invalid(reason) => Error::invalid_request(operation_id, reason.into()),
            Self::Auth(error) => Error::auth(operation_id, error),
            Self::Busy => Error::busy(operation_id),
            Self::Late(what) => Error::late(operation_id, what),
            Self::Transport(error) => Error::transport(operation_id, error),
        };
        error.traced(trace)
    }
}

impl Unreadable {
    pub(crate) fn so_far(self) -> Vec<u8> {
        match self {
            Self::Broken(_, body) | Self::TooLarge(body) => body,
        }
    }
}

/// The scopes that an operation needs and a token lacks, where both are known;
/// of several ways the one that lacks the fewest.
pub(crate) fn missing_scopes(
    needed: &[&'static [&'static str]],
    held: &[Scope],
) -> Vec<&'static str> {
    if held.is_empty() {
        return Vec::new();
    }
    let is_held = |scope: &str| held.iter().any(|held| held.as_str() == scope);
    let lacking = needed.iter().map(|together| {
        let missing = together.iter().copied().filter(|scope| !is_held(scope));
        missing.collect::<Vec<_>>()
    });
    lacking.min_by_key(Vec::len).unwrap_or_default()
}
