//! A request as an operation with its arguments, and what is said to it.

use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use url::form_urlencoded;

use crate::operations::{self, Operation};
use crate::testing::server::script::{FakeRequest, Script};

/// A request that leads to an operation.
pub(in crate::testing) struct Call<'a> {
    pub(in crate::testing) operation: &'static Operation,
    /// The id of the user whose token it is.
    pub(in crate::testing) caller: String,
    /// The scopes of the token, as one text.
    pub(in crate::testing) scope: String,
    /// The variables of the path, by name.
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

    /// A variable of the path.
    pub(in crate::testing) fn variable(&self, name: &str) -> &str {
        let mut variables = self.variables.iter();
        let found = variables.find(|(own, _)| *own == name);
        found.map_or("", |(_, value)| value)
    }

    /// An argument of the query.
    pub(in crate::testing) fn argument(&self, name: &str) -> Option<&str> {
        let found = self.query.iter().find(|(own, _)| own == name);
        found.map(|(_, value)| value.as_str())
    }

    /// A header, by its name in lower case.
    pub(in crate::testing) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(own, _)| own == name);
        found.map(|(_, value)| value.as_str())
    }

    /// Whether the token has a scope.
    pub(in crate::testing) fn has_scope(&self, scope: &str) -> bool {
        let mut own = self.scope.split_whitespace();
        own.any(|own| own.eq_ignore_ascii_case(scope))
    }

    /// A field of the body; null where there is none.
    pub(in crate::testing) fn field(&self, name: &str) -> &Value {
        self.body.map_or(&Value::Null, |body| &body[name])
    }
}

/// Why a call is refused.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::testing) struct Refusal {
    status: u16,
    body: Value,
}

/// What an operation answers: status and body.
pub(in crate::testing) type Answer = Result<(u16, Value), Refusal>;

impl Refusal {
    /// Nothing has this id, in the body that Rails gives.
    pub(in crate::testing) fn not_found() -> Self {
        Self {
            status: 404,
            body: json!({"status": 404, "error": "Not Found"}),
        }
    }

    /// The arguments are wrong, for these reasons.
    pub(in crate::testing) fn unprocessable(reasons: &[String]) -> Self {
        Self {
            status: 422,
            body: json!({"error": reasons}),
        }
    }

    /// The token or the app is not good for it.
    pub(in crate::testing) fn forbidden(message: &str) -> Self {
        Self {
            status: 403,
            body: json!({"error": message}),
        }
    }

    /// Refuses where there is a reason to.
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

/// The id of an operation, which there must be.
pub(in crate::testing) fn known(operation_id: &str) -> &'static str {
    match operations::find(operation_id) {
        Some(operation) => operation.id,
        None => panic!("no operation is called `{operation_id}`, see `fullscript::operations`"),
    }
}
