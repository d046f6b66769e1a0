//! Events about the connections of an app's users.

use super::user::UserKey;

/// An event about a user's connection, passed to
/// [`OAuthAppBuilder::on_event`](super::OAuthAppBuilder::on_event).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AuthEvent {
    /// The user has connected, and the tokens are saved.
    Connected {
        /// The user's key.
        user: UserKey,
    },
    /// The tokens were refreshed, and the new ones are saved.
    Refreshed {
        /// The user's key.
        user: UserKey,
    },
    /// The server rejected the refresh token, and the user must reconnect.
    NeedsReconnect {
        /// The user's key.
        user: UserKey,
    },
    /// The store failed to save new tokens.
    ///
    /// The tokens stay in memory, unused, until a background retry or the next call saves them.
    /// While the store keeps failing, the event is repeated for the user with backoff: 1, 2, 4, 8
    /// and 16 minutes after the event before, then every 30 minutes.
    SaveFailed {
        /// The user's key.
        user: UserKey,
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

/// Logs an event without the user's id, which only `on_event` gets.
#[cfg(feature = "tracing")]
pub(crate) fn log_event(event: &AuthEvent) {
    match event {
        AuthEvent::Connected { .. } => tracing::info!(target: "fullscript", "user connected"),
        AuthEvent::Refreshed { .. } => tracing::debug!(target: "fullscript", "tokens refreshed"),
        AuthEvent::NeedsReconnect { .. } => {
            tracing::warn!(
                target: "fullscript",
                "token refresh failed: refresh token rejected, the user must reconnect"
            );
        }
        AuthEvent::SaveFailed { .. } => {
            tracing::error!(
                target: "fullscript",
                "token store failed: new tokens not saved, retrying in the background"
            );
        }
        AuthEvent::RolledBack { .. } => {
            tracing::error!(
                target: "fullscript",
                "token store failed: it lost saved tokens, which are saved again"
            );
        }
        AuthEvent::Revoked { .. } => tracing::info!(target: "fullscript", "tokens revoked"),
    }
}

#[cfg(not(feature = "tracing"))]
pub(crate) fn log_event(_: &AuthEvent) {}
