//! The signed `state` that ties a callback to its authorization request.

use std::fmt;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::auth::error::{AuthError, CallbackFault};

/// The length of 32 bytes (random bytes or SHA-256) in base64 without padding.
///
/// 256 random bits are twice the 128 bits that RFC 6749, section 10.10, requires for a state, and
/// exactly what RFC 7636, section 7.1, requires for a verifier.
const ENCODED_32_BYTES: usize = 43;

/// The maximum length of a state, which is more than the longest payload needs.
pub(super) const MAX_STATE: usize = 2_048;

/// The label that separates the signing key from any other use of the client secret.
const SIGNING_LABEL: &[u8] = b"fullscript/authorize/state/v2";

/// The maximum number of digits of a time, those of the largest `u64`.
const MAX_TIME_DIGITS: usize = 20;

/// The state of an authorization request, which ties the callback to the browser that was sent to
/// the vendor.
///
/// Save the text of [`expose`](Self::expose) in the user's own session. On the callback, recreate
/// the state with [`from_text`](Self::from_text), and delete the saved text.
/// The text may be stored in a cookie. With PKCE it contains the verifier, so never put it in a
/// URL: the URL of the request already contains the part that belongs there.
#[derive(Clone)]
pub struct State {
    /// `random.time.payload.signature`, then `.verifier` with PKCE.
    pub(super) text: Zeroizing<String>,
    /// The end of the part that is in the URL.
    pub(super) url_end: usize,
}

impl State {
    /// Recreates the state from the remembered text.
    ///
    /// # Errors
    ///
    /// Returns an error if the text is empty, or was not returned by [`expose`](Self::expose).
    pub fn from_text(text: &str) -> Result<Self, AuthError> {
        Ok(Self::parse(text)?)
    }

    /// Returns the text to remember, which must be kept out of logs and URLs.
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
        let is_valid = match parts.as_slice() {
            [random, time, _, signature, verifier @ ..] => {
                [random, signature]
                    .into_iter()
                    .chain(verifier)
                    .all(|part| part.len() == ENCODED_32_BYTES)
                    && time.len() <= MAX_TIME_DIGITS
                    && verifier.len() <= 1
                    && parts.iter().all(|part| part.bytes().all(is_base64url))
            }
            _ => false,
        };
        if !is_valid {
            return Err(CallbackFault::StateForged);
        }
        Ok(Self {
            url_end: parts[..4].iter().map(|part| part.len()).sum::<usize>() + 3,
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

/// Returns a time in seconds since 1970, as a state contains it.
pub(super) fn seconds(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

/// Signs the encoded parts, so that a payload has only one valid encoding.
pub(super) fn signature(
    client_secret: &str,
    random: &str,
    issued_at: &str,
    payload: &str,
) -> String {
    let key = hmac(client_secret.as_bytes(), &[SIGNING_LABEL]);
    let parts = [random, ".", issued_at, ".", payload].map(str::as_bytes);
    URL_SAFE_NO_PAD.encode(hmac(&key[..], &parts))
}
