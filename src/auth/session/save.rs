//! A pair of tokens on its way into the store.

use std::sync::Arc;
use std::time::UNIX_EPOCH;

use super::{Refreshed, Session, Unsaved};
use crate::auth::error::{AuthError, Kind};
use crate::auth::event::AuthEvent;
use crate::auth::store::Swap;
use crate::auth::token::TokenSet;
use crate::transport::retry::Backoff;

/// How often saving a new pair is tried before a call is told of it.
const SAVES: u32 = 4;

/// Where two environments or apps have a user of the same id.
const SHARED_STORE: &str = "the store holds tokens of this user from another environment or app, give each a store of its own";

impl Session {
    /// Saves the tokens of a new connection; if the store fails they wait
    /// here, and are saved later.
    pub(in crate::auth) async fn connect(
        self: &Arc<Self>,
        mut tokens: TokenSet,
    ) -> Result<(), AuthError> {
        // No generation comes twice, also after a user was forgotten.
        let since = self.app.clock.now().duration_since(UNIX_EPOCH);
        let millis = since.map_or(1, |since| since.as_millis());
        tokens.generation = u64::try_from(millis).unwrap_or(1).max(1);
        let new = Unsaved {
            tokens,
            expected: None,
            connected: true,
        };
        let session = Arc::clone(self);
        let saved = self.alone(async move { session.save(new).await.map(Some) });
        saved.await.map(|_| ())
    }

    /// Saves a new pair; only then may it be used.
    pub(super) async fn save(self: &Arc<Self>, mut new: Unsaved) -> Refreshed {
        let mut backoff = Backoff::new(SAVES);
        loop {
            self.lock().unsaved = Some(Box::new(new.clone()));
            let swap =
                self.app
                    .store
                    .compare_and_swap(&self.user, new.expected, new.tokens.clone());
            match swap.await {
                Ok(Swap::Done) => {
                    self.lock().unsaved = None;
                    let user = self.user.clone();
                    let event = if new.connected {
                        AuthEvent::Connected { user }
                    } else {
                        AuthEvent::Refreshed { user }
                    };
                    let tokens = self.publish(new.tokens);
                    self.app.tell(event);
                    return Ok(tokens);
                }
                // Neither goes before the other.
                Ok(Swap::Lost(Some(present))) if present.issuer != self.app.issuer => {
                    self.lock().unsaved = None;
                    return Err(AuthError::new(Kind::Misconfigured(SHARED_STORE)));
                }
                // A new connection goes before whatever was there, and a pair
                // that the server has just issued before a mark of one who
                // came too late with its predecessor.
                Ok(Swap::Lost(Some(present))) if new.connected || present.needs_reconnect => {
                    new.expected = Some(present.generation);
                    new.tokens.generation = new.tokens.generation.max(present.generation + 1);
                }
                Ok(Swap::Lost(None)) if new.connected => new.expected = None,
                // Somebody saved a pair of a later refresh: that is the one
                // to use, for the use of either ends the other.
                Ok(Swap::Lost(Some(present))) => {
                    self.lock().unsaved = None;
                    return Ok(self.publish(present));
                }
                // Revoked or forgotten meanwhile.
                Ok(Swap::Lost(None)) => {
                    let mut state = self.lock();
                    (state.current, state.unsaved) = (None, None);
                    return Err(AuthError::new(Kind::NotConnected));
                }
                Err(error) => {
                    let Some(delay) = backoff.next(None) else {
                        self.app.tell(AuthEvent::SaveFailed {
                            user: self.user.clone(),
                        });
                        self.save_later();
                        return Err(error.into());
                    };
                    tokio::time::sleep(delay).await;
                }
            }
        }
    }

    /// Goes on trying to save a pair, for nobody may call again for this user.
    fn save_later(self: &Arc<Self>) {
        let mut state = self.lock();
        if std::mem::replace(&mut state.saving_later, true) {
            return;
        }
        drop(state);
        let saving = SavingLater(Arc::clone(self));
        tokio::spawn(async move {
            let saving = saving;
            let mut backoff = Backoff::endless();
            while let Some(delay) = backoff.next(None) {
                if saving.0.lock().unsaved.is_none() {
                    return;
                }
                tokio::time::sleep(delay).await;
                let session = Arc::clone(&saving.0);
                let again = async move {
                    let unsaved = session.lock().unsaved.clone();
                    match unsaved {
                        Some(unsaved) => session.save(*unsaved).await.map(Some),
                        None => Ok(None),
                    }
                };
                let _saved_or_again = saving.0.alone(again).await;
            }
        });
    }
}

/// Lets another task try to save, however this one ends.
struct SavingLater(Arc<Session>);

impl Drop for SavingLater {
    fn drop(&mut self) {
        self.0.lock().saving_later = false;
    }
}
