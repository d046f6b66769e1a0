//! Disconnecting a user.

use std::sync::Arc;

use super::Session;
use super::flight::{Flight, LeasePolls, Purpose, TaskResult};
use crate::auth::error::{AuthError, Kind};
use crate::auth::event::AuthEvent;
use crate::auth::store::Swapped;
use crate::auth::token::TokenSet;

impl Session {
    /// Revokes the tokens at the server, then deletes them from the store.
    pub(in crate::auth) async fn revoke(self: &Arc<Self>) -> Result<(), AuthError> {
        let session = Arc::clone(self);
        let revoked = self.run_exclusive(Purpose::Save, |flight| async move {
            session.revoke_all(&flight).await
        });
        revoked.await.map(|_none| ())
    }

    /// Deletes the tokens from the store.
    pub(in crate::auth) async fn forget(self: &Arc<Self>) -> Result<(), AuthError> {
        let session = Arc::clone(self);
        let forgotten = self.run_exclusive(Purpose::Save, |flight| async move {
            let unsaved = session.lock().unsaved.clone();
            session.app.store.delete(&session.user, None).await?;
            session.clear(&flight);
            if let Some(unsaved) = unsaved {
                session.discard_unsaved(&unsaved.tokens.access_token);
            }
            Ok(None)
        });
        forgotten.await.map(|_none| ())
    }

    /// Revokes and deletes until nothing is stored, because another process may save tokens
    /// meanwhile although this one has the lease.
    async fn revoke_all(self: &Arc<Self>, flight: &Arc<Flight>) -> TaskResult {
        let mut polls = LeasePolls::new();
        while !self.acquire_lease(flight, &mut polls).await? {}
        let mut revoked_any = false;
        loop {
            let unsaved = self.lock().unsaved.clone().map(|unsaved| unsaved.tokens);
            let stored = self.load().await?;
            let generation = stored.as_ref().map(|stored| stored.generation);
            for tokens in [unsaved, stored].into_iter().flatten() {
                self.revoke_tokens(&tokens).await?;
                self.discard_unsaved(&tokens.access_token);
                revoked_any = true;
            }
            let Some(generation) = generation else { break };
            let store = &self.app.store;
            match store.delete(&self.user, Some(generation)).await? {
                Swapped::Done | Swapped::Lost(None) => break,
                Swapped::Lost(Some(_)) => {}
            }
        }
        self.clear(flight);
        if !revoked_any {
            return Err(AuthError::new(Kind::NotConnected));
        }
        self.app.emit(AuthEvent::Revoked {
            user: self.user.clone(),
        });
        Ok(None)
    }

    /// Revokes a token set, and the one that it replaced.
    async fn revoke_tokens(&self, tokens: &TokenSet) -> Result<(), AuthError> {
        let replaced = tokens.replaced_access_token.as_ref();
        // The replaced one first: if this fails, the stored token set still names both.
        for token in replaced.into_iter().chain([&tokens.access_token]) {
            if !token.is_empty() {
                self.app.endpoint.revoke(token.expose()).await?;
            }
        }
        // The access token is unknown if it was not imported. A server must accept refresh tokens
        // too (RFC 7009, section 2), and a user who must reconnect has no valid one.
        if tokens.access_token.is_empty()
            && tokens.needs_reconnect.is_none()
            && let Some(token) = &tokens.refresh_token
        {
            self.app.endpoint.revoke(token.expose()).await?;
        }
        Ok(())
    }
}
