//! What every call of one client shares, and the header with its token.

use std::fmt;
use std::sync::Arc;

use reqwest::header::{self, HeaderValue};
use reqwest::{Request, Url};

use super::outcome::Failure;
use crate::auth::{AccessToken, Session};
use crate::transport::CallOptions;
use crate::transport::Calls;

/// What every call of one client shares.
#[derive(Clone)]
pub(crate) struct Context {
    pub(crate) http: reqwest::Client,
    /// The base URL, parsed.
    pub(crate) base: Arc<Url>,
    pub(crate) credentials: Credentials,
    pub(crate) calls: Arc<Calls>,
    pub(crate) options: CallOptions,
}

/// Where a call's token comes from.
#[derive(Clone)]
pub(crate) enum Credentials {
    /// The operation takes none.
    NotNeeded,
    Missing,
    Fixed(AccessToken),
    User(Arc<Session>),
}

impl Context {
    /// The address of a path below the base URL.
    ///
    /// To parse the whole of it for each call costs more than all else that
    /// is done before the request leaves.
    pub(crate) fn address(&self, path: &str) -> Url {
        let mut url = Url::clone(&self.base);
        match self.base_path() {
            "" => url.set_path(path),
            prefix => url.set_path(&format!("{prefix}{path}")),
        }
        url
    }

    /// The path of the base URL, without a slash at its end.
    pub(crate) fn base_path(&self) -> &str {
        self.base.path().trim_end_matches('/')
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Context(..)")
    }
}

pub(crate) fn authorize(request: &mut Request, token: &AccessToken) -> Result<(), Failure> {
    let mut bearer = bearer(token).ok_or(Failure::Invalid(
        "the access token is empty or has characters that no token has",
    ))?;
    bearer.set_sensitive(true);
    request.headers_mut().insert(header::AUTHORIZATION, bearer);
    Ok(())
}

/// The value of the header, if the token is visible ASCII: a header would take
/// spaces and other bytes too.
fn bearer(token: &AccessToken) -> Option<HeaderValue> {
    let token = token.expose();
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return None;
    }
    HeaderValue::try_from(["Bearer ", token].concat()).ok()
}
