//! A request as an operation with its arguments, and the reasons to reject it.

use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use url::form_urlencoded;

use crate::operations::{self, Operation};
use crate::testing::server::script::{FakeRequest, Script};

/// A request that matches an operation.
pub(in crate::testing) struct Call<'a> {
    pub(in crate::testing) operation: &'static Operation,
    /// The id of the user whose token was sent.
    pub(in crate::testing) caller: String,
    /// The scopes of the token, separated by spaces.
    pub(in crate::testing) scope: String,
    /// The path parameters by name.
    variables: Vec<(&'static str, String)>,
    pub(in crate::testing) query: Vec<(String, String)>,
    headers: &'a [(String, String)],
    /// The body, if it is JSON.
    pub(in crate::testing) body: Option<&'a Value>,
}

impl<'a> Call<'a> {
    pub(in crate::testing) fn new(
        operation: &'static Operation,
        asked: &'a FakeRequest,
        (caller, scope): (String, String),
    ) -> Self {
        let (path, query) = asked.target.split_once('?').unwrap_or((&asked.target, ""));
        let parts = operation.path.split('/').zip(path.split('/'));
        let variables = parts.filter_map(|(own, given)| {
            let name = own.strip_prefix('{')?.strip_suffix('}')?;
            let given = percent_decode_str(given).decode_utf8_lossy();
            Some((name, given.into_owned()))
        });
        Self {
            operation,
            caller,
            scope,
            headers: &asked.headers,
            variables: variables.collect(),
            query: form_urlencoded::parse(query.as_bytes())
                .into_owned()
                .collect(),
            body: asked.body.as_ref(),
        }
    }

    /// Returns a path parameter.
    pub(in crate::testing) fn variable(&self, name: &str) -> &str {
        let mut variables = self.variables.iter();
        let found = variables.find(|(own, _)| *own == name);
        found.map_or("", |(_, value)| value)
    }

    /// Returns a query parameter.
    pub(in crate::testing) fn argument(&self, name: &str) -> Option<&str> {
        let found = self.query.iter().find(|(own, _)| own == name);
        found.map(|(_, value)| value.as_str())
    }

    /// Returns a header by its name in lower case.
    pub(in crate::testing) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(own, _)| own == name);
        found.map(|(_, value)| value.as_str())
    }

    /// Returns whether the token has a scope.
    pub(in crate::testing) fn has_scope(&self, scope: &str) -> bool {
        let mut own = self.scope.split_whitespace();
        own.any(|own| own.eq_ignore_ascii_case(scope))
    }

    /// Returns a field of the body; null if it is missing.
    pub(in crate::testing) fn field(&self, name: &str) -> &Value {
        self.body.map_or(&Value::Null, |body| &body[name])
    }
}

/// The response that rejects a call.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::testing) struct Refusal {
    status: u16,
    body: Value,
}

/// The result of an operation: status and body, or a rejection.
pub(in crate::testing) type Answer = Result<(u16, Value), Refusal>;

impl Refusal {
    /// Creates a 404 with the body of Rails.
    pub(in crate::testing) fn not_found() -> Self {
        Self {
            status: 404,
            body: json!({"status": 404, "error": "Not Found"}),
        }
    }

    /// Creates a 422 with the given reasons.
    pub(in crate::testing) fn unprocessable(reasons: &[String]) -> Self {
        Self {
            status: 422,
            body: json!({"error": reasons}),
        }
    }

    /// Creates a 403: the token or the app lacks a permission.
    pub(in crate::testing) fn forbidden(message: &str) -> Self {
        Self {
            status: 403,
            body: json!({"error": message}),
        }
    }

    /// Returns a 422 if there are reasons.
    pub(in crate::testing) fn if_any(reasons: &[String]) -> Result<(), Self> {
        match reasons {
            [] => Ok(()),
            reasons => Err(Self::unprocessable(reasons)),
        }
    }
}

impl From<Refusal> for Script {
    fn from(refusal: Refusal) -> Self {
        Self::json(refusal.status, &refusal.body)
    }
}

/// Returns the id of an operation; panics for an unknown id.
pub(in crate::testing) fn known(operation_id: &str) -> &'static str {
    match operations::find(operation_id) {
        Some(operation) => operation.id,
        None => panic!("unknown operation id `{operation_id}`; see `fullscript::operations::all`"),
    }
}
