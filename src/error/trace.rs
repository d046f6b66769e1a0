//! What an error keeps of its call: attempts, timing, the server's answer.

use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::HeaderMap;

use crate::auth::Scope;

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

/// What the server answered.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: bytes::Bytes,
}

pub(crate) fn request_id(headers: &HeaderMap) -> Option<&str> {
    headers.get("x-request-id")?.to_str().ok()
}
