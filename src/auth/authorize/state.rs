//! The signed `state` that ties a callback to the browser that was sent away.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::auth::error::{AuthError, CallbackFault};

/// The length of 32 bytes (randomness, SHA-256) in base64 without padding.
///
/// So much randomness is twice the 128 bits that RFC 6749, section 10.10, asks
/// of a state, and what RFC 7636, section 7.1, asks of a verifier.
const ENCODED_32_BYTES: usize = 43;

/// More than the longest payload makes; anything longer isn't ours.
pub(super) const MAX_STATE: usize = 2_048;

/// Keeps the signing key apart from any other use of the client secret.
const SIGNING_LABEL: &[u8] = b"fullscript/authorize/state/v1";

/// Ties a callback to the browser that was sent away.
///
/// Keep [`expose`](Self::expose)'s text in the user's own session, make the
/// state from it when the browser is back, and forget it then. The text is
/// safe in a cookie. With PKCE it also holds the verifier, so never put it in
/// an address: the URL of the request has the part that belongs there.
#[derive(Clone)]
pub struct State {
    /// `random.payload.signature`, then `.verifier` with PKCE.
    pub(super) text: Zeroizing<String>,
    /// Where the part that is in the URL ends.
    pub(super) url_end: usize,
}

impl State {
    /// Makes the state from the text that was remembered.
    ///
    /// # Errors
    ///
    /// If the text is empty, or not one that [`expose`](Self::expose) gave.
    pub fn from_text(text: &str) -> Result<Self, AuthError> {
        Ok(Self::parse(text)?)
    }

    /// Returns the text to remember, which the caller must keep out of logs
    /// and addresses.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.text
    }

    pub(super) fn parse(text: &str) -> Result<Self, CallbackFault> {
        if text.is_empty() {
            return Err(CallbackFault::Empty("remembered state"));
        }
        if text.len() > MAX_STATE + 1 + ENCODED_32_BYTES {
            return Err(CallbackFault::TooLong("remembered state"));
        }
        let parts: Vec<&str> = text.split('.').collect();
        let is_ours = match parts.as_slice() {
            [random, _, signature, verifier @ ..] => {
                [random, signature]
                    .into_iter()
                    .chain(verifier)
                    .all(|part| part.len() == ENCODED_32_BYTES)
                    && verifier.len() <= 1
                    && parts.iter().all(|part| part.bytes().all(is_base64url))
            }
            _ => false,
        };
        if !is_ours {
            return Err(CallbackFault::StateForged);
        }
        Ok(Self {
            url_end: parts[..3].iter().map(|part| part.len()).sum::<usize>() + 2,
            text: Zeroizing::new(text.to_owned()),
        })
    }

    pub(super) fn in_url(&self) -> &str {
        &self.text[..self.url_end]
    }

    pub(super) fn random(&self) -> &str {
        &self.text[..ENCODED_32_BYTES]
    }

    pub(super) fn verifier(&self) -> Option<&str> {
        self.text[self.url_end..].strip_prefix('.')
    }
}

impl TryFrom<&str> for State {
    type Error = AuthError;

    fn try_from(text: &str) -> Result<Self, AuthError> {
        Self::from_text(text)
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("State(***)")
    }
}

fn is_base64url(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

pub(super) fn hmac(key: &[u8], parts: &[&[u8]]) -> Zeroizing<[u8; 32]> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    for part in parts {
        mac.update(part);
    }
    Zeroizing::new(mac.finalize().into_bytes().into())
}

/// Signs the encoded parts, so that one payload has one valid spelling.
pub(super) fn signature(client_secret: &str, random: &str, payload: &str) -> String {
    let key = hmac(client_secret.as_bytes(), &[SIGNING_LABEL]);
    let parts = [random.as_bytes(), b".", payload.as_bytes()];
    URL_SAFE_NO_PAD.encode(hmac(&key[..], &parts))
}
