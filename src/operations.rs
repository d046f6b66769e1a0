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
