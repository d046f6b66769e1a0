//! The way to the vendor's consent page and back.
//!
//! [`AuthorizationRequest`] says where to send the browser and what to
//! remember; the callback and what was remembered make an
//! [`AuthorizationCode`].

use std::borrow::Cow;
use std::fmt;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use url::{Position, Url, form_urlencoded};
use zeroize::Zeroizing;

use super::error::AuthError;
use super::randomness::Randomness;

/// How long a code can be exchanged, by the vendor's page on requesting one.
/// Counted from the callback's receipt, for nothing tells when it was made.
const CODE_LIFETIME: Duration = Duration::from_secs(10 * 60);

/// The length of 32 bytes (randomness, SHA-256) in base64 without padding.
///
/// So much randomness is twice the 128 bits that RFC 6749, section 10.10, asks
/// of a state, and what RFC 7636, section 7.1, asks of a verifier.
const ENCODED_32_BYTES: usize = 43;

/// Leaves the address below 2,048 characters in most set-ups, beyond which
/// proxies and browsers start to cut.
const MAX_PAYLOAD_BYTES: usize = 1_024;

/// More than the longest payload makes; anything longer isn't ours.
const MAX_STATE: usize = 2_048;

/// The vendor's examples have at most 64 characters, and may grow.
const MAX_VALUE: usize = 1_024;

/// What may be shown of an error's name and of its description.
const MAX_SHOWN_ERROR: usize = 64;
const MAX_SHOWN_DESCRIPTION: usize = 200;

/// Keeps the signing key apart from any other use of the client secret.
const SIGNING_LABEL: &[u8] = b"fullscript/authorize/state/v1";

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

/// Ties a callback to the browser that was sent away.
///
/// Keep [`expose`](Self::expose)'s text in the user's own session, make the
/// state from it when the browser is back, and forget it then. The text is
/// safe in a cookie. With PKCE it also holds the verifier, so never put it in
/// an address: the URL of the request has the part that belongs there.
#[derive(Clone)]
pub struct State {
    /// `random.payload.signature`, then `.verifier` with PKCE.
    text: Zeroizing<String>,
    /// Where the part that is in the URL ends.
    url_end: usize,
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

    fn parse(text: &str) -> Result<Self, CallbackFault> {
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

    fn in_url(&self) -> &str {
        &self.text[..self.url_end]
    }

    fn random(&self) -> &str {
        &self.text[..ENCODED_32_BYTES]
    }

    fn verifier(&self) -> Option<&str> {
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

/// A one-time code, to be exchanged for tokens at once.
///
/// It can't be cloned, for the server takes it once.
pub struct AuthorizationCode {
    code: Zeroizing<String>,
    verifier: Option<Zeroizing<String>>,
    payload: Option<Zeroizing<String>>,
    received_at: SystemTime,
}

impl AuthorizationCode {
    /// Returns the payload that was given to the request, as it was then.
    ///
    /// An empty payload comes back as none.
    #[must_use]
    pub fn payload(&self) -> Option<&str> {
        self.payload.as_deref().map(String::as_str)
    }

    /// Returns when the callback was read.
    #[must_use]
    pub fn received_at(&self) -> SystemTime {
        self.received_at
    }

    /// Says whether the server will refuse the code as too old.
    ///
    /// A code lives for ten minutes. A clock that was set back does not
    /// count against it: then the server decides.
    #[must_use]
    pub fn is_expired(&self, now: SystemTime) -> bool {
        now.duration_since(self.received_at)
            .is_ok_and(|age| age >= CODE_LIFETIME)
    }

    pub(crate) fn expose(&self) -> &str {
        &self.code
    }

    pub(crate) fn verifier(&self) -> Option<&str> {
        self.verifier.as_deref().map(String::as_str)
    }
}

impl fmt::Debug for AuthorizationCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuthorizationCode(***)")
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
            return Err(CallbackFault::PayloadTooLong.into());
        }
        Ok(self.request(payload))
    }

    /// Reads the callback: a full URL, its path and query, or its query.
    ///
    /// The state is checked before anything else is believed, then comes the
    /// server's `error`, then the code.
    pub(crate) fn callback(
        &self,
        callback: &str,
        remembered: &State,
        now: SystemTime,
    ) -> Result<AuthorizationCode, AuthError> {
        Ok(self.read(callback, remembered, now)?)
    }

    /// A payload of any length is signed; the server takes up to
    /// `MAX_PAYLOAD_BYTES`.
    pub(super) fn request(&self, payload: &str) -> AuthorizationRequest {
        let random = self.randomness.text();
        let payload = Zeroizing::new(URL_SAFE_NO_PAD.encode(payload));
        let signature = self.signature(&random, &payload);
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

    fn read(
        &self,
        callback: &str,
        remembered: &State,
        now: SystemTime,
    ) -> Result<AuthorizationCode, CallbackFault> {
        let query = self.query(callback)?;
        let state = value(&query, "state", MAX_STATE)?.ok_or(CallbackFault::NoState)?;
        let is_remembered = state.as_bytes().ct_eq(remembered.in_url().as_bytes());
        if !bool::from(is_remembered) {
            return Err(CallbackFault::StateMismatch);
        }
        let payload = self.payload(&state)?;
        if let Some(error) = value(&query, "error", MAX_VALUE)? {
            return Err(refusal(&error, &query, remembered));
        }
        let code = value(&query, "code", MAX_VALUE)?.ok_or(CallbackFault::NoCode)?;
        Ok(AuthorizationCode {
            code: Zeroizing::new(code.into_owned()),
            verifier: remembered
                .verifier()
                .map(|verifier| Zeroizing::new(verifier.to_owned())),
            payload,
            received_at: now,
        })
    }

    /// The callback's query, if the callback came to the redirect URI or
    /// doesn't say where it came to.
    fn query<'c>(&self, callback: &'c str) -> Result<Cow<'c, str>, CallbackFault> {
        let address = if callback.starts_with('/') {
            // Joined, not compared as text: `//host/path` names a host.
            self.redirect_uri.join(callback)
        } else if has_scheme(callback) {
            Url::parse(callback)
        } else {
            let query = callback.strip_prefix('?').unwrap_or(callback);
            let end = query.find('#').unwrap_or(query.len());
            return Ok(Cow::Borrowed(&query[..end]));
        };
        let address = address.map_err(|_| CallbackFault::WrongAddress)?;
        if place(&address) != place(self.redirect_uri) {
            return Err(CallbackFault::WrongAddress);
        }
        Ok(Cow::Owned(address.query().unwrap_or_default().to_owned()))
    }

    /// The payload of a state, if this app signed it.
    fn payload(&self, state: &str) -> Result<Option<Zeroizing<String>>, CallbackFault> {
        let (signed, signature) = state.rsplit_once('.').ok_or(CallbackFault::StateForged)?;
        let (random, payload) = signed.split_once('.').ok_or(CallbackFault::StateForged)?;
        let expected = self.signature(random, payload);
        if !bool::from(signature.as_bytes().ct_eq(expected.as_bytes())) {
            return Err(CallbackFault::StateForged);
        }
        let payload = URL_SAFE_NO_PAD
            .decode(payload)
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .ok_or(CallbackFault::StateForged)?;
        Ok((!payload.is_empty()).then(|| Zeroizing::new(payload)))
    }

    /// Signs the encoded parts, so that one payload has one valid spelling.
    fn signature(&self, random: &str, payload: &str) -> String {
        let key = hmac(self.client_secret.as_bytes(), &[SIGNING_LABEL]);
        let parts = [random.as_bytes(), b".", payload.as_bytes()];
        URL_SAFE_NO_PAD.encode(hmac(&key[..], &parts))
    }
}

/// Why a request could not be made or a callback gave no code.
///
/// Neither Display nor Debug shows the state, the code, or a description that
/// could name a person.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum CallbackFault {
    NoState,
    StateMismatch,
    StateForged,
    NoCode,
    Duplicate(&'static str),
    Empty(&'static str),
    TooLong(&'static str),
    WrongAddress,
    Denied,
    Refused {
        /// Empty where the server's was no plain word.
        error: String,
        /// As the server sent it, so it may say anything about anyone.
        description: Option<String>,
    },
    PayloadTooLong,
}

impl fmt::Display for CallbackFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoState => f.write_str(
                "callback carries no state, so nothing says who asked for it: \
                 start the connection again, and pass the callback on with its whole query",
            ),
            Self::StateMismatch => f.write_str(
                "callback's state is not the one remembered, so another browser or an older \
                 attempt may have asked for it: start the connection again",
            ),
            Self::StateForged => f.write_str(
                "state was not made by this app with this client secret: \
                 start the connection again, and check who could have changed the session",
            ),
            Self::NoCode => f.write_str(
                "callback carries neither a code nor an error: start the connection again",
            ),
            Self::Duplicate(name) => write!(
                f,
                "callback carries {name} more than once: start the connection again"
            ),
            Self::Empty(name) => write!(f, "{name} is empty: start the connection again"),
            Self::TooLong(name) => write!(
                f,
                "{name} is longer than any the server or this app makes: \
                 start the connection again"
            ),
            Self::WrongAddress => f.write_str(
                "callback came to another address than the redirect URI: configure the one \
                 the browser sees, or pass on only the query if a proxy rewrites it",
            ),
            Self::Denied => {
                f.write_str("the user declined: offer to connect again when they ask for it")
            }
            Self::Refused { error, description } => {
                f.write_str("the server refused the authorization")?;
                let description = description.as_deref().filter(|text| is_presentable(text));
                match (error.as_str(), description) {
                    ("", None) => {}
                    ("", Some(text)) | (text, None) => write!(f, " ({text})")?,
                    (error, Some(description)) => write!(f, " ({error}: {description})")?,
                }
                f.write_str(": check the app in the vendor's dashboard, then start again")
            }
            Self::PayloadTooLong => write!(
                f,
                "payload is longer than {MAX_PAYLOAD_BYTES} bytes: \
                 keep it in the session and pass a reference to it"
            ),
        }
    }
}

impl fmt::Debug for CallbackFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CallbackFault({self})")
    }
}

/// The one value of a name in a query, decoded.
fn value<'q>(
    query: &'q str,
    name: &'static str,
    limit: usize,
) -> Result<Option<Cow<'q, str>>, CallbackFault> {
    let mut values = form_urlencoded::parse(query.as_bytes()).filter(|(key, _)| key == name);
    let Some((_, value)) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        Err(CallbackFault::Duplicate(name))
    } else if value.is_empty() {
        Err(CallbackFault::Empty(name))
    } else if value.len() > limit {
        Err(CallbackFault::TooLong(name))
    } else {
        Ok(Some(value))
    }
}

/// What the server's `error` means. An unreadable description is dropped
/// rather than put before the refusal it came with.
fn refusal(error: &str, query: &str, remembered: &State) -> CallbackFault {
    if error == "access_denied" {
        return CallbackFault::Denied;
    }
    // A server may quote what it was sent, and both texts end up in logs.
    let quotes_secret = |text: &str| {
        text.contains(remembered.random())
            || form_urlencoded::parse(query.as_bytes())
                .any(|(key, code)| key == "code" && !code.is_empty() && text.contains(&*code))
    };
    let is_plain =
        error.len() <= MAX_SHOWN_ERROR && error.bytes().all(is_word) && !quotes_secret(error);
    let description = value(query, "error_description", MAX_VALUE).ok().flatten();
    CallbackFault::Refused {
        error: if is_plain {
            error.to_owned()
        } else {
            String::new()
        },
        description: description
            .filter(|text| !quotes_secret(text))
            .map(Cow::into_owned),
    }
}

/// Whether a description can be shown: short, of one line, and without what
/// looks like a mail address.
fn is_presentable(text: &str) -> bool {
    text.len() <= MAX_SHOWN_DESCRIPTION
        && text
            .bytes()
            .all(|byte| matches!(byte, b' '..=b'~') && byte != b'@')
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte == b'_'
}

fn is_base64url(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

/// Whether a text starts as a URL does; a query has `=` or `&` before any
/// colon.
fn has_scheme(text: &str) -> bool {
    text.split_once(':').is_some_and(|(scheme, _)| {
        scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
    })
}

/// What of a callback must equal the redirect URI.
fn place(url: &Url) -> (&str, Option<&str>, Option<u16>, &str) {
    (
        url.scheme(),
        url.host_str(),
        url.port_or_known_default(),
        url.path(),
    )
}

fn host_and_path(url: &Url) -> &str {
    &url[Position::BeforeHost..Position::AfterPath]
}

/// The S256 challenge of RFC 7636, section 4.2.
fn challenge(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(verifier))
}

fn hmac(key: &[u8], parts: &[&[u8]]) -> Zeroizing<[u8; 32]> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    for part in parts {
        mac.update(part);
    }
    Zeroizing::new(mac.finalize().into_bytes().into())
}

#[cfg(test)]
mod tests;
