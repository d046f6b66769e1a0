//! Starts a call from a request that the generated code built: checks its path, sets its
//! content type.

use reqwest::Request;
use reqwest::header::{self, HeaderValue};

use super::Call;
use super::context::Context;
use crate::error::Error;
use crate::operations::Operation;

/// Starts a call with a request that was built for it. `operation` is none where the path is
/// no operation's.
pub(crate) fn call<'c>(
    operation: Option<&'static Operation>,
    context: &'c Context,
    mut request: Request,
) -> Result<Call<'c>, Error> {
    if let Some(operation) = operation {
        if !is_own_path(context, &request, operation) {
            let reason = "an id in the path is empty or leads to another operation";
            return Err(Error::invalid_request(operation.id, reason.into()));
        }
        // What can't be a header stays with the generator's own.
        if let Some(Ok(value)) = operation.content_type.map(HeaderValue::from_str) {
            request.headers_mut().insert(header::CONTENT_TYPE, value);
        }
    }
    Ok(Call::new(context, operation, request))
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
