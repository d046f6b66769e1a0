//! What an app reports of its users' connections.

/// What happened to a user's connection.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AuthEvent {
    /// The user has connected; the tokens are saved.
    Connected {
        /// The user's id.
        user: String,
    },
    /// The tokens were replaced; the new ones are saved.
    Refreshed {
        /// The user's id.
        user: String,
    },
    /// The server has ended the connection: the user must connect again.
    NeedsReconnect {
        /// The user's id.
        user: String,
    },
    /// The store did not take new tokens; they are kept in memory, unused,
    /// and saved with the next call.
    SaveFailed {
        /// The user's id.
        user: String,
    },
    /// The connection was revoked, and the tokens deleted.
    Revoked {
        /// The user's id.
        user: String,
    },
}

#[cfg(feature = "tracing")]
/// Whose tokens they are is not told: ask for that by `on_event`.
pub(crate) fn note_auth(event: &AuthEvent) {
    match event {
        AuthEvent::Connected { .. } => tracing::info!(target: "fullscript", "user connected"),
        AuthEvent::Refreshed { .. } => {
            tracing::debug!(target: "fullscript", "tokens refreshed")
        }
        AuthEvent::NeedsReconnect { .. } => {
            tracing::warn!(target: "fullscript", "connection ended, the user must connect again");
        }
        AuthEvent::SaveFailed { .. } => {
            tracing::error!(target: "fullscript", "the token store did not take new tokens");
        }
        AuthEvent::Revoked { .. } => tracing::info!(target: "fullscript", "connection revoked"),
    }
}

#[cfg(not(feature = "tracing"))]
pub(crate) fn note_auth(_: &AuthEvent) {}
