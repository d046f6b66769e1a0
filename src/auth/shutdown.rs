//! The result of a shutdown.

use std::fmt;

use super::user::UserKey;

/// The calls and token operations that did not finish before the deadline of
/// [`OAuthApp::shutdown`](super::OAuthApp::shutdown) or
/// [`Client::shutdown`](crate::Client::shutdown).
///
/// `Display` and `Debug` show numbers only, no user's id.
#[derive(Clone, Default)]
pub struct Unfinished {
    pub(super) calls: usize,
    pub(super) unsaved: Vec<UserKey>,
    pub(super) running: Vec<UserKey>,
    pub(super) tasks: usize,
}

impl Unfinished {
    /// Returns the number of calls in flight.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.calls
    }

    /// Returns the users whose new tokens could not be saved.
    ///
    /// If the process ends now, the next refresh of such a user uses the old refresh token, which
    /// the vendor accepts until the new access token is used (documented). A user who has just
    /// connected must connect again.
    #[must_use]
    pub fn unsaved_users(&self) -> &[UserKey] {
        &self.unsaved
    }

    /// Returns the users with a running token refresh, save or revocation.
    #[must_use]
    pub fn running_users(&self) -> &[UserKey] {
        &self.running
    }

    /// Returns the number of running tasks: refreshes, saves, code exchanges and revocations.
    #[must_use]
    pub fn running_tasks(&self) -> usize {
        self.tasks
    }

    pub(crate) fn of_calls(calls: usize) -> Self {
        Self {
            calls,
            ..Self::default()
        }
    }

    /// Returns an error unless everything finished.
    pub(crate) fn into_result(self) -> Result<(), Self> {
        let is_empty = self.unsaved.is_empty() && self.running.is_empty();
        if is_empty && self.tasks == 0 && self.calls == 0 {
            Ok(())
        } else {
            Err(self)
        }
    }
}

impl fmt::Display for Unfinished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "shutdown: {} calls, {} running tasks and {} unsaved token sets at the deadline",
            self.calls,
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
