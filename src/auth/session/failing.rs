//! Refreshes that fail: reported, written to the record once, and reported as recovered.

use std::time::SystemTime;

use tokio::time::timeout;

use super::flight::Flight;
use super::{CHECK_TIMEOUT, Session, State};
use crate::auth::error::AuthError;
use crate::auth::event::{AuthEvent, RefreshTiming};
use crate::auth::store::Swapped;
use crate::auth::token::{RefreshFailure, RefreshFailureCause, TokenSet};

/// The refreshes in a row that failed.
pub(super) struct Failing {
    /// The time of the first one.
    since: SystemTime,
    /// The number of those that were not refused without a request.
    attempts: u32,
    /// The generation of the tokens that were to be replaced; 0 if unknown.
    generation: u64,
}

/// What a refresh has found out, for the report of its failure.
#[derive(Clone, Copy, Default)]
pub(super) struct Findings {
    /// The generation of the stored tokens.
    pub(super) generation: u64,
    /// The time at which the stored access token expires.
    pub(super) expires_at: Option<SystemTime>,
    /// The cause for which the last token request failed.
    pub(super) cause: Option<RefreshFailureCause>,
    /// Whether the refresh was refused without a request.
    pub(super) is_refused: bool,
    /// The times of the refresh, but for its duration.
    pub(super) timing: RefreshTiming,
}

impl Session {
    /// Reports a refresh that failed without a rejection.
    pub(super) fn report_failed_refresh(&self, flight: &Flight, error: &AuthError) {
        let Some(cause) = error.refresh_failure() else {
            return;
        };
        let (findings, now) = (flight.findings(), self.app.now());
        let mut state = self.lock();
        let current = state.current.as_ref().map(|current| &current.tokens);
        let expires_at = current.map(|tokens| tokens.expires_at());
        let generation = current.map_or(0, |tokens| tokens.generation);
        let failing = state.failing(now);
        failing.generation = failing.generation.max(findings.generation).max(generation);
        failing.attempts += u32::from(!findings.is_refused);
        let attempt = failing.attempts;
        drop(state);
        self.app.emit(AuthEvent::RefreshFailed {
            user: self.user.clone(),
            cause: findings.cause.unwrap_or(cause),
            attempt,
            token_valid_until: findings.expires_at.or(expires_at),
            timing: flight.timing(),
        });
    }

    /// Writes the first failure in a row to the record, if the store does not fail.
    ///
    /// The caller has the lease. The generation is unchanged, because the tokens are.
    pub(super) async fn mark_failing(&self, stored: &TokenSet, cause: RefreshFailureCause) {
        let is_known = stored.failure.is_some();
        if is_known || cause == RefreshFailureCause::CircuitOpen {
            return;
        }
        let marked = TokenSet {
            failure: Some(RefreshFailure {
                since: self.app.now(),
                cause,
            }),
            ..stored.clone()
        };
        let swap = self
            .app
            .store
            .compare_and_swap(Some(stored.generation), &marked);
        // The caller waits for the error of the refresh, and the mark is only for lists.
        if let Ok(Ok(Swapped::Done)) = timeout(CHECK_TIMEOUT, swap).await {
            self.annotate_cached(&marked);
        }
    }
}

impl State {
    /// Returns the refreshes in a row that failed, of which one failed at this time.
    fn failing(&mut self, at: SystemTime) -> &mut Failing {
        let failing = self.failing.get_or_insert_with(|| {
            Box::new(Failing {
                since: at,
                attempts: 0,
                generation: 0,
            })
        });
        failing.since = failing.since.min(at);
        failing
    }

    /// Notes that a record says that its refreshes failed, perhaps in another process.
    pub(super) fn note_recorded_failure(&mut self, generation: u64, failure: &RefreshFailure) {
        let failing = self.failing(failure.since);
        failing.generation = failing.generation.max(generation);
    }

    /// Ends a row of failed refreshes with these tokens, and returns the time of the first one if
    /// that is a recovery.
    pub(super) fn end_failures(&mut self, tokens: &TokenSet) -> Option<SystemTime> {
        let is_rejected = tokens.needs_reconnect.is_some();
        let ended =
            |failing: &mut Box<Failing>| is_rejected || failing.generation != tokens.generation;
        let ended = self.failing.take_if(ended).filter(|_| !is_rejected);
        ended.map(|failing| failing.since)
    }
}
