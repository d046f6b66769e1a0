//! The authorization request and its callback.
//!
//! An [`AuthorizationRequest`] contains the URL to send the browser to and the state to remember.
//! The callback and the remembered state give an [`AuthorizationCode`].

mod callback;
mod redirect_uri;
mod state;

use std::fmt;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use url::{Position, Url};
use zeroize::Zeroizing;

use super::client_secrets::Secrets;
use super::error::{AuthError, CallbackFault};
use super::randomness::Randomness;

/// The maximum size of a payload: 1,024 bytes.
///
/// It keeps most URLs below 2,048 characters, the length above which some proxies and browsers
/// truncate them.
const MAX_PAYLOAD_BYTES: usize = 1_024;

/// The URL to send the user's browser to, and the state to remember until the callback.
///
/// Send the browser to the URL by a redirect or a link, because scripts cannot fetch the page.
pub struct AuthorizationRequest {
    url: Url,
    state: State,
}

impl AuthorizationRequest {
    /// Returns the URL to send the browser to.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Returns the state to remember in the user's session until the callback.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }
}

impl fmt::Debug for AuthorizationRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthorizationRequest")
            .field("host_and_path", &host_and_path(&self.url))
            .finish_non_exhaustive()
    }
}

/// The settings of an app that authorization requests and callbacks need.
pub(crate) struct Authorize<'a> {
    pub(crate) authorize_url: &'a Url,
    pub(crate) client_id: &'a str,
    /// The secrets from which the signing keys are derived. They are never used as keys themselves.
    /// The current one signs, and both verify.
    pub(super) secrets: &'a Secrets,
    pub(crate) redirect_uri: &'a RedirectUri,
    /// Whether to send a PKCE challenge.
    pub(crate) pkce: bool,
    /// The time between an authorization request and its callback at most.
    pub(crate) state_lifetime: Duration,
    pub(crate) now: SystemTime,
    pub(super) randomness: &'a Randomness,
}

impl Authorize<'_> {
    /// Creates an authorization request with a new state and a payload of limited length.
    ///
    /// The payload is signed but not encrypted: the vendor can read it, and it is in the browser's
    /// history. It should contain opaque ids only.
    pub(super) fn request_with(&self, payload: &str) -> Result<AuthorizationRequest, AuthError> {
        if payload.len() > MAX_PAYLOAD_BYTES {
            return Err(CallbackFault::PayloadTooLong {
                limit: MAX_PAYLOAD_BYTES,
            }
            .into());
        }
        Ok(self.request(payload))
    }

    /// Creates an authorization request with a new state.
    ///
    /// The caller checks the length of the payload; a request with more than `MAX_PAYLOAD_BYTES`
    /// may be rejected.
    pub(super) fn request(&self, payload: &str) -> AuthorizationRequest {
        let random = self.randomness.text();
        let payload = Zeroizing::new(URL_SAFE_NO_PAD.encode(payload));
        let issued_at = seconds(self.now).to_string();
        let secret = self.secrets.current.expose();
        let signature = signature(secret, &random, &issued_at, &payload);
        let in_url = [random.as_str(), &issued_at, &payload, &signature];
        let in_url = Zeroizing::new(in_url.join("."));

        let mut url = self.authorize_url.clone();
        // Without `scope`: the server ignores it and uses the scopes of the dashboard.
        url.query_pairs_mut()
            .append_pair("client_id", self.client_id)
            .append_pair("redirect_uri", self.redirect_uri.as_str())
            .append_pair("response_type", "code")
            .append_pair("state", &in_url);
        let url_end = in_url.len();
        let mut text = in_url;
        if self.pkce {
            let verifier = self.randomness.text();
            url.query_pairs_mut()
                .append_pair("code_challenge", &challenge(&verifier))
                .append_pair("code_challenge_method", "S256");
            text = Zeroizing::new([text.as_str(), &verifier].join("."));
        }
        let state = State { text, url_end };
        AuthorizationRequest { url, state }
    }
}

fn host_and_path(url: &Url) -> &str {
    &url[Position::BeforeHost..Position::AfterPath]
}

/// Returns the S256 challenge of a verifier (RFC 7636, section 4.2).
fn challenge(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(verifier))
}

pub use callback::AuthorizationCode;
pub(crate) use redirect_uri::RedirectUri;
pub use state::State;
use state::{seconds, signature};

#[cfg(test)]
mod tests;
