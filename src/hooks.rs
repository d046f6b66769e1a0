//! The seam: what happens between a built request and its answer.

use std::fmt;
use std::sync::Arc;

use progenitor_client::{ClientHooks, ClientInfo, OperationInfo};
use reqwest::header::{self, HeaderValue};
use reqwest::{Request, Response, StatusCode};

use crate::auth::{AccessToken, AuthError, Session};
use crate::error::Error;
use crate::generated::client::Client;
use crate::operations::{self, Operation};

/// What every call of one client shares: where its token comes from.
#[derive(Clone)]
pub struct Context(Credentials);

#[derive(Clone)]
enum Credentials {
    None,
    Fixed(AccessToken),
    User(Arc<Session>),
}

impl Context {
    pub(crate) fn new(token: Option<AccessToken>) -> Self {
        Self(token.map_or(Credentials::None, Credentials::Fixed))
    }

    pub(crate) fn for_user(session: Arc<Session>) -> Self {
        Self(Credentials::User(session))
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Context(..)")
    }
}

/// A failure of ours on its way through the generated code, which lets
/// `exec` fail with an error of reqwest's only: it travels as an extension
/// of a made-up answer and is taken out again by [`take_failure`].
#[derive(Clone)]
enum Failure {
    Invalid(&'static str),
    Auth(AuthError),
}

fn fail(failure: Failure) -> Response {
    let mut response = Response::from(http::Response::new(Vec::new()));
    response.extensions_mut().insert(failure);
    response
}

/// The failure that an answer carries, if it was made up here.
pub(crate) fn take_failure(response: &Response, operation_id: &'static str) -> Option<Error> {
    Some(match response.extensions().get::<Failure>()? {
        Failure::Invalid(reason) => Error::invalid_request(operation_id, (*reason).into()),
        Failure::Auth(error) => Error::auth(operation_id, error.clone()),
    })
}

impl ClientHooks<Context> for Client {
    async fn exec(&self, mut request: Request, info: &OperationInfo) -> reqwest::Result<Response> {
        let operation = operations::find(info.operation_id);
        if let Some(operation) = operation {
            if !is_own_path(self.baseurl(), &request, operation) {
                return Ok(fail(Failure::Invalid(
                    "an id in the path is empty or leads to another operation",
                )));
            }
            // What can't be a header stays with the generator's own.
            if let Some(Ok(value)) = operation.content_type.map(HeaderValue::from_str) {
                request.headers_mut().insert(header::CONTENT_TYPE, value);
            }
        }
        // The generator adds the document's version to every request; the
        // vendor knows no such header.
        request.headers_mut().remove("api-version");
        if operation.is_some_and(|operation| !operation.authenticated) {
            return self.client().execute(request).await;
        }
        let session = match &self.inner().0 {
            Credentials::None => {
                return Ok(fail(Failure::Invalid(
                    "no access token, give the client one",
                )));
            }
            Credentials::Fixed(token) => {
                return match authorize(&mut request, token) {
                    Err(failure) => Ok(fail(failure)),
                    Ok(()) => self.client().execute(request).await,
                };
            }
            Credentials::User(session) => session,
        };
        let mut tokens = match session.tokens().await {
            Ok(tokens) => tokens,
            Err(error) => return Ok(fail(Failure::Auth(error))),
        };
        // None for a body that is read once: such a request is sent once.
        let spare = request.try_clone();
        if let Err(failure) = authorize(&mut request, &tokens.access_token) {
            return Ok(fail(failure));
        }
        let response = self.client().execute(request).await?;
        let Some(mut replay) = spare.filter(|_| response.status() == StatusCode::UNAUTHORIZED)
        else {
            return Ok(response);
        };
        // The token may have died since: of a refresh elsewhere, or of a
        // revocation. Whoever has a newer one by now shares it.
        drop(response);
        tokens = match session.renew(tokens.generation).await {
            Ok(tokens) => tokens,
            Err(error) => return Ok(fail(Failure::Auth(error))),
        };
        match authorize(&mut replay, &tokens.access_token) {
            Err(failure) => Ok(fail(failure)),
            Ok(()) => self.client().execute(replay).await,
        }
    }
}

fn authorize(request: &mut Request, token: &AccessToken) -> Result<(), Failure> {
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
    HeaderValue::try_from(format!("Bearer {token}")).ok()
}

/// An id as one part of a path.
///
/// The generator's own function leaves the backslash, which an address takes
/// for a slash: `x\..\y` would be `y`.
pub(crate) fn encode_path(id: &str) -> String {
    progenitor_client::encode_path(id).replace('\\', "%5C")
}

/// Whether the request still goes to the operation that was called.
fn is_own_path(base_url: &str, request: &Request, operation: &Operation) -> bool {
    let prefix = base_url.splitn(4, '/').nth(3).unwrap_or_default();
    let path = request.url().path();
    let own = if prefix.is_empty() {
        Some(path)
    } else {
        path.strip_prefix('/')
            .and_then(|path| path.strip_prefix(prefix))
    };
    let leads_to = own.and_then(|path| operations::at(request.method().as_str(), path));
    leads_to.is_some_and(|found| found.id == operation.id)
}
