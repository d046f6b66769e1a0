//! Creates a call from a request that the generated code built: checks its path, sets its content
//! type.

use reqwest::Request;
use reqwest::header::{self, HeaderValue};

use super::Call;
use super::context::Context;
use crate::error::Error;
use crate::operations::Operation;

/// The longest URL that the `http` crate accepts, in bytes. Beyond it, each attempt would fail as if
/// the connection had failed.
const MAX_URL: usize = 65_534;

/// Creates a call from a built request. `operation` is `None` for a path without an operation.
pub(crate) fn call<'c>(
    operation: Option<&'static Operation>,
    context: &'c Context,
    mut request: Request,
) -> Result<Call<'c>, Error> {
    if request.url().as_str().len() > MAX_URL {
        let id = operation.map_or("", |operation| operation.id);
        let reason = format!("the URL with its query is longer than {MAX_URL} bytes");
        return Err(Error::invalid_request(id, reason));
    }
    if let Some(operation) = operation {
        if !is_own_path(context, &request, operation) {
            let reason = "an id in the path is empty or leads to another operation";
            return Err(Error::invalid_request(operation.id, reason.into()));
        }
        // If the value is not a valid header, the content type of the generated code stays.
        if let Some(Ok(value)) = operation.content_type.map(HeaderValue::from_str) {
            request.headers_mut().insert(header::CONTENT_TYPE, value);
        }
    }
    Ok(Call::new(context, operation, request))
}

/// Encodes an id as one path segment.
///
/// The generator's function does not encode the backslash, which a URL parser reads as a slash:
/// `x\..\y` would become `y`.
pub(crate) fn encode_path(id: &str) -> String {
    progenitor_client::encode_path(id).replace('\\', "%5C")
}

/// Returns whether the path of the request still leads to the operation.
///
/// An id that is empty or `..` would lead elsewhere.
fn is_own_path(context: &Context, request: &Request, operation: &Operation) -> bool {
    if operation.variables == 0 {
        return true;
    }
    let path = request.url().path();
    let own = path.strip_prefix(context.base_path());
    own.is_some_and(|path| operation.is_at(request.method().as_str(), path))
}
