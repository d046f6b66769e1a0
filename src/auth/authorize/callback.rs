//! Reads a callback into an [`AuthorizationCode`].

use std::borrow::Cow;
use std::fmt;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use subtle::ConstantTimeEq;
use url::{Url, form_urlencoded};
use zeroize::Zeroizing;

use super::Authorize;
use super::state::{MAX_STATE, State, seconds, signature};
use crate::auth::error::{AuthError, CallbackFault};
use crate::auth::token::ClientSecret;

/// A one-time authorization code, to be exchanged for tokens without delay.
///
/// It cannot be cloned, because the server accepts it only once.
pub struct AuthorizationCode {
    code: Zeroizing<String>,
    verifier: Option<Zeroizing<String>>,
    payload: Option<Zeroizing<String>>,
    received_at: SystemTime,
    tenant: Option<String>,
}

impl AuthorizationCode {
    /// Returns the payload of the authorization request, or `None` if it was empty.
    #[must_use]
    pub fn payload(&self) -> Option<&str> {
        self.payload.as_deref().map(String::as_str)
    }

    /// Returns the time at which the callback was read.
    #[must_use]
    pub fn received_at(&self) -> SystemTime {
        self.received_at
    }

    /// Returns whether the code is expired at `now`.
    ///
    /// A code is valid for 10 minutes. If the clock was set back, this returns `false`, and the
    /// server decides.
    #[must_use]
    pub fn is_expired(&self, now: SystemTime) -> bool {
        now.duration_since(self.received_at)
            .is_ok_and(|age| age >= CODE_LIFETIME)
    }

    /// Sets the application's own reference of the connection, for example the id of a clinic or
    /// tenant.
    ///
    /// Without it, a user who reconnects keeps the reference of the connection before;
    /// [`OAuthApp::set_tenant`](crate::auth::OAuthApp::set_tenant) changes it later.
    /// [`OAuthApp::connections`](crate::auth::OAuthApp::connections) finds it.
    #[must_use]
    pub fn tenant(mut self, tenant: impl Into<String>) -> Self {
        self.tenant = Some(tenant.into());
        self
    }

    pub(crate) fn take_tenant(&mut self) -> Option<String> {
        self.tenant.take()
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

/// Returns the decoded value of a query parameter, which must occur at most once.
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

/// Converts the server's `error` into a fault.
///
/// An unreadable description is dropped, so that the server's error is reported and not the
/// description's.
fn refusal(error: &str, query: &str, remembered: &State) -> CallbackFault {
    if error == "access_denied" {
        return CallbackFault::Denied;
    }
    // The server may quote parts of the request, and both texts end up in logs.
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

/// Returns whether a text starts with a URL scheme. A query has `=` or `&` before any colon.
fn has_scheme(text: &str) -> bool {
    text.split_once(':').is_some_and(|(scheme, _)| {
        scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
    })
}

/// Returns the parts of a URL that a callback shares with the redirect URI.
fn scheme_host_port_path(url: &Url) -> (&str, Option<&str>, Option<u16>, &str) {
    (
        url.scheme(),
        url.host_str(),
        url.port_or_known_default(),
        url.path(),
    )
}

/// The lifetime of a code: 10 minutes (source: the vendor's page on requesting a code).
///
/// It is counted from the receipt of the callback, because the callback does not contain the time
/// of issue.
const CODE_LIFETIME: Duration = Duration::from_secs(10 * 60);

/// The maximum length of a value. The vendor's examples have at most 64 characters and may grow.
const MAX_VALUE: usize = 1_024;

/// The maximum length of an error code that is shown.
const MAX_SHOWN_ERROR: usize = 64;

impl Authorize<'_> {
    /// Reads the callback: a full URL, its path and query, or its query.
    ///
    /// The state is verified before any other value is used. The server's `error` takes precedence
    /// over the code.
    pub(crate) fn callback(
        &self,
        callback: &str,
        remembered: &State,
    ) -> Result<AuthorizationCode, AuthError> {
        Ok(self.read(callback, remembered)?)
    }

    pub(super) fn read(
        &self,
        callback: &str,
        remembered: &State,
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
            received_at: self.now,
            tenant: None,
        })
    }

    /// Returns the query of the callback, if its address is the redirect URI or absent.
    fn query<'c>(&self, callback: &'c str) -> Result<Cow<'c, str>, CallbackFault> {
        let address = if callback.starts_with('/') {
            // Joined as a URL, because `//host/path` contains a host.
            self.redirect_uri.url().join(callback)
        } else if has_scheme(callback) {
            Url::parse(callback)
        } else {
            let query = callback.strip_prefix('?').unwrap_or(callback);
            let end = query.find('#').unwrap_or(query.len());
            return Ok(Cow::Borrowed(&query[..end]));
        };
        let address = address.map_err(|_| CallbackFault::WrongAddress)?;
        if scheme_host_port_path(&address) != scheme_host_port_path(self.redirect_uri.url()) {
            return Err(CallbackFault::WrongAddress);
        }
        Ok(Cow::Owned(address.query().unwrap_or_default().to_owned()))
    }

    /// Returns the payload of a state, if this app signed it and it is not too old.
    fn payload(&self, state: &str) -> Result<Option<Zeroizing<String>>, CallbackFault> {
        let parts: Vec<&str> = state.split('.').collect();
        let [random, issued_at, payload, given] = parts[..] else {
            return Err(CallbackFault::StateForged);
        };
        let is_signed_with = |secret: &ClientSecret| {
            let expected = signature(secret.expose(), random, issued_at, payload);
            bool::from(given.as_bytes().ct_eq(expected.as_bytes()))
        };
        let alternate = self.secrets.alternate.as_ref();
        if !is_signed_with(&self.secrets.current) && !alternate.is_some_and(is_signed_with) {
            return Err(CallbackFault::StateForged);
        }
        let issued_at = issued_at.parse().map_err(|_| CallbackFault::StateForged)?;
        // A time in the future is that of a server whose clock is ahead, within the same bound.
        if seconds(self.now).abs_diff(issued_at) > self.state_lifetime.as_secs() {
            return Err(CallbackFault::StateExpired);
        }
        let payload = URL_SAFE_NO_PAD
            .decode(payload)
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .ok_or(CallbackFault::StateForged)?;
        Ok((!payload.is_empty()).then(|| Zeroizing::new(payload)))
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte == b'_'
}
