//! Changes of what a record says besides its tokens. They keep the generation.

use std::sync::Arc;

use super::Session;
use super::flight::{LeasePolls, Purpose};
use crate::auth::error::AuthError;
use crate::auth::store::Swapped;
use crate::auth::token::TokenSet;

impl Session {
    /// Sets or removes the application's own reference.
    pub(in crate::auth) async fn set_tenant(
        self: &Arc<Self>,
        tenant: Option<String>,
    ) -> Result<(), AuthError> {
        let session = Arc::clone(self);
        let set = self.run_exclusive(Purpose::Change, |flight| async move {
            let unsaved = session.lock().unsaved.clone();
            if let Some(unsaved) = unsaved {
                session.save(&flight, *unsaved).await?;
            }
            // With the lease, no refresh of another process overwrites the change.
            let mut polls = LeasePolls::new();
            while !session.acquire_lease(&flight, &mut polls).await? {}
            loop {
                let stored = session.load_existing(&flight).await?;
                if stored.tenant == tenant {
                    return Ok(None);
                }
                let (expected, tenant) = (Some(stored.generation), tenant.clone());
                let changed = TokenSet { tenant, ..stored };
                let store = &session.app.store;
                if let Swapped::Done = store.compare_and_swap(expected, &changed).await? {
                    session.annotate_cached(&changed);
                    return Ok(None);
                }
            }
        });
        set.await.map(|_none| ())
    }

    /// Changes the cached tokens like the stored ones of the same generation.
    pub(super) fn annotate_cached(&self, stored: &TokenSet) {
        let mut state = self.lock();
        if let Some(current) = &mut state.current
            && current.tokens.generation == stored.generation
        {
            let tokens = Arc::make_mut(&mut current.tokens);
            tokens.tenant.clone_from(&stored.tenant);
            tokens.failure.clone_from(&stored.failure);
        }
    }
}
