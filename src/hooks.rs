//! The seam: what happens between a built request and its answer.

use std::fmt;
use std::sync::Arc;

use progenitor_client::{ClientHooks, ClientInfo, OperationInfo};
use reqwest::header::{self, HeaderValue};
use reqwest::{Request, Response};

use crate::error::Error;
use crate::generated::client::Client;
use crate::operations::{self, Operation};
use crate::token::AccessToken;

/// What every call of one client shares.
#[derive(Clone)]
pub struct Context(Arc<Shared>);

struct Shared {
    token: Option<AccessToken>,
}

impl Context {
    pub(crate) fn new(token: Option<AccessToken>) -> Self {
        Self(Arc::new(Shared { token }))
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
struct Failure(String);

fn fail(reason: impl Into<String>) -> Response {
    let mut response = http_response();
    response.extensions_mut().insert(Failure(reason.into()));
    response
}

fn http_response() -> Response {
    Response::from(http::Response::new(Vec::new()))
}

/// The failure that an answer carries, if it was made up here.
pub(crate) fn take_failure(response: &Response, operation_id: &'static str) -> Option<Error> {
    let Failure(reason) = response.extensions().get()?;
    Some(Error::invalid_request(operation_id, reason.clone()))
}

impl ClientHooks<Context> for Client {
    async fn exec(&self, mut request: Request, info: &OperationInfo) -> reqwest::Result<Response> {
        let operation = operations::find(info.operation_id);
        if let Some(operation) = operation {
            if !is_own_path(self.baseurl(), &request, operation) {
                return Ok(fail(
                    "an id in the path is empty or leads to another operation",
                ));
            }
            if let Some(content_type) = operation.content_type {
                let value = HeaderValue::from_static(content_type);
                request.headers_mut().insert(header::CONTENT_TYPE, value);
            }
        }
        // The generator adds the document's version to every request; the
        // vendor knows no such header.
        request.headers_mut().remove("api-version");
        if operation.is_none_or(|operation| operation.authenticated) {
            let Some(token) = &self.inner().0.token else {
                return Ok(fail("no access token, give the client one"));
            };
            let Some(mut bearer) = bearer(token) else {
                return Ok(fail(
                    "the access token is empty or has characters that no token has",
                ));
            };
            bearer.set_sensitive(true);
            request.headers_mut().insert(header::AUTHORIZATION, bearer);
        }
        self.client().execute(request).await
    }
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
