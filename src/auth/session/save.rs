//! Saving new token sets in the store.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use tokio::time::{Instant, sleep};

use super::flight::{DEADLINE, Flight, Purpose};
use super::{Session, TokensResult, Unsaved};
use crate::auth::error::{AuthError, Kind};
use crate::auth::event::AuthEvent;
use crate::auth::store::{Reports, Swapped};
use crate::auth::token::{AccessToken, TokenSet};
use crate::transport::retry::Backoff;

/// The number of attempts to save a token set before the call fails.
const SAVE_ATTEMPTS: u32 = 4;

/// Failed saves of one token set, or leases that the store failed to grant.
#[derive(Default)]
pub(super) struct SaveFailures {
    reports: Reports,
    /// The time of the first one.
    since: Option<Instant>,
    /// The time until which the background task that retries counts as alive.
    retrying_until: Option<Instant>,
}

impl SaveFailures {
    /// Notes a failure, and returns the time since the first one if it is to be reported now.
    fn report(&mut self) -> Option<Duration> {
        let since = *self.since.get_or_insert_with(Instant::now);
        self.reports.is_due().then(|| since.elapsed())
    }
}

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
        // Kept before the wait for another store task, which may fail.
        self.keep_unsaved(Unsaved {
            tokens,
            expected: None,
            new_connection: true,
            superseded: Vec::new(),
        });
        let saved = self.save_unsaved().await;
        if saved.is_err() {
            self.save_later();
        }
        saved
    }

    /// Saves a new token set. The tokens must not be used before this succeeds.
    pub(super) async fn save(self: &Arc<Self>, flight: &Arc<Flight>, new: Unsaved) -> TokensResult {
        let mut new = self.keep_unsaved(new);
        let mut backoff = Backoff::new(SAVE_ATTEMPTS);
        loop {
            let swap = self.swap_and_release(flight, new.expected, &new.tokens);
            let present = match swap.await {
                Ok(Swapped::Done) => return Ok(self.saved(flight, new)),
                Ok(Swapped::Lost(present)) => present,
                // Nobody can use what a new connection replaces.
                Err(error) if error.is_unreadable() && new.new_connection => {
                    self.app.store.delete(&self.user, None).await?;
                    None
                }
                Err(error) => {
                    let Some(delay) = backoff.next(None) else {
                        self.save_later();
                        return Err(AuthError::new(Kind::Unsaved(error)));
                    };
                    sleep(delay).await;
                    continue;
                }
            };
            match present {
                // An earlier attempt was applied, although it failed.
                Some(present) if new.is_applied(&present) => {
                    if present.needs_reconnect.is_some() {
                        self.discard_unsaved(&present.access_token);
                        return self.adopt(flight, present);
                    }
                    return Ok(self.saved(flight, new));
                }
                // A new connection overwrites any stored tokens, which nobody uses any longer.
                Some(present) if new.new_connection => {
                    new.follow(&present);
                    new.keep_tenant(present.tenant);
                    let replaced = present.replaced_access_token;
                    new.tokens.replaced_access_token = Some(present.access_token.clone());
                    new.superseded.push(present.access_token);
                    new.superseded.extend(replaced);
                    self.keep_unsaved(new.clone());
                }
                // A newly issued token set overwrites a "needs reconnect" mark written by a
                // process that refreshed with the older token.
                Some(present) if present.needs_reconnect.is_some() => {
                    new.follow(&present);
                    self.keep_unsaved(new.clone());
                }
                None if new.new_connection => new.expected = None,
                // Another process saved the token set of a later refresh. Use that one, because
                // using either token set invalidates the other.
                Some(present) => {
                    self.revoke_unsaved(new);
                    return self.adopt(flight, present);
                }
                // The user was revoked or forgotten in the meantime.
                None => {
                    self.revoke_unsaved(new);
                    self.clear(flight);
                    return Err(AuthError::new(Kind::NotConnected));
                }
            }
        }
    }

    /// Publishes a saved token set.
    fn saved(self: &Arc<Self>, flight: &Arc<Flight>, new: Unsaved) -> Arc<TokenSet> {
        let Unsaved {
            tokens,
            new_connection,
            mut superseded,
            ..
        } = new;
        self.discard_unsaved(&tokens.access_token);
        superseded.retain(|old| !is_same(old, &tokens.access_token));
        let mut state = self.lock();
        state.issued = tokens.generation;
        // A failed refresh of the old tokens says nothing about the new ones.
        state.failure = None;
        drop(state);
        let tokens = self.publish(flight, tokens);
        let user = self.user.clone();
        self.app.emit(if new_connection {
            AuthEvent::Connected { user }
        } else {
            let timing = flight.timing();
            AuthEvent::Refreshed { user, timing }
        });
        self.app.revoke_in_background(superseded);
        tokens
    }

    /// Keeps a token set in memory until it is saved, and returns the one to save.
    ///
    /// Of two token sets, that of a new connection is kept, or else the later one. The other is
    /// revoked.
    fn keep_unsaved(self: &Arc<Self>, new: Unsaved) -> Unsaved {
        let mut state = self.lock();
        let other = state.unsaved.take().map(|other| *other);
        let other = other.filter(|it| !is_same(&it.tokens.access_token, &new.tokens.access_token));
        let (mut kept, dropped) = match other {
            Some(other) if other.new_connection && !new.new_connection => (other, Some(new)),
            other => (new, other),
        };
        if let Some(dropped) = &dropped {
            kept.keep_tenant(dropped.tokens.tenant.clone());
        }
        state.unsaved = Some(Box::new(kept.clone()));
        drop(state);
        if let Some(dropped) = dropped {
            self.revoke_unsaved(dropped);
        }
        kept
    }

    /// Revokes a token set that will not be saved, in the background.
    fn revoke_unsaved(&self, dropped: Unsaved) {
        let access_token = dropped.tokens.access_token;
        self.discard_unsaved(&access_token);
        self.app.revoke_in_background(vec![access_token]);
    }

    /// Removes a token set from memory.
    pub(super) fn discard_unsaved(&self, access_token: &AccessToken) {
        let mut state = self.lock();
        let is_it = |it: &mut Box<Unsaved>| is_same(&it.tokens.access_token, access_token);
        if state.unsaved.take_if(is_it).is_some() {
            state.save_failures = None;
        }
    }

    /// Reports a token set that could not be saved, and starts a background task that retries,
    /// because there may be no further call for this user.
    pub(super) fn save_later(self: &Arc<Self>) {
        let now = Instant::now();
        let mut state = self.lock();
        if state.unsaved.is_none() {
            return;
        }
        let failures = state.save_failures.get_or_insert_default();
        let report = failures.report();
        let retry = failures.retrying_until.is_none_or(|until| now >= until);
        if retry {
            failures.retrying_until = Some(now + DEADLINE);
        }
        drop(state);
        self.report_save_failure(report);
        if retry {
            tokio::spawn(Arc::clone(self).retry_saving());
        }
    }

    /// Reports a lease that the store failed to grant, without which no tokens are requested.
    pub(super) fn note_lease(&self, is_granted: bool) {
        let mut state = self.lock();
        if is_granted {
            // A token set that waits has failures of its own.
            if state.unsaved.is_none() {
                state.save_failures = None;
            }
            return;
        }
        let report = state.save_failures.get_or_insert_default().report();
        drop(state);
        self.report_save_failure(report);
    }

    fn report_save_failure(&self, report: Option<Duration>) {
        if let Some(failing_for) = report {
            self.app.emit(AuthEvent::SaveFailed {
                user: self.user.clone(),
                failing_for,
            });
        }
    }

    async fn retry_saving(self: Arc<Self>) {
        let mut backoff = Backoff::unlimited();
        while let Some(delay) = backoff.next(None) {
            if !self.is_still_retrying(delay) {
                return;
            }
            sleep(delay).await;
            let _retried_if_failed = self.save_unsaved().await;
        }
    }

    /// Notes that the background task is alive. Returns `false` if nothing is left to save.
    fn is_still_retrying(&self, delay: Duration) -> bool {
        let mut state = self.lock();
        if state.unsaved.is_none() {
            state.save_failures = None;
            return false;
        }
        // The task may wait for one store task and then for its own.
        let failures = state.save_failures.get_or_insert_default();
        failures.retrying_until = Some(Instant::now() + delay + 3 * DEADLINE);
        true
    }

    /// Saves the token set that is kept in memory, if there is one.
    pub(in crate::auth) async fn save_unsaved(self: &Arc<Self>) -> Result<(), AuthError> {
        let session = Arc::clone(self);
        let saved = self.run_exclusive(Purpose::Save, |flight| async move {
            let unsaved = session.lock().unsaved.clone();
            match unsaved {
                Some(unsaved) => session.save(&flight, *unsaved).await.map(Some),
                None => Ok(None),
            }
        });
        saved.await.map(|_| ())
    }

    /// Returns whether a token set waits to be saved.
    pub(in crate::auth) fn has_unsaved(&self) -> bool {
        self.lock().unsaved.is_some()
    }
}

impl Unsaved {
    /// Returns whether the stored token set is this one, perhaps marked as disconnected since.
    fn is_applied(&self, present: &TokenSet) -> bool {
        is_same(&present.access_token, &self.tokens.access_token)
            && present.generation >= self.tokens.generation
    }

    /// Keeps the tenant of the connection that this one replaces, unless this one has its own.
    fn keep_tenant(&mut self, tenant: Option<String>) {
        if self.tokens.tenant.is_none() {
            self.tokens.tenant = tenant;
        }
    }

    /// Replaces the token set that is stored now.
    fn follow(&mut self, present: &TokenSet) {
        self.expected = Some(present.generation);
        self.tokens.generation = self.tokens.generation.max(present.generation + 1);
    }
}

fn is_same(one: &AccessToken, other: &AccessToken) -> bool {
    one.expose() == other.expose()
}
