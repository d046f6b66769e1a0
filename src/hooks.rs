//! The seam: what happens between a built request and its answer.

use std::fmt;
use std::sync::Arc;

use progenitor_client::ClientInfo;
use reqwest::header::{self, HeaderValue};
use reqwest::{Request, Url};

use crate::auth::{AccessToken, Session};
use crate::call::Call;
use crate::calls::Calls;
use crate::ending::Failure;
use crate::error::Error;
use crate::generated::client::Client;
use crate::operations::Operation;
use crate::options::CallOptions;

/// What every call of one client shares.
#[derive(Clone)]
pub struct Context {
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

/// The call of an operation, if it is one's, with the request that was built
/// for it.
pub(crate) fn call<'c>(
    operation: Option<&'static Operation>,
    built: Result<(&'c Client, Request), Error>,
) -> Result<Call<'c>, Error> {
    let (client, mut request) = built?;
    if let Some(operation) = operation {
        if !is_own_path(client.inner(), &request, operation) {
            let reason = "an id in the path is empty or leads to another operation";
            return Err(Error::invalid_request(operation.id, reason.into()));
        }
        // What can't be a header stays with the generator's own.
        if let Some(Ok(value)) = operation.content_type.map(HeaderValue::from_str) {
            request.headers_mut().insert(header::CONTENT_TYPE, value);
        }
    }
    Ok(Call::new(
        client.client(),
        client.inner(),
        operation,
        request,
    ))
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

/// An id as one part of a path.
///
/// The generator's own function leaves the backslash, which an address takes
/// for a slash: `x\..\y` would be `y`.
pub(crate) fn encode_path(id: &str) -> String {
    progenitor_client::encode_path(id).replace('\\', "%5C")
}

/// Whether the request still goes to the operation that was called.
fn is_own_path(context: &Context, request: &Request, operation: &Operation) -> bool {
    if operation.variables == 0 {
        return true;
    }
    let path = request.url().path();
    let own = path.strip_prefix(context.base_path());
    own.is_some_and(|path| operation.is_at(request.method().as_str(), path))
}
