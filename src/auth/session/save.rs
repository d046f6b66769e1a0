//! Saving new token sets in the store.

use std::sync::Arc;
use std::time::UNIX_EPOCH;

use super::{Session, TokensResult, Unsaved};
use crate::auth::error::{AuthError, Kind};
use crate::auth::event::AuthEvent;
use crate::auth::store::Swap;
use crate::auth::token::TokenSet;
use crate::transport::retry::Backoff;

/// The number of attempts to save a token set before the call fails.
const SAVE_ATTEMPTS: u32 = 4;

/// The error if two environments or apps have a user with the same id in one store.
const SHARED_STORE: &str = "token store: contains tokens of this user from another environment or \
                            app; use a separate store for each";

impl Session {
    /// Saves the tokens of a new connection.
    ///
    /// If the store fails, the tokens stay in memory and are saved later.
    pub(in crate::auth) async fn connect(
        self: &Arc<Self>,
        mut tokens: TokenSet,
    ) -> Result<(), AuthError> {
        // A generation is never reused, not even after the user was deleted.
        let since = self.app.now().duration_since(UNIX_EPOCH);
        let millis = since.map_or(1, |since| since.as_millis());
        tokens.generation = u64::try_from(millis).unwrap_or(1).max(1);
        let new = Unsaved {
            tokens,
            expected: None,
            new_connection: true,
        };
        let session = Arc::clone(self);
        let saved = self.run_exclusive(async move { session.save(new).await.map(Some) });
        saved.await.map(|_| ())
    }

    /// Saves a new token set. The tokens must not be used before this succeeds.
    pub(super) async fn save(self: &Arc<Self>, mut new: Unsaved) -> TokensResult {
        let mut backoff = Backoff::new(SAVE_ATTEMPTS);
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
                    let event = if new.new_connection {
                        AuthEvent::Connected { user }
                    } else {
                        AuthEvent::Refreshed { user }
                    };
                    let tokens = self.publish(new.tokens);
                    self.app.emit(event);
                    return Ok(tokens);
                }
                // Neither token set may replace the other.
                Ok(Swap::Lost(Some(present))) if present.issuer != self.app.issuer => {
                    self.lock().unsaved = None;
                    return Err(AuthError::new(Kind::Misconfigured(SHARED_STORE)));
                }
                // A new connection overwrites any stored tokens. A newly issued token set
                // overwrites a "needs reconnect" mark written by a process that refreshed with
                // the older token.
                Ok(Swap::Lost(Some(present))) if new.new_connection || present.needs_reconnect => {
                    new.expected = Some(present.generation);
                    new.tokens.generation = new.tokens.generation.max(present.generation + 1);
                }
                Ok(Swap::Lost(None)) if new.new_connection => new.expected = None,
                // Another process saved the token set of a later refresh. Use that one, because
                // using either token set invalidates the other.
                Ok(Swap::Lost(Some(present))) => {
                    self.lock().unsaved = None;
                    return Ok(self.publish(present));
                }
                // The user was revoked or forgotten in the meantime.
                Ok(Swap::Lost(None)) => {
                    let mut state = self.lock();
                    (state.current, state.unsaved) = (None, None);
                    return Err(AuthError::new(Kind::NotConnected));
                }
                Err(error) => {
                    let Some(delay) = backoff.next(None) else {
                        self.app.emit(AuthEvent::SaveFailed {
                            user: self.user.clone(),
                        });
                        self.retry_save_in_background();
                        return Err(error.into());
                    };
                    tokio::time::sleep(delay).await;
                }
            }
        }
    }

    /// Starts a task that retries saving, because there may be no further call for this user.
    fn retry_save_in_background(self: &Arc<Self>) {
        let mut state = self.lock();
        if std::mem::replace(&mut state.retrying_save, true) {
            return;
        }
        drop(state);
        let saving = SaveRetry(Arc::clone(self));
        tokio::spawn(async move {
            let saving = saving;
            let mut backoff = Backoff::unlimited();
            while let Some(delay) = backoff.next(None) {
                if saving.0.lock().unsaved.is_none() {
                    return;
                }
                tokio::time::sleep(delay).await;
                let session = Arc::clone(&saving.0);
                let save = async move {
                    let unsaved = session.lock().unsaved.clone();
                    match unsaved {
                        Some(unsaved) => session.save(*unsaved).await.map(Some),
                        None => Ok(None),
                    }
                };
                let _retried_if_failed = saving.0.run_exclusive(save).await;
            }
        });
    }
}

/// Clears the flag of the background task when it ends for any reason, so that another can start.
struct SaveRetry(Arc<Session>);

impl Drop for SaveRetry {
    fn drop(&mut self) {
        self.0.lock().retrying_save = false;
    }
}
