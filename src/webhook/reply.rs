//! The reply to an accepted delivery.

use std::fmt;
use std::sync::Arc;

use zeroize::Zeroizing;

/// The reply to an accepted delivery, with the challenge token.
///
/// Fullscript counts any other response as a failure and delivers the event again.
///
/// Cheap to clone. `Debug` does not show the body, which contains the challenge token.
#[derive(Clone)]
pub struct Reply {
    body: Arc<Zeroizing<String>>,
}

impl Reply {
    pub(super) fn new(challenge_token: &str) -> Self {
        // The capacity allows for every character to be escaped, so that growing leaves no copy of
        // the token in memory.
        let mut body = Vec::with_capacity(challenge_token.len() * 6 + 32);
        body.extend_from_slice(br#"{"challenge":"#);
        let written = serde_json::to_writer(&mut body, challenge_token);
        written.expect("serializing a string to memory does not fail");
        body.push(b'}');
        let body = String::from_utf8(body).expect("serde_json writes UTF-8");
        Self {
            body: Arc::new(Zeroizing::new(body)),
        }
    }

    /// Returns the HTTP status: 200.
    #[must_use]
    pub fn status(&self) -> u16 {
        200
    }

    /// Returns the value of the `Content-Type` header.
    #[must_use]
    pub fn content_type(&self) -> &'static str {
        "application/json"
    }

    /// Returns the body, which contains the challenge token: keep it out of logs.
    #[must_use]
    pub fn body(&self) -> &str {
        &self.body
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply")
            .field("status", &self.status())
            .finish_non_exhaustive()
    }
}
