//! The way to the vendor's consent page and back.
//!
//! [`AuthorizationRequest`] says where to send the browser and what to
//! remember; the callback and what was remembered make an
//! [`AuthorizationCode`].

mod callback;
mod state;

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use url::{Position, Url};
use zeroize::Zeroizing;

use super::error::{AuthError, CallbackFault};
use super::randomness::Randomness;

/// Leaves the address below 2,048 characters in most set-ups, beyond which
/// proxies and browsers start to cut.
const MAX_PAYLOAD_BYTES: usize = 1_024;

/// What a browser is sent to, and what to remember until it comes back.
///
/// Send the browser there by a redirect or a link: the page can't be fetched
/// by script.
pub struct AuthorizationRequest {
    url: Url,
    state: State,
}

impl AuthorizationRequest {
    /// Returns the address to send the browser to.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Returns what to remember in the user's session until the callback.
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

/// What of an app is needed to ask for a code and to read the callback.
pub(crate) struct Authorize<'a> {
    pub(crate) authorize_url: &'a Url,
    pub(crate) client_id: &'a str,
    /// Never used as it is: the signing key is derived from it.
    pub(crate) client_secret: &'a str,
    pub(crate) redirect_uri: &'a Url,
    /// Whether to send a challenge, which the vendor doesn't document.
    pub(crate) pkce: bool,
    pub(super) randomness: &'a Randomness,
}

impl Authorize<'_> {
    /// Makes the address to send a browser to, with a new state.
    ///
    /// The payload is signed, not hidden: the vendor and the browser's
    /// history see it, so it should name things by opaque ids.
    pub(super) fn request_with(&self, payload: &str) -> Result<AuthorizationRequest, AuthError> {
        if payload.len() > MAX_PAYLOAD_BYTES {
            return Err(CallbackFault::PayloadTooLong {
                limit: MAX_PAYLOAD_BYTES,
            }
            .into());
        }
        Ok(self.request(payload))
    }

    /// A payload of any length is signed; the server takes up to
    /// `MAX_PAYLOAD_BYTES`.
    pub(super) fn request(&self, payload: &str) -> AuthorizationRequest {
        let random = self.randomness.text();
        let payload = Zeroizing::new(URL_SAFE_NO_PAD.encode(payload));
        let signature = signature(self.client_secret, &random, &payload);
        let in_url = Zeroizing::new([random.as_str(), &payload, &signature].join("."));

        let mut url = self.authorize_url.clone();
        // No `scope`: the server ignores it for the dashboard's.
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

/// The S256 challenge of RFC 7636, section 4.2.
fn challenge(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(verifier))
}

pub use callback::AuthorizationCode;
pub use state::State;
use state::signature;

#[cfg(test)]
mod tests;
