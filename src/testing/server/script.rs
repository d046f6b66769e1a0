//! What the fake is asked, and what it answers.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};

/// An answer to give instead of the fake's own.
#[derive(Clone)]
pub struct Script {
    pub(in crate::testing) status: u16,
    pub(in crate::testing) content_type: &'static str,
    pub(in crate::testing) headers: Vec<(String, String)>,
    pub(in crate::testing) body: Bytes,
    pub(in crate::testing) delay: Duration,
}

impl Script {
    /// An answer in JSON.
    #[must_use]
    pub fn json(status: u16, body: &Value) -> Self {
        let json = "application/json; charset=utf-8";
        Self::new(status, json, body.to_string())
    }

    /// An answer in HTML, as proxies and error pages give.
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

    /// The same answer with one more header, such as `retry-after`.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// The same answer, given after this time.
    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }
}

/// What the fake was asked.
#[derive(Clone)]
#[non_exhaustive]
pub struct FakeRequest {
    /// The operation, if the path is one's.
    pub operation_id: Option<String>,
    /// The HTTP method.
    pub method: String,
    /// Path and query as they came.
    pub target: String,
    /// The headers, names in lower case; the token stands in `authorization`.
    pub headers: Vec<(String, String)>,
    /// The body, if it is JSON.
    pub body: Option<Value>,
}

impl FakeRequest {
    /// The first value of an argument in the query.
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

/// Shows neither headers, among which the token is, nor body.
impl fmt::Debug for FakeRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeRequest")
            .field("method", &self.method)
            .field("operation_id", &self.operation_id)
            .finish_non_exhaustive()
    }
}

/// What a server says that is asked too often.
pub(in crate::testing) fn rate_limited(retry_after: Duration) -> Script {
    let whole = retry_after.as_secs() + u64::from(retry_after.subsec_nanos() > 0);
    let body = json!({"status": 429, "error": "Too Many Requests"});
    Script::json(429, &body).header("retry-after", whole.to_string())
}
