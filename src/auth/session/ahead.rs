//! Refreshes that no call caused: before the tokens expire, or to prove that they are valid.

use std::sync::Arc;
use std::time::SystemTime;

use super::Session;
use super::flight::Purpose;
use crate::auth::error::{AuthError, Kind};

impl Session {
    /// Refreshes the tokens if they expire before this time.
    pub(in crate::auth) async fn refresh_ahead(
        self: &Arc<Self>,
        before: SystemTime,
    ) -> Result<(), AuthError> {
        self.app.ensure_open()?;
        let session = Arc::clone(self);
        let purpose = Purpose::Refresh { is_ahead: true };
        let refreshed = self.run_exclusive(purpose, |flight| async move {
            let stored = session.load_existing(&flight).await?;
            if stored.needs_reconnect.is_some() {
                return Err(AuthError::new(Kind::NeedsReconnect));
            }
            // Another process may have refreshed the tokens since they were listed.
            if stored.expires_at() >= before || stored.refresh_token.is_none() {
                return Ok(None);
            }
            let refreshed = session.refresh(&flight, stored.generation).await;
            session.drop_unused(&flight);
            refreshed.map(Some)
        });
        refreshed.await.map(|_tokens| ())
    }

    /// Removes tokens from the cache that no call of this process has used, so that a job over many
    /// users takes no memory for them.
    pub(super) fn drop_unused(&self, flight: &Arc<super::Flight>) {
        let mut state = self.lock();
        if state.is_current(flight) {
            state.current.take_if(|current| !current.used);
        }
    }
}
