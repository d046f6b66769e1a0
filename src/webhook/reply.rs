//! What is sent back for a delivery.

use std::fmt;
use std::sync::Arc;

use zeroize::Zeroizing;

/// What to answer an accepted delivery with: the vendor counts anything else
/// as a failure and delivers again.
///
/// Cheap to clone. Debug does not show the body, which holds the challenge
/// token.
#[derive(Clone)]
pub struct Reply {
    body: Arc<Zeroizing<String>>,
}

impl Reply {
    pub(super) fn new(challenge_token: &str) -> Self {
        // Room for every character escaped, so that no copy is left behind by
        // growing.
        let mut body = Vec::with_capacity(challenge_token.len() * 6 + 32);
        body.extend_from_slice(br#"{"challenge":"#);
        let written = serde_json::to_writer(&mut body, challenge_token);
        written.expect("text is written to memory without fail");
        body.push(b'}');
        let body = String::from_utf8(body).expect("serde_json writes UTF-8");
        Self {
            body: Arc::new(Zeroizing::new(body)),
        }
    }

    /// The status: 200.
    #[must_use]
    pub fn status(&self) -> u16 {
        200
    }

    /// The value of the `Content-Type` header.
    #[must_use]
    pub fn content_type(&self) -> &'static str {
        "application/json"
    }

    /// The body, which holds the challenge token: keep it out of logs.
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
