//! State that the sessions of one app share.

use std::sync::Arc;
use std::time::SystemTime;

use super::event::{AuthEvent, log_event};
use super::store::TokenStore;
use super::token_endpoint::Endpoint;

/// State that the sessions of one app share.
pub(super) struct AppShared {
    pub(super) store: Arc<dyn TokenStore>,
    pub(super) endpoint: Endpoint,
    /// The environment and the client id. Tokens of another issuer are neither used nor
    /// replaced.
    pub(super) issuer: String,
    /// The owner name of this process's leases, new for each process.
    pub(super) lease_owner: String,
    pub(super) listener: Option<Listener>,
}

impl AppShared {
    pub(super) fn now(&self) -> SystemTime {
        self.endpoint.calls.clock.now()
    }

    /// Logs an event and passes it to the listener.
    pub(super) fn emit(&self, event: AuthEvent) {
        log_event(&event);
        if let Some(listener) = &self.listener {
            listener(&event);
        }
    }
}

/// The application's callback for events.
pub(super) type Listener = Box<dyn Fn(&AuthEvent) + Send + Sync>;
