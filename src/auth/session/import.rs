//! Importing a token set of another system.

use std::sync::{Arc, OnceLock};
use std::time::UNIX_EPOCH;

use tokio::time::sleep;

use super::Session;
use super::flight::{Flight, LeasePolls, Purpose, TaskResult};
use crate::auth::error::{AuthError, Kind};
use crate::auth::event::AuthEvent;
use crate::auth::import::{ImportOutcome, ImportRefusal};
use crate::auth::jobs::Patience;
use crate::auth::store::Swapped;
use crate::auth::token::{RefreshFailureCause, TokenSet, fingerprint};
use crate::transport::retry::Backoff;

/// The number of attempts to save a token set.
const SAVE_ATTEMPTS: u32 = 4;

/// What an import does with the tokens of a user.
enum Judgment {
    /// Saves them in place of this generation.
    Take(Option<u64>),
    /// Keeps those of this generation, which were imported before.
    Keep {
        generation: u64,
        /// Whether a refresh has replaced them since.
        is_proven: bool,
    },
    Refuse(ImportRefusal),
}

impl Session {
    /// Returns what [`import`](Self::import) would do, without a proof.
    pub(in crate::auth) async fn try_import(
        self: &Arc<Self>,
        new: &TokenSet,
    ) -> Result<ImportOutcome, AuthError> {
        Ok(match self.judge(new).await?.0 {
            Judgment::Take(_) => ImportOutcome::Taken,
            Judgment::Keep { .. } => ImportOutcome::Unchanged,
            Judgment::Refuse(reason) => ImportOutcome::Refused(reason),
        })
    }

    /// Imports a token set, and proves it by one refresh if `proves`.
    pub(in crate::auth) async fn import(
        self: &Arc<Self>,
        new: TokenSet,
        proves: bool,
        patience: &Patience,
    ) -> Result<ImportOutcome, AuthError> {
        let judgment = Arc::new(OnceLock::new());
        let (session, judged) = (Arc::clone(self), Arc::clone(&judgment));
        let imported = self.run_exclusive(Purpose::Change, |flight| async move {
            let judgment = session.import_once(&flight, new).await?;
            let _first = judged.set(judgment);
            Ok(None)
        });
        imported.await?;
        let judgment = Arc::into_inner(judgment).and_then(OnceLock::into_inner);
        let (outcome, generation) = match judgment {
            Some(Judgment::Take(generation)) => (ImportOutcome::Taken, generation),
            Some(Judgment::Keep {
                generation,
                is_proven,
            }) => {
                let unproven = Some(generation).filter(|_| !is_proven);
                (ImportOutcome::Unchanged, unproven)
            }
            Some(Judgment::Refuse(reason)) => return Ok(ImportOutcome::Refused(reason)),
            None => return Err(AuthError::new(Kind::Overdue(super::flight::DEADLINE))),
        };
        match generation {
            Some(generation) if proves => self.prove(generation, outcome, patience).await,
            _ => Ok(outcome),
        }
    }

    /// Saves a token set if nothing forbids it, and returns the generation with which it is saved.
    async fn import_once(
        self: &Arc<Self>,
        flight: &Arc<Flight>,
        mut new: TokenSet,
    ) -> Result<Judgment, AuthError> {
        let mut polls = LeasePolls::new();
        let mut backoff = Backoff::new(SAVE_ATTEMPTS);
        loop {
            let attempt = async {
                while !self.acquire_lease(flight, &mut polls).await? {}
                let (judgment, stored) = self.judge(&new).await?;
                let Judgment::Take(expected) = judgment else {
                    return Ok(Some(judgment));
                };
                let since = self.app.now().duration_since(UNIX_EPOCH);
                let millis = since.map_or(1, |since| since.as_millis());
                let millis = u64::try_from(millis).unwrap_or(1).max(1);
                new.generation = expected.map_or(millis, |expected| millis.max(expected + 1));
                if new.tenant.is_none() {
                    new.tenant = stored.and_then(|stored| stored.tenant);
                }
                let store = &self.app.store;
                let swap = store.compare_and_swap(expected, &new).await?;
                Ok(matches!(swap, Swapped::Done).then_some(Judgment::Take(Some(new.generation))))
            };
            match attempt.await {
                Ok(Some(judgment @ Judgment::Take(_))) => {
                    self.clear(flight);
                    self.app.emit(AuthEvent::Imported {
                        user: self.user.clone(),
                    });
                    return Ok(judgment);
                }
                Ok(Some(judgment)) => return Ok(judgment),
                // Another process has saved tokens since they were loaded.
                Ok(None) => {}
                Err(error) => match backoff.next(None) {
                    Some(delay) => sleep(delay).await,
                    None => return Err(error),
                },
            }
        }
    }

    /// Compares a token set with the one that is stored.
    async fn judge(&self, new: &TokenSet) -> Result<(Judgment, Option<TokenSet>), AuthError> {
        const NEWER: Judgment = Judgment::Refuse(ImportRefusal::NewerInStore);
        if self.has_unsaved() {
            return Ok((NEWER, None));
        }
        let stored = match self.app.store.load(&self.user).await {
            Ok(Some(stored)) => stored,
            Ok(None) => return Ok((Judgment::Take(None), None)),
            Err(error) if error.is_unreadable() => {
                return Ok((Judgment::Refuse(ImportRefusal::Damaged), None));
            }
            Err(error) => return Err(error.into()),
        };
        let (generation, marked) = (stored.generation, stored.needs_reconnect.is_some());
        let stored_print = stored.refresh_token.as_ref().map(fingerprint);
        let is_same = stored_print == new.imported;
        let was_imported = stored.imported.is_some() && stored.imported == new.imported;
        let judgment = if is_same && marked {
            Judgment::Refuse(ImportRefusal::Rejected)
        } else if is_same || was_imported {
            Judgment::Keep {
                generation,
                is_proven: !is_same,
            }
        } else if marked || is_later_import(&stored, stored_print.as_deref(), new) {
            Judgment::Take(Some(generation))
        } else {
            NEWER
        };
        Ok((judgment, Some(stored)))
    }

    /// Proves the imported tokens of a generation by one refresh.
    async fn prove(
        self: &Arc<Self>,
        generation: u64,
        outcome: ImportOutcome,
        patience: &Patience,
    ) -> Result<ImportOutcome, AuthError> {
        let refresh = || async {
            let session = Arc::clone(self);
            let purpose = Purpose::Refresh { is_ahead: true };
            let refreshed = self.run_exclusive(purpose, |flight| async move {
                let refreshed = session.refresh(&flight, generation).await;
                session.drop_unused(&flight);
                refreshed.map(Some)
            });
            refreshed.await
        };
        let Err(error) = patience.run(refresh).await else {
            return Ok(outcome);
        };
        match error.refresh_failure() {
            Some(RefreshFailureCause::Store) => Err(error),
            Some(RefreshFailureCause::Unusable) => {
                self.delete(generation).await?;
                Ok(ImportOutcome::Refused(ImportRefusal::Unusable))
            }
            Some(cause) => Ok(ImportOutcome::Unproven(cause)),
            None if error.needs_reconnect() => Ok(ImportOutcome::Refused(ImportRefusal::Rejected)),
            None => Err(error),
        }
    }

    /// Deletes an imported token set, unless it was replaced.
    async fn delete(self: &Arc<Self>, generation: u64) -> TaskResult {
        let session = Arc::clone(self);
        let deleted = self.run_exclusive(Purpose::Change, |flight| async move {
            let store = &session.app.store;
            store.delete(&session.user, Some(generation)).await?;
            session.clear(&flight);
            Ok(None)
        });
        deleted.await
    }
}

/// Returns whether the stored tokens were imported and not refreshed since, and those of `new`
/// were issued later by the other system.
fn is_later_import(stored: &TokenSet, stored_print: Option<&str>, new: &TokenSet) -> bool {
    let is_untouched = stored.imported.is_some() && stored.imported.as_deref() == stored_print;
    let has_times = !stored.access_token.is_empty() && !new.access_token.is_empty();
    is_untouched && has_times && new.expires_at() > stored.expires_at()
}
