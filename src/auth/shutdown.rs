//! The result of a shutdown.

use std::fmt;

/// The token operations that [`OAuthApp::shutdown`](super::OAuthApp::shutdown) did not see finish.
///
/// `Display` and `Debug` show numbers only, no user's id.
#[derive(Clone)]
pub struct Unfinished {
    pub(super) unsaved: Vec<String>,
    pub(super) running: Vec<String>,
    pub(super) tasks: usize,
}

impl Unfinished {
    /// Returns the users whose new tokens could not be saved.
    ///
    /// If the process ends now, the next refresh of such a user uses the old refresh token, which
    /// the vendor accepts until the new access token is used (documented). A user who has just
    /// connected must connect again.
    #[must_use]
    pub fn unsaved_users(&self) -> &[String] {
        &self.unsaved
    }

    /// Returns the users with a running token refresh, save or revocation.
    #[must_use]
    pub fn running_users(&self) -> &[String] {
        &self.running
    }

    /// Returns the number of running tasks: refreshes, saves, code exchanges and revocations.
    #[must_use]
    pub fn running_tasks(&self) -> usize {
        self.tasks
    }

    pub(super) fn is_empty(&self) -> bool {
        self.unsaved.is_empty() && self.running.is_empty() && self.tasks == 0
    }
}

impl fmt::Display for Unfinished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "shutdown: {} running tasks and {} unsaved token sets at the deadline",
            self.tasks,
            self.unsaved.len()
        )
    }
}

impl fmt::Debug for Unfinished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Unfinished({self})")
    }
}

impl std::error::Error for Unfinished {}
