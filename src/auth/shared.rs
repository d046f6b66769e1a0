//! What the sessions of one app share.

use std::sync::Arc;

use super::event::{AuthEvent, note_auth};
use super::store::TokenStore;
use super::token_endpoint::Endpoint;
use crate::clock::Clock;

/// What the sessions of one app share.
pub(super) struct AppShared {
    pub(super) store: Arc<dyn TokenStore>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) endpoint: Endpoint,
    /// Environment and client id: tokens of others are neither used nor
    /// replaced.
    pub(super) issuer: String,
    /// Who we are when we ask for a lease; new for each process.
    pub(super) lease_owner: String,
    pub(super) listener: Option<Listener>,
}

impl AppShared {
    pub(super) fn tell(&self, event: AuthEvent) {
        note_auth(&event);
        if let Some(listener) = &self.listener {
            listener(&event);
        }
    }
}

/// What an application does with events.
pub(super) type Listener = Box<dyn Fn(&AuthEvent) + Send + Sync>;
