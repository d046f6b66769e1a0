//! How a fake answers.

use super::server::permission::all_scopes;

/// How a fake answers.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    /// Whether all answers are the recorded ones, whatever is asked.
    pub(super) stateless: bool,
    /// Whether calls are taken that are not as the document has them.
    pub(super) lenient: bool,
    /// The scopes that the app has, as one text.
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

/// Scopes as a token has them.
pub(super) fn joined<S: AsRef<str>>(scopes: impl IntoIterator<Item = S>) -> String {
    let scopes = scopes.into_iter().map(|scope| scope.as_ref().to_string());
    scopes.collect::<Vec<_>>().join(" ")
}
