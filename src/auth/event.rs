//! Events about the connections of an app's users, and about the app's token store.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, SystemTime};

use super::token::RefreshFailureCause;
use super::user::UserKey;

/// An event about a user's connection or about the token store, passed to
/// [`OAuthAppBuilder::on_event`](super::OAuthAppBuilder::on_event).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AuthEvent {
    /// The user has connected, and the tokens are saved.
    Connected {
        /// The user's key.
        user: UserKey,
    },
    /// The user's tokens were imported by [`OAuthApp::import`](super::OAuthApp::import) and are
    /// saved.
    Imported {
        /// The user's key.
        user: UserKey,
    },
    /// The tokens were refreshed, and the new ones are saved.
    Refreshed {
        /// The user's key.
        user: UserKey,
        /// The times of the refresh.
        timing: RefreshTiming,
    },
    /// A token refresh failed, and the refresh token was not rejected.
    ///
    /// Calls succeed until `token_valid_until`, and the refresh is repeated.
    RefreshFailed {
        /// The user's key.
        user: UserKey,
        /// The cause.
        cause: RefreshFailureCause,
        /// The number of the user's refreshes in a row that failed in this process.
        ///
        /// Refreshes that were refused without a request, for example by the circuit breaker, do
        /// not count.
        attempt: u32,
        /// The time at which the access token expires, which may have passed; `None` if the store
        /// has not returned the tokens.
        token_valid_until: Option<SystemTime>,
        /// The times of the refresh.
        timing: RefreshTiming,
    },
    /// The tokens were refreshed, or replaced by those of another process, after refreshes that
    /// failed.
    Recovered {
        /// The user's key.
        user: UserKey,
        /// The time since the first of these failures.
        failing_for: Duration,
    },
    /// The server rejected the refresh token, and the user must reconnect.
    NeedsReconnect {
        /// The user's key.
        user: UserKey,
        /// The times of the refresh.
        timing: RefreshTiming,
    },
    /// The store failed to save new tokens, or to grant the lease that precedes their request.
    ///
    /// New tokens stay in memory, unused, until a background retry or the next call saves them.
    /// While the store keeps failing, the event is repeated for the user with backoff: 1, 2, 4, 8
    /// and 16 minutes after the event before, then every 30 minutes.
    SaveFailed {
        /// The user's key.
        user: UserKey,
        /// The time since the first failure.
        failing_for: Duration,
    },
    /// The token store started to fail.
    ///
    /// Emitted once for all users. While the store keeps failing, the event is repeated with the
    /// backoff of [`SaveFailed`](Self::SaveFailed).
    StoreFailing {
        /// The methods that fail.
        access: StoreAccess,
        /// The time since the first failure.
        failing_for: Duration,
        /// The time that the failed call took, 10 s at most.
        elapsed: Duration,
    },
    /// The token store works again.
    StoreRecovered {
        /// The methods that failed before.
        access: StoreAccess,
        /// The time since the first failure.
        failing_for: Duration,
    },
    /// The store returned older tokens than this process has saved, and was given the newer ones.
    ///
    /// The store lost a save, for example in a failover to a replica that lagged, or was restored
    /// from a backup.
    RolledBack {
        /// The user's key.
        user: UserKey,
    },
    /// The tokens were revoked at the server and deleted from the store.
    Revoked {
        /// The user's key.
        user: UserKey,
    },
}

/// The methods of a [`TokenStore`](super::TokenStore) that read, or those that write.
///
/// A full disk fails the writes only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StoreAccess {
    /// The methods `load` and `list`.
    Read,
    /// The methods `compare_and_swap`, `delete`, `lease`, `release`, `lease_and_load` and
    /// `swap_and_release`.
    Write,
}

impl StoreAccess {
    /// Returns the name for metrics: `read` or `write`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}

/// How long a token refresh took.
///
/// The rest of `elapsed` was spent on requests and on the backoff between them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RefreshTiming {
    /// The time from the start of the refresh to its end.
    pub elapsed: Duration,
    /// The number of token requests.
    pub requests: u32,
    /// The time spent waiting for the rate limit.
    pub permit_wait: Duration,
    /// The time spent waiting for the lease of another process or task.
    pub lease_wait: Duration,
    /// The time spent in calls of the token store.
    pub store_time: Duration,
}

impl AuthEvent {
    /// Returns the times of the refresh, if the event is the end of one.
    #[must_use]
    pub fn timing(&self) -> Option<RefreshTiming> {
        match self {
            Self::Refreshed { timing, .. }
            | Self::RefreshFailed { timing, .. }
            | Self::NeedsReconnect { timing, .. } => Some(*timing),
            _ => None,
        }
    }

    /// Returns the time since the first failure, if the event concerns one that lasts or has ended.
    #[must_use]
    pub fn failing_for(&self) -> Option<Duration> {
        match self {
            Self::Recovered { failing_for, .. }
            | Self::SaveFailed { failing_for, .. }
            | Self::StoreFailing { failing_for, .. }
            | Self::StoreRecovered { failing_for, .. } => Some(*failing_for),
            _ => None,
        }
    }

    /// Returns the name of the event for metrics, such as `refresh_failed`, which later versions
    /// keep.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Connected { .. } => "connected",
            Self::Imported { .. } => "imported",
            Self::Refreshed { .. } => "refreshed",
            Self::RefreshFailed { .. } => "refresh_failed",
            Self::Recovered { .. } => "recovered",
            Self::NeedsReconnect { .. } => "needs_reconnect",
            Self::SaveFailed { .. } => "save_failed",
            Self::StoreFailing { .. } => "store_failing",
            Self::StoreRecovered { .. } => "store_recovered",
            Self::RolledBack { .. } => "rolled_back",
            Self::Revoked { .. } => "revoked",
        }
    }

    /// Returns the user, or `None` if the event concerns the whole store.
    #[must_use]
    pub fn user(&self) -> Option<&UserKey> {
        match self {
            Self::Connected { user }
            | Self::Imported { user }
            | Self::Refreshed { user, .. }
            | Self::RefreshFailed { user, .. }
            | Self::Recovered { user, .. }
            | Self::NeedsReconnect { user, .. }
            | Self::SaveFailed { user, .. }
            | Self::RolledBack { user }
            | Self::Revoked { user } => Some(user),
            Self::StoreFailing { .. } | Self::StoreRecovered { .. } => None,
        }
    }
}

/// The application's callback for events.
pub(super) type Listener = Box<dyn Fn(&AuthEvent) + Send + Sync>;

/// The log and the application's listener.
pub(super) struct Events {
    listener: Option<Listener>,
}

impl Events {
    pub(super) fn new(listener: Option<Listener>) -> Self {
        Self { listener }
    }

    /// Logs an event and passes it to the listener, whose panics are logged.
    pub(super) fn emit(&self, event: &AuthEvent) {
        log_event(event);
        if let Some(listener) = &self.listener
            && catch_unwind(AssertUnwindSafe(|| listener(event))).is_err()
        {
            #[cfg(feature = "tracing")]
            tracing::error!(target: "fullscript", "the on_event listener panicked; fix the listener");
        }
    }
}

/// Logs an event with the names of [`CallReport`](crate::CallReport) and of the metrics.
#[cfg(feature = "tracing")]
fn log_event(event: &AuthEvent) {
    let user = event.user().map(UserKey::as_str);
    macro_rules! log {
        ($level:ident, $($field:ident = $value:expr,)* $text:literal) => {
            tracing::$level!(
                target: "fullscript",
                { fullscript.event = event.name(), fullscript.user = user, $(fullscript.$field = $value),* },
                $text
            )
        };
    }
    match event {
        AuthEvent::Connected { .. } => log!(info, "user connected"),
        AuthEvent::Imported { .. } => log!(info, "tokens imported"),
        AuthEvent::Refreshed { .. } => log!(debug, "tokens refreshed"),
        // Each call of an outage may cause one. The circuit breaker logs that it opened.
        AuthEvent::RefreshFailed {
            cause: cause @ RefreshFailureCause::CircuitOpen,
            ..
        } => log!(debug, cause = cause.as_str(), "token refresh refused"),
        AuthEvent::RefreshFailed { cause, attempt, .. } => log!(
            warn,
            cause = cause.as_str(),
            attempt = attempt,
            "token refresh failed, it is repeated"
        ),
        AuthEvent::Recovered { .. } => log!(info, "token refresh works again"),
        AuthEvent::NeedsReconnect { .. } => log!(
            warn,
            "token refresh failed: refresh token rejected, the user must reconnect"
        ),
        AuthEvent::SaveFailed { .. } => log!(
            error,
            "token store failed: new tokens not saved or not requested, retrying"
        ),
        AuthEvent::StoreFailing { access, .. } => {
            log!(error, access = access.as_str(), "token store failing");
        }
        AuthEvent::StoreRecovered { access, .. } => {
            log!(info, access = access.as_str(), "token store works again");
        }
        AuthEvent::RolledBack { .. } => log!(
            error,
            "token store failed: it lost saved tokens, which are saved again"
        ),
        AuthEvent::Revoked { .. } => log!(info, "tokens revoked"),
    }
}

#[cfg(not(feature = "tracing"))]
fn log_event(_: &AuthEvent) {}
