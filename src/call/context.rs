//! State that all calls of one client share, and the `Authorization` header.

use std::fmt;
use std::sync::Arc;

use reqwest::header::{self, HeaderValue};
use reqwest::{Request, Url};

use super::outcome::Failure;
use crate::auth::{AccessToken, Session};
use crate::transport::{CallOptions, Calls, Connected, HttpPools};

/// State that all calls of one client share.
#[derive(Clone)]
pub(crate) struct Context {
    pub(crate) http: Arc<HttpPools>,
    /// The base URL, parsed.
    pub(crate) base: Arc<Url>,
    pub(crate) credentials: Credentials,
    pub(crate) calls: Arc<Calls>,
    pub(crate) options: CallOptions,
}

/// The source of a call's access token.
#[derive(Clone)]
pub(crate) enum Credentials {
    /// The operation needs no token.
    NotNeeded,
    Missing,
    Fixed(AccessToken),
    User(Arc<Session>),
}

impl Context {
    pub(crate) fn new(connected: Connected, credentials: Credentials) -> Self {
        Self {
            http: connected.http,
            base: connected.base,
            credentials,
            calls: connected.calls,
            options: connected.options,
        }
    }

    /// Returns the HTTP client that builds requests.
    pub(crate) fn http(&self) -> reqwest::Client {
        self.http.http()
    }

    /// Returns the URL of a path below the base URL.
    ///
    /// The base URL is parsed only once, because parsing costs more than all other work before a
    /// request is sent.
    pub(crate) fn address(&self, path: &str) -> Url {
        let mut url = Url::clone(&self.base);
        match self.base_path() {
            "" => url.set_path(path),
            prefix => url.set_path(&format!("{prefix}{path}")),
        }
        url
    }

    /// Returns the path of the base URL, without a trailing slash.
    pub(crate) fn base_path(&self) -> &str {
        self.base.path().trim_end_matches('/')
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Context(..)")
    }
}

/// Sets the `Authorization` header.
pub(crate) fn authorize(request: &mut Request, token: &AccessToken) -> Result<(), Failure> {
    let mut bearer = bearer(token).ok_or(Failure::Invalid(
        "the access token is empty or has characters other than visible ASCII",
    ))?;
    bearer.set_sensitive(true);
    request.headers_mut().insert(header::AUTHORIZATION, bearer);
    Ok(())
}

/// Returns the header value, if the token consists of visible ASCII.
///
/// `HeaderValue` alone would also accept spaces and non-ASCII bytes.
fn bearer(token: &AccessToken) -> Option<HeaderValue> {
    if !token.is_sendable() {
        return None;
    }
    HeaderValue::try_from(["Bearer ", token.expose()].concat()).ok()
}
