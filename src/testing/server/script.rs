//! The requests that the fake receives, and the responses that a test sets.

use std::fmt;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use serde_json::{Value, json};

use crate::transport::retry::whole_seconds;

/// A response to send instead of the fake's own.
#[derive(Clone)]
pub struct Script {
    pub(in crate::testing) status: u16,
    pub(in crate::testing) content_type: &'static str,
    pub(in crate::testing) headers: Vec<(String, String)>,
    pub(in crate::testing) body: Bytes,
    pub(in crate::testing) delay: Duration,
}

impl Script {
    /// Creates a JSON response.
    #[must_use]
    pub fn json(status: u16, body: &Value) -> Self {
        let json = "application/json; charset=utf-8";
        Self::new(status, json, body.to_string())
    }

    /// Creates an HTML response, like those of proxies and error pages.
    pub fn html(status: u16, body: impl Into<Bytes>) -> Self {
        Self::new(status, "text/html", body)
    }

    pub(in crate::testing) fn new(
        status: u16,
        content_type: &'static str,
        body: impl Into<Bytes>,
    ) -> Self {
        Self {
            status,
            content_type,
            headers: Vec::new(),
            body: body.into(),
            delay: Duration::ZERO,
        }
    }

    /// Adds a header, such as `retry-after`.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sets the delay before the response is sent. Default: none.
    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }
}

/// A request that the fake received.
#[derive(Clone)]
#[non_exhaustive]
pub struct FakeRequest {
    /// The time at which the request was received, on the fake's
    /// [`clock`](crate::testing::FakeFullscript::clock).
    pub received_at: SystemTime,
    /// The id of the operation, if the path belongs to one.
    pub operation_id: Option<String>,
    /// The HTTP method.
    pub method: String,
    /// Path and query as received.
    pub target: String,
    /// The headers, with names in lower case. `authorization` contains the access token.
    pub headers: Vec<(String, String)>,
    /// The body, if it is JSON.
    pub body: Option<Value>,
}

impl FakeRequest {
    /// Returns the first value of a query parameter.
    #[must_use]
    pub fn query(&self, name: &str) -> Option<String> {
        let (_, query) = self.target.split_once('?')?;
        url::form_urlencoded::parse(query.as_bytes())
            .find(|(own, _)| own == name)
            .map(|(_, value)| value.into_owned())
    }
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Script")
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

/// Shows no headers, because they contain the access token, and no body.
impl fmt::Debug for FakeRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeRequest")
            .field("method", &self.method)
            .field("operation_id", &self.operation_id)
            .finish_non_exhaustive()
    }
}

/// Returns the response to a request above the rate limit.
pub(in crate::testing) fn rate_limited(retry_after: Duration) -> Script {
    let whole = whole_seconds(retry_after);
    let body = json!({"status": 429, "error": "Too Many Requests"});
    Script::json(429, &body).header("retry-after", whole.to_string())
}
