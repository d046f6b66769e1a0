//! What an import did.

use std::collections::BTreeMap;
use std::fmt;

use crate::auth::error::AuthError;
use crate::auth::jobs::MAX_LISTED;
use crate::auth::token::RefreshFailureCause;
use crate::auth::user::UserKey;

/// The outcome of an import for one user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ImportOutcome {
    /// The tokens were saved, and proved if that was asked for. After a dry run: would be saved.
    Taken,
    /// The same tokens were imported before.
    Unchanged,
    /// The tokens are saved, and the refresh that was to prove them failed for a cause that says
    /// nothing about them.
    ///
    /// Import them again to repeat it.
    Unproven(RefreshFailureCause),
    /// The tokens were not taken, for this reason.
    Refused(ImportRefusal),
}

/// The reason why tokens were not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ImportRefusal {
    /// The user has no id, the refresh token is empty, or a token or a scope contains characters
    /// other than visible ASCII.
    ///
    /// Or the user's key contains white space or control characters, or the tenant a NUL, or one of
    /// them has more than 1,000 bytes.
    Invalid,
    /// The store has other tokens of this user, which may be newer.
    ///
    /// To overwrite them, call [`OAuthApp::forget`](crate::auth::OAuthApp::forget) first.
    NewerInStore,
    /// The server rejected the refresh token.
    ///
    /// The user must reconnect, and is saved with this mark so that
    /// [`OAuthApp::connections`](crate::auth::OAuthApp::connections) finds the user.
    Rejected,
    /// The server returned tokens of another user for this refresh token, or tokens that cannot be
    /// used.
    Unusable,
    /// The record of this user in the store cannot be decoded.
    Damaged,
}

impl ImportRefusal {
    /// Returns the name of the reason for metrics, such as `newer_in_store`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::NewerInStore => "newer_in_store",
            Self::Rejected => "rejected",
            Self::Unusable => "unusable",
            Self::Damaged => "damaged",
        }
    }
}

impl fmt::Display for ImportRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The result of an import of many users. Contains no token.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct ImportReport {
    /// The number of token sets that were read.
    pub read: u64,
    /// The number of token sets that were saved, or would be saved after a dry run.
    pub taken: u64,
    /// The number of token sets that were imported before.
    pub unchanged: u64,
    /// The number of token sets that are saved, and whose proof failed for another cause.
    pub unproven: u64,
    /// The numbers of token sets that were refused, by reason.
    pub refused: BTreeMap<ImportRefusal, u64>,
    /// The users whose tokens were refused or are unproven, the first 1,000 at most.
    pub failures: Vec<ImportFailure>,
    /// The error of the store, or of an app that was shut down, that stopped the import early.
    ///
    /// Import the same tokens again to continue.
    pub stopped: Option<AuthError>,
}

/// A user whose tokens were refused or are unproven.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ImportFailure {
    /// The user.
    pub user: UserKey,
    /// The outcome.
    pub outcome: ImportOutcome,
}

impl ImportReport {
    /// Returns whether all tokens were taken now or before.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.refused.is_empty() && self.unproven == 0 && self.stopped.is_none()
    }

    pub(super) fn add(&mut self, user: UserKey, outcome: ImportOutcome) {
        match outcome {
            ImportOutcome::Taken => self.taken += 1,
            ImportOutcome::Unchanged => self.unchanged += 1,
            ImportOutcome::Unproven(_) => self.unproven += 1,
            ImportOutcome::Refused(reason) => *self.refused.entry(reason).or_default() += 1,
        }
        let is_fine = matches!(outcome, ImportOutcome::Taken | ImportOutcome::Unchanged);
        if !is_fine && self.failures.len() < MAX_LISTED {
            self.failures.push(ImportFailure { user, outcome });
        }
    }
}
