//! The facts about a call that its error keeps: attempts, timing, the response.

use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::HeaderMap;

use crate::auth::Scope;

/// The facts about a call besides its response.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trace {
    /// The number of times the request was sent.
    pub(crate) attempts: u32,
    /// Whether an attempt may have reached the server.
    pub(crate) may_have_arrived: bool,
    /// Whether the request is idempotent, by its method or by an idempotency key.
    pub(crate) idempotent: bool,
    /// The wait that the server's `Retry-After` or the rate limiter asks for.
    pub(crate) retry_after: Option<Duration>,
    /// Whether the access token was rejected and the body could not be sent again.
    pub(crate) body_not_replayable: bool,
    /// The scopes that the operation needs and the token lacks.
    pub(crate) missing_scopes: Vec<&'static str>,
}

/// Returns the scopes that an operation needs and a token lacks, if both are known.
///
/// Of several alternatives, the one that lacks the fewest scopes is returned.
pub(crate) fn missing_scopes(
    needed: &[&'static [&'static str]],
    granted: &[Scope],
) -> Vec<&'static str> {
    if granted.is_empty() {
        return Vec::new();
    }
    let is_granted = |scope: &str| granted.iter().any(|granted| granted.as_str() == scope);
    let lacking = needed.iter().map(|together| {
        let missing = together.iter().copied().filter(|scope| !is_granted(scope));
        missing.collect::<Vec<_>>()
    });
    lacking.min_by_key(Vec::len).unwrap_or_default()
}

/// The server's response, with the part of the body that was read.
pub(crate) struct RawResponse {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: bytes::Bytes,
}

impl RawResponse {
    pub(crate) fn without_body(status: StatusCode, headers: &HeaderMap) -> Self {
        Self {
            status,
            headers: headers.clone(),
            body: bytes::Bytes::new(),
        }
    }
}

/// The longest request id that is shown, in characters. Ids have 36 characters or fewer.
const MAX_REQUEST_ID: usize = 128;

/// Returns the beginning of `X-Request-Id` that can be shown: at most 128 letters, digits and other
/// characters of ids.
///
/// The value comes from the server or a proxy, and is written to logs.
pub(crate) fn request_id(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get("x-request-id")?.as_bytes();
    let is_clean = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:@/+=".contains(byte);
    let length = value
        .iter()
        .take(MAX_REQUEST_ID)
        .take_while(|byte| is_clean(byte));
    let clean = std::str::from_utf8(&value[..length.count()]).ok()?;
    Some(clean).filter(|clean| !clean.is_empty())
}
