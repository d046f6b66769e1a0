//! The settings of a fake's responses.

use super::server::permission::all_scopes;

/// The settings of a fake's responses.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    /// Whether all responses are the recorded ones, regardless of the request.
    pub(super) stateless: bool,
    /// Whether calls are accepted that do not match the document.
    pub(super) lenient: bool,
    /// The scopes of the app, separated by spaces.
    pub(super) scope: String,
    /// Whether the vendor has approved the app.
    pub(super) approved: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            stateless: false,
            lenient: false,
            scope: all_scopes(),
            approved: true,
        }
    }
}

/// Joins scopes with spaces, as in a token response.
pub(super) fn joined<S: AsRef<str>>(scopes: impl IntoIterator<Item = S>) -> String {
    let scopes = scopes.into_iter().map(|scope| scope.as_ref().to_string());
    scopes.collect::<Vec<_>>().join(" ")
}
