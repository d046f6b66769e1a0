//! The seam: what happens between a built request and its answer.

use std::fmt;
use std::sync::Arc;

use progenitor_client::{ClientHooks, ClientInfo, OperationInfo};
use reqwest::header::{self, HeaderValue};
use reqwest::{Request, Response};

use crate::auth::{AccessToken, Session};
use crate::call::Call;
use crate::calls::Calls;
use crate::ending::{Ending, Failure, Outcome};
use crate::generated::client::Client;
use crate::operations::{self, Operation};
use crate::options::CallOptions;

/// What every call of one client shares.
#[derive(Clone)]
pub struct Context {
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

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Context(..)")
    }
}

impl ClientHooks<Context> for Client {
    async fn exec(&self, mut request: Request, info: &OperationInfo) -> reqwest::Result<Response> {
        let operation = operations::find(info.operation_id);
        if let Some(operation) = operation {
            if !is_own_path(self.baseurl(), &request, operation) {
                let failure = Outcome::Failed(Failure::Invalid(
                    "an id in the path is empty or leads to another operation",
                ));
                let ending = Ending {
                    outcome: failure,
                    ..Ending::default()
                };
                return Ok(ending.travel_on(None));
            }
            // What can't be a header stays with the generator's own.
            if let Some(Ok(value)) = operation.content_type.map(HeaderValue::from_str) {
                request.headers_mut().insert(header::CONTENT_TYPE, value);
            }
        }
        // The generator adds the document's version to every request; the
        // vendor knows no such header.
        request.headers_mut().remove("api-version");
        Ok(Call::new(self.client(), self.inner(), operation)
            .make(request)
            .await)
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
    own.is_some_and(|path| operation.is_at(request.method().as_str(), path))
}
