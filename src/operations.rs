//! The table of operations: scopes, restrictions, pages, sources.
//!
//! It holds what types can't say, for lists, checks and reports of your own:
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

/// One operation of the API: a method on a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Operation {
    /// The name, which is also that of the method of [`Client`](crate::Client).
    pub id: &'static str,
    /// The HTTP method, in upper case.
    pub method: &'static str,
    /// The path with its variables in braces: `/api/clinic/patients/{id}`.
    pub path: &'static str,
    /// What it does, in a few words.
    pub summary: &'static str,
    /// Whether the call carries a token; the OAuth operations do not.
    pub authenticated: bool,
    /// What the token must be good for: alternatives, each a list of scopes
    /// needed together. Empty where it is not known.
    pub scopes: &'static [&'static [&'static str]],
    /// How sure we are of the scopes: `documented`, `inferred`,
    /// `third-party`, `unknown`, or empty where none are needed.
    pub scopes_confidence: &'static str,
    /// Whether the vendor restricts it to approved partners. Informs only:
    /// the vendor decides who is approved, so no call is held back for it.
    pub requires_commercial_approval: bool,
    /// Whether it answers in pages, by `page[number]` and `page[size]`.
    pub paged: bool,
    /// Where the operation is described.
    pub sources: &'static [&'static str],
    /// The media type to declare for a body that the client sends as bytes.
    pub content_type: Option<&'static str>,
    /// How many variables the path has.
    pub(crate) variables: usize,
}

include!(concat!(env!("OUT_DIR"), "/operations.rs"));

/// All operations, sorted by id.
#[must_use]
pub fn all() -> &'static [Operation] {
    OPERATIONS
}

/// The operation of that id.
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

/// The operation that a method and a path lead to.
///
/// A literal path goes before one with variables: `/api/events/orders` is not
/// the event called `orders`.
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
        .filter(|operation| operation.is_for(method, path))
        .min_by_key(|operation| operation.variables)
}

impl Operation {
    /// Whether a method and a path lead to this operation, as [`at`] finds it;
    /// quicker, for nearly all others are not looked at.
    #[cfg(feature = "client")]
    pub(crate) fn is_at(&self, method: &str, path: &str) -> bool {
        let goes_before = |other: &Operation| other.variables < self.variables;
        let mut others = OPERATIONS.iter().filter(|other| goes_before(other));
        self.is_for(method, path) && !others.any(|other| other.is_for(method, path))
    }

    fn is_for(&self, method: &str, path: &str) -> bool {
        let fits = match self.variables {
            0 => self.path == path,
            _ => self.matches_path(path),
        };
        fits && self.method == method
    }

    /// Whether a path has the literal parts of this operation's, and something
    /// in place of each variable.
    fn matches_path(&self, path: &str) -> bool {
        let mut parts = path.split('/');
        let fits = self.path.split('/').all(|expected| {
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
        fits && parts.next().is_none()
    }
}

#[cfg(all(test, feature = "client"))]
mod tests {
    use super::*;

    #[test]
    fn an_operation_is_where_the_table_finds_it() {
        let parts: Vec<&str> = all().iter().flat_map(|o| o.path.split('/')).collect();
        let mut paths: Vec<String> = all().iter().map(|o| o.path.into()).collect();
        // Ids that are also the name of something, or nothing at all.
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
