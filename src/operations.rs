//! The table of operations: scopes, restrictions, pagination, sources.
//!
//! The table contains the facts that types do not express, for reports and checks in your own
//! code:
//!
//! ```
//! use fullscript::operations;
//!
//! for operation in operations::all() {
//!     if operation.requires_commercial_approval {
//!         println!("{} {} {}", operation.id, operation.method, operation.path);
//!     }
//! }
//! let scopes = operations::find("list_patients").unwrap().scopes;
//! assert_eq!(scopes, [["patients:read"]]);
//! ```

use std::collections::BTreeSet;
use std::fmt;

/// An operation of the API: a method on a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Operation {
    /// The id, which is also the name of the method of [`Client`](crate::Client).
    pub id: &'static str,
    /// The HTTP method, in upper case.
    pub method: &'static str,
    /// The path with its variables in braces: `/api/clinic/patients/{id}`.
    pub path: &'static str,
    /// A short description.
    pub summary: &'static str,
    /// Whether the request carries an access token. `false` for the OAuth operations.
    pub authenticated: bool,
    /// The scopes that the token needs: alternatives, each a list of scopes that are needed
    /// together. Empty if unknown or if no scope is needed.
    pub scopes: &'static [&'static [&'static str]],
    /// The reliability of `scopes`: `documented`, `inferred`, `third-party`, `unknown`, or empty if
    /// no scope is needed.
    pub scopes_confidence: &'static str,
    /// Whether the vendor restricts the operation to approved partners.
    ///
    /// The client sends such calls anyway, because only the vendor knows who is approved.
    pub requires_commercial_approval: bool,
    /// Whether the response is paginated by `page[number]` and `page[size]`.
    pub paged: bool,
    /// The sources that document the operation.
    pub sources: &'static [&'static str],
    /// The `Content-Type` of a body that the client sends as bytes.
    pub content_type: Option<&'static str>,
    /// The number of variables in the path.
    pub(crate) variables: usize,
}

include!(concat!(env!("OUT_DIR"), "/operations.rs"));

/// Returns all operations, sorted by id.
#[must_use]
pub fn all() -> &'static [Operation] {
    OPERATIONS
}

/// Returns the operation with this id.
///
/// ```
/// let operation = fullscript::operations::find("list_products").unwrap();
/// assert!(operation.requires_commercial_approval);
/// ```
#[must_use]
pub fn find(id: &str) -> Option<&'static Operation> {
    let index = OPERATIONS.binary_search_by(|operation| operation.id.cmp(id));
    Some(&OPERATIONS[index.ok()?])
}

/// Returns the operation that serves a method and a path.
///
/// A literal path takes precedence over a path with variables: `/api/events/orders` is not the
/// event with the id `orders`.
///
/// ```
/// use fullscript::operations::at;
///
/// assert_eq!(at("GET", "/api/events/orders").unwrap().id, "list_order_events");
/// assert_eq!(at("GET", "/api/events/81").unwrap().id, "get_event");
/// assert!(at("GET", "/api/events/").is_none());
/// ```
#[must_use]
pub fn at(method: &str, path: &str) -> Option<&'static Operation> {
    OPERATIONS
        .iter()
        .filter(|operation| operation.matches(method, path))
        .min_by_key(|operation| operation.variables)
}

/// Returns the scopes that an app needs for the operations with these ids, sorted.
///
/// Of an operation with alternatives, the one is chosen that adds the fewest scopes to those that
/// the other operations need; of two that add as many, the first in [`Operation::scopes`].
/// The order of the ids does not matter.
/// An operation whose scopes are unknown adds none: see [`Operation::scopes_confidence`].
///
/// # Errors
///
/// Returns an error for an id that no operation has, because the app would ask for too little.
///
/// # Examples
///
/// Which users must reconnect before the app can read orders?
///
/// ```
/// use fullscript::operations::scopes_for;
///
/// let needed = scopes_for(["list_patients", "list_orders"])?;
/// assert_eq!(needed, ["patients:order_history", "patients:read"]);
/// // `patients:read` is one of two alternatives of this operation.
/// assert_eq!(scopes_for(["get_treatment_plan", "list_patients"])?, ["patients:read"]);
/// assert!(scopes_for(["list_patient"]).is_err());
/// # Ok::<_, fullscript::operations::UnknownOperation>(())
/// ```
#[cfg_attr(
    feature = "client",
    doc = r#"
```no_run
# async fn example(app: fullscript::auth::OAuthApp) -> Result<(), Box<dyn std::error::Error>> {
use fullscript::operations::scopes_for;

let needed = scopes_for(["list_patients", "list_orders"])?;
if let Some(connection) = app.connection("7f3d0c1e").await? {
    for scope in connection.lacks(needed) {
        println!("{} must reconnect to grant {scope}", connection.user);
    }
}
# Ok(())
# }
```"#
)]
pub fn scopes_for<S: AsRef<str>>(
    ids: impl IntoIterator<Item = S>,
) -> Result<Vec<&'static str>, UnknownOperation> {
    let mut operations = Vec::new();
    for id in ids {
        let operation = find(id.as_ref()).ok_or_else(|| UnknownOperation {
            id: id.as_ref().to_owned(),
        })?;
        operations.push(operation);
    }
    // First those without a choice, then in the order of the table.
    operations.sort_by_key(|operation| (operation.scopes.len(), operation.id));
    let mut needed = BTreeSet::new();
    for operation in operations {
        let added = |scopes: &&&[&str]| scopes.iter().filter(|it| !needed.contains(*it)).count();
        if let Some(cheapest) = operation.scopes.iter().min_by_key(added) {
            needed.extend(*cheapest);
        }
    }
    Ok(needed.into_iter().collect())
}

/// An id that no operation has; returned by [`scopes_for`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnknownOperation {
    /// The id.
    pub id: String,
}

impl fmt::Display for UnknownOperation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = &self.id;
        write!(
            f,
            "operations: no operation has the id {id:?}; compare it with `operations::all`"
        )
    }
}

impl std::error::Error for UnknownOperation {}

impl Operation {
    /// Returns whether [`at`] finds this operation for a method and a path.
    ///
    /// Faster than [`at`], because it compares only operations with fewer variables.
    #[cfg(feature = "client")]
    pub(crate) fn is_at(&self, method: &str, path: &str) -> bool {
        let takes_precedence = |other: &Operation| other.variables < self.variables;
        let mut others = OPERATIONS.iter().filter(|other| takes_precedence(other));
        self.matches(method, path) && !others.any(|other| other.matches(method, path))
    }

    fn matches(&self, method: &str, path: &str) -> bool {
        let path_matches = match self.variables {
            0 => self.path == path,
            _ => self.matches_path(path),
        };
        path_matches && self.method == method
    }

    /// Returns whether a path has this operation's literal parts and a non-empty value for each
    /// variable.
    fn matches_path(&self, path: &str) -> bool {
        let mut parts = path.split('/');
        let matches = self.path.split('/').all(|expected| {
            parts
                .next()
                .is_some_and(|part| match expected.split_once('{') {
                    None => part == expected,
                    Some((before, rest)) => {
                        let after = rest.rsplit_once('}').map_or("", |(_, after)| after);
                        part.len() > before.len() + after.len()
                            && part.starts_with(before)
                            && part.ends_with(after)
                    }
                })
        });
        matches && parts.next().is_none()
    }
}

#[cfg(all(test, feature = "client"))]
mod tests {
    use super::*;

    #[test]
    fn is_at_agrees_with_at() {
        let parts: Vec<&str> = all().iter().flat_map(|o| o.path.split('/')).collect();
        let mut paths: Vec<String> = all().iter().map(|o| o.path.into()).collect();
        // Ids that equal a literal part of another path, an empty id and a dot.
        for operation in all().iter().filter(|operation| operation.variables > 0) {
            for part in parts.iter().copied().chain(["", "."]) {
                let filled = operation.path.split('/').map(|own| match own.find('{') {
                    None => own.to_string(),
                    Some(start) => format!("{}{part}", &own[..start]),
                });
                paths.push(filled.collect::<Vec<_>>().join("/"));
            }
        }
        paths.sort();
        paths.dedup();
        assert!(paths.len() > 1_000);
        for path in &paths {
            for method in ["GET", "POST", "PATCH", "PUT", "DELETE"] {
                let found = at(method, path).map(|found| found.id);
                let mut own = all().iter().filter(|own| own.is_at(method, path));
                assert_eq!(own.next().map(|own| own.id), found, "{method} {path}");
                assert!(own.next().is_none(), "{method} {path}");
            }
        }
    }
}
