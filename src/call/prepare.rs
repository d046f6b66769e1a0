//! Creates a call from a request that the generated code built: checks its path, sets its content
//! type.

use reqwest::header::{self, HeaderValue};
use reqwest::{Body, Request};
use serde_json::Value;

use super::Call;
use super::context::{Context, Credentials};
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
        if let Some(reason) = lacks_acting_user(context, &request, operation) {
            return Err(Error::lacks_acting_user(operation.id, reason));
        }
        // If the value is not a valid header, the content type of the generated code stays.
        if let Some(Ok(value)) = operation.content_type.map(HeaderValue::from_str) {
            request.headers_mut().insert(header::CONTENT_TYPE, value);
        }
    }
    Ok(Call::new(context, operation, request))
}

/// Returns the reason why a request cannot be sent, if it must name a practitioner or a user because
/// the token is not a practitioner's (documented).
///
/// The kind of a fixed token is not known, and a streamed body cannot be read.
fn lacks_acting_user(
    context: &Context,
    request: &Request,
    operation: &Operation,
) -> Option<&'static str> {
    let Credentials::User(session) = &context.credentials else {
        return None;
    };
    let (needed, reason): (&[&str], _) = match (operation.id, session.user().kind()) {
        ("create_treatment_plan", "Staff" | "Clinic") => (
            &["practitioner_id"],
            "the token of a staff member or a clinic belongs to no practitioner; set \
             `practitioner_id`",
        ),
        ("create_session_grant", "Clinic") => (
            &["user_id", "user_type"],
            "the token of a clinic belongs to no user; set `user_id` and `user_type`",
        ),
        _ => return None,
    };
    let body = match request.body().map(Body::as_bytes) {
        None => Value::Null,
        Some(bytes) => serde_json::from_slice(bytes?).ok()?,
    };
    let is_blank = |name: &str| match &body[name] {
        Value::String(text) => text.trim().is_empty(),
        value => value.is_null(),
    };
    needed.iter().any(|name| is_blank(name)).then_some(reason)
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
