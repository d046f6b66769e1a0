//! Token refresh: new tokens from the store or the token endpoint.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::flight::{Acquired, Flight, LeasePolls, Purpose};
use super::{Decision, RequestFailure, Session, TokensResult, Unsaved, is_expired};
use crate::auth::breaker::PROBE_INTERVAL;
use crate::auth::error::{AuthError, Kind};
use crate::auth::event::AuthEvent;
use crate::auth::store::Swapped;
use crate::auth::token::{
    NeedsReconnect, ReconnectReason, RefreshFailureCause, RefreshToken, TokenSet,
};
use crate::auth::token_endpoint::{Issued, MAX_ATTEMPTS, Outcome, ResourceOwner, bounded};
use crate::auth::user::UserKey;
use crate::transport::retry::Backoff;

/// The time for which a refresh is not repeated after the endpoint issued an unusable token set:
/// 10 min. Each repetition would issue another one.
const UNUSABLE_DELAY: Duration = Duration::from_secs(600);

/// The time for which a refresh is not repeated after the endpoint refused the app: 10 s. Each call
/// would repeat it.
const MISCONFIGURED_DELAY: Duration = Duration::from_secs(10);

impl Session {
    /// Refreshes the tokens, unless another process has already done so.
    ///
    /// The steps: read the store, acquire the lease and read again, request tokens, save them and
    /// release the lease, publish them.
    pub(super) async fn refresh(
        self: &Arc<Self>,
        flight: &Arc<Flight>,
        failed: u64,
    ) -> TokensResult {
        let unsaved = self.lock().unsaved.clone();
        if let Some(unsaved) = unsaved {
            return self.save(flight, *unsaved).await;
        }
        let mut polls = LeasePolls::new();
        loop {
            let stored = self.load_existing(flight).await?;
            if self.has_replacement(&stored, failed) {
                return self.adopt(flight, stored);
            }
            flight.find(|findings| {
                findings.generation = stored.generation;
                findings.expires_at = Some(stored.expires_at());
            });
            if let Err(wait) = self.may_request() {
                flight.find(|findings| findings.is_refused = true);
                return Err(AuthError::new(Kind::CircuitOpen(wait)));
            }
            if let Acquired::With(stored) = self.acquire_lease_and_load(flight, &mut polls).await? {
                let stored = self.existing(flight, stored)?;
                return self.request_tokens(flight, stored, failed).await;
            }
        }
    }

    /// Loads the user's tokens from the store.
    pub(super) async fn load(&self) -> Result<Option<TokenSet>, AuthError> {
        let stored = self.app.store.load(&self.user).await?;
        self.loaded(stored).await
    }

    /// Compares tokens that were just loaded with the cached ones.
    pub(super) async fn loaded(
        &self,
        stored: Option<TokenSet>,
    ) -> Result<Option<TokenSet>, AuthError> {
        self.lock().checked_at = Some(Instant::now());
        match stored {
            Some(stored) => self.restore_if_older(stored).await,
            None => Ok(None),
        }
    }

    /// Saves the cached tokens again if the store has lost them, for example in a failover to a
    /// replica that lagged.
    ///
    /// The refresh token of the older token set is invalid if the cached one was used.
    async fn restore_if_older(&self, stored: TokenSet) -> Result<Option<TokenSet>, AuthError> {
        let cached = {
            let state = self.lock();
            let current = state.current.as_ref().filter(|current| {
                // Token sets of two connections are not ordered, nor are those without an id.
                !stored.connection.is_empty()
                    && current.tokens.connection == stored.connection
                    && current.tokens.generation > stored.generation
            });
            current.map(|current| Arc::clone(&current.tokens))
        };
        let Some(cached) = cached else {
            return Ok(Some(stored));
        };
        let store = &self.app.store;
        match store
            .compare_and_swap(Some(stored.generation), &cached)
            .await?
        {
            Swapped::Done => {
                self.app.emit(AuthEvent::RolledBack {
                    user: self.user.clone(),
                });
                Ok(Some((*cached).clone()))
            }
            Swapped::Lost(present) => Ok(present),
        }
    }

    /// Loads the user's tokens, and fails if the store has no tokens of this user.
    pub(super) async fn load_existing(&self, flight: &Arc<Flight>) -> Result<TokenSet, AuthError> {
        let stored = flight.timed(|times| &mut times.store_time, self.load());
        let stored = stored.await?;
        self.existing(flight, stored)
    }

    fn existing(
        &self,
        flight: &Arc<Flight>,
        stored: Option<TokenSet>,
    ) -> Result<TokenSet, AuthError> {
        stored.ok_or_else(|| {
            // Another process revoked or forgot the user.
            self.clear(flight);
            AuthError::new(Kind::NotConnected)
        })
    }

    /// Returns whether the stored tokens replace those that failed, or are marked as disconnected.
    fn has_replacement(&self, stored: &TokenSet, failed: u64) -> bool {
        stored.needs_reconnect.is_some()
            || (stored.generation != failed && !is_expired(stored, self.app.now()))
    }

    /// Publishes tokens that another process has saved.
    pub(super) fn adopt(&self, flight: &Arc<Flight>, stored: TokenSet) -> TokensResult {
        let needs_reconnect = stored.needs_reconnect.is_some();
        let tokens = self.publish(flight, stored);
        if needs_reconnect {
            Err(AuthError::new(Kind::NeedsReconnect))
        } else {
            Ok(tokens)
        }
    }

    /// Requests tokens from the token endpoint, and saves them.
    async fn request_tokens(
        self: &Arc<Self>,
        flight: &Arc<Flight>,
        stored: TokenSet,
        failed: u64,
    ) -> TokensResult {
        // Another process may have finished between the last load and the lease.
        if self.has_replacement(&stored, failed) {
            return self.adopt(flight, stored);
        }
        if let Some(error) = self.recent_decision(stored.generation) {
            flight.find(|findings| findings.is_refused = true);
            return Err(error);
        }
        let Some(refresh_token) = stored.refresh_token.clone() else {
            let reason = ReconnectReason::NoRefreshToken;
            return self.mark_needs_reconnect(flight, stored, reason).await;
        };
        let requested = self.request_and_save(flight, &stored, &refresh_token).await;
        if let Err(error) = &requested
            && let Some(cause) = error.refresh_failure()
            && cause != RefreshFailureCause::Store
        {
            let cause = flight.findings().cause.unwrap_or(cause);
            self.mark_failing(&stored, cause).await;
        }
        requested
    }

    /// Requests tokens in place of the stored ones until the endpoint decides, and saves them.
    async fn request_and_save(
        self: &Arc<Self>,
        flight: &Arc<Flight>,
        stored: &TokenSet,
        refresh_token: &RefreshToken,
    ) -> TokensResult {
        let failure = self.last_failure();
        let repeated = failure.is_some_and(|last| last.at.elapsed() < PROBE_INTERVAL);
        let mut backoff = Backoff::new(if repeated { 1 } else { MAX_ATTEMPTS });
        loop {
            let last_failure = self.last_failure().map(|last| last.at);
            let pass = self.app.breaker.admit(last_failure).await;
            let pass = pass.map_err(|wait| {
                flight.find(|findings| findings.is_refused = findings.cause.is_none());
                AuthError::new(Kind::CircuitOpen(wait))
            })?;
            let requested_at = self.app.now();
            let note = |requests: u32, waited: Duration| {
                flight.find(|findings| {
                    findings.timing.requests += requests;
                    findings.timing.permit_wait += waited;
                });
            };
            let requested = self.app.endpoint.refresh(refresh_token, &note);
            let outcome = pass.run(requested).await;
            let outcome = outcome.unwrap_or_else(|| Outcome::Unclear {
                error: AuthError::new(Kind::Unreachable(None)),
                retry_after: None,
                acted: true,
            });
            match &outcome {
                // The rate limiter is no sign of a failing endpoint.
                Outcome::Unclear { error, .. } if error.is_rate_limited() => drop(pass),
                Outcome::Unclear { .. } => {
                    let at = Instant::now();
                    self.lock().failure = Some(Box::new(RequestFailure { at, repeated }));
                    pass.failed(repeated);
                }
                _ => {
                    self.lock().failure = None;
                    pass.succeeded();
                }
            }
            match outcome {
                Outcome::Done(issued) => {
                    // Judged before any retry, which would issue another token set.
                    if let Some(reason) = unusable(&stored.user, &issued) {
                        let error = AuthError::new(Kind::Unusable(reason));
                        return Err(self.note_decision(stored.generation, error, UNUSABLE_DELAY));
                    }
                    let new = self.next_token_set(flight, stored.clone(), issued, requested_at);
                    return self.save(flight, new).await;
                }
                Outcome::Refused => {
                    let reason = ReconnectReason::RefreshTokenRejected;
                    return self
                        .mark_needs_reconnect(flight, stored.clone(), reason)
                        .await;
                }
                Outcome::Misconfigured(reason) => {
                    let error = AuthError::new(Kind::Misconfigured(reason));
                    return Err(self.note_decision(stored.generation, error, MISCONFIGURED_DELAY));
                }
                Outcome::Unclear {
                    error, retry_after, ..
                } => {
                    flight.find(|findings| findings.cause = error.refresh_failure());
                    let delay = backoff.next(bounded(retry_after)).ok_or(error)?;
                    tokio::time::sleep(delay).await;
                }
            }
        }
    }

    /// Returns the time to wait if the user's refresh would fail without a request.
    fn may_request(&self) -> Result<(), Duration> {
        let failure = self.last_failure();
        if let Some(last) = failure.filter(|last| last.repeated) {
            let wait = PROBE_INTERVAL.saturating_sub(last.at.elapsed());
            if !wait.is_zero() {
                return Err(wait);
            }
        }
        self.app.breaker.check(failure.map(|last| last.at))
    }

    fn last_failure(&self) -> Option<RequestFailure> {
        self.lock().failure.as_deref().copied()
    }

    /// Marks the token set whose refresh token the server rejected.
    ///
    /// The rejection is final, unless the store contains a newer token set by now. The rejected
    /// token set stays in the store, with the mark.
    async fn mark_needs_reconnect(
        &self,
        flight: &Arc<Flight>,
        refused: TokenSet,
        reason: ReconnectReason,
    ) -> TokensResult {
        let generation = refused.generation;
        let marked = TokenSet {
            generation: generation + 1,
            needs_reconnect: Some(NeedsReconnect::new(self.app.now(), reason)),
            failure: None,
            ..refused
        };
        let swap = self.swap_and_release(flight, Some(generation), &marked);
        match swap.await? {
            Swapped::Done => {
                self.publish(flight, marked);
                self.app.emit(AuthEvent::NeedsReconnect {
                    user: self.user.clone(),
                    timing: flight.timing(),
                });
                Err(AuthError::new(Kind::NeedsReconnect))
            }
            Swapped::Lost(Some(present)) => self.adopt(flight, present),
            Swapped::Lost(None) => {
                self.clear(flight);
                Err(AuthError::new(Kind::NotConnected))
            }
        }
    }

    /// Creates the next token set. Fields that the response omits are taken from the old one.
    fn next_token_set(
        &self,
        flight: &Flight,
        old: TokenSet,
        issued: Issued,
        requested_at: SystemTime,
    ) -> Unsaved {
        let mut state = self.lock();
        // The old token set's predecessor became invalid when a call used the old one. If no call
        // of this process did, it may be valid still.
        let was_used = state
            .current
            .as_ref()
            .is_some_and(|current| current.used && current.tokens.generation == old.generation);
        if let Some(failure) = &old.failure {
            state.note_recorded_failure(old.generation, failure);
        }
        drop(state);
        let used_at = match flight.purpose() {
            Purpose::Refresh { is_ahead: true } if was_used => old.used_at.max(old.issued_at),
            Purpose::Refresh { is_ahead: true } => old.used_at,
            _ => requested_at,
        };
        let superseded = old.replaced_access_token.filter(|_| !was_used);
        Unsaved {
            expected: Some(old.generation),
            new_connection: false,
            superseded: superseded.into_iter().collect(),
            tokens: TokenSet {
                access_token: issued.access_token,
                refresh_token: issued.refresh_token.or(old.refresh_token),
                scopes: if issued.scopes.is_empty() {
                    old.scopes
                } else {
                    issued.scopes
                },
                issued_at: requested_at,
                lifetime: issued.lifetime,
                generation: old.generation + 1,
                used_at,
                needs_reconnect: None,
                failure: None,
                replaced_access_token: Some(old.access_token).filter(|old| !old.is_empty()),
                // The application knows the user by the old key.
                ..old
            },
        }
    }

    fn recent_decision(&self, generation: u64) -> Option<AuthError> {
        let state = self.lock();
        let decision = state.decision.as_ref()?;
        let is_recent = decision.generation == generation
            && Instant::now() < decision.until
            && Arc::ptr_eq(&decision.secrets, &self.app.endpoint.secrets.get());
        is_recent.then(|| decision.error.clone())
    }

    /// Returns the error, and repeats it without a request for a while.
    fn note_decision(&self, generation: u64, error: AuthError, delay: Duration) -> AuthError {
        self.lock().decision = Some(Box::new(Decision {
            generation,
            secrets: self.app.endpoint.secrets.get(),
            until: Instant::now() + delay,
            error: error.clone(),
        }));
        error
    }
}

/// Returns the reason why an issued token set cannot be used for this owner.
fn unusable(user: &UserKey, issued: &Issued) -> Option<&'static str> {
    if !issued.access_token.is_sendable() {
        return Some("the access token cannot be sent in a header");
    }
    match &issued.owner {
        // Tokens of another user must not be used for this one, whatever the server's reason.
        Some(new) if !is_same_user(user, new) => Some("the owner is another user"),
        _ => None,
    }
}

/// Returns whether the owner of rotated tokens is the owner of the refresh token.
///
/// The request proves it, unless a server or a proxy mixes up responses. An id of another user
/// would have the format of the old one. So an id of another format is a new id of the same user,
/// if the kind is equal too.
fn is_same_user(old: &UserKey, new: &ResourceOwner) -> bool {
    let has_same_kind = new.kind.is_some() && old.kind() == new.key().kind();
    let has_new_format = || format(old.id()) != format(&new.id);
    old.id() == new.id
        || (has_same_kind && (old.id().eq_ignore_ascii_case(&new.id) || has_new_format()))
}

/// The format of an id.
#[derive(PartialEq, Eq)]
enum Format {
    Digits,
    Uuid,
    /// Other characters, with these ones between letters and digits.
    Other(Vec<char>),
}

fn format(id: &str) -> Format {
    let is_separator = |character: &char| !character.is_alphanumeric();
    let mut parts = id.split('-');
    let is_uuid = [8, 4, 4, 4, 12].iter().all(|length| {
        let is_hex = |part: &str| part.bytes().all(|byte| byte.is_ascii_hexdigit());
        parts
            .next()
            .is_some_and(|part| part.len() == *length && is_hex(part))
    });
    if id.bytes().all(|byte| byte.is_ascii_digit()) {
        Format::Digits
    } else if is_uuid && parts.next().is_none() {
        Format::Uuid
    } else {
        Format::Other(id.chars().filter(is_separator).collect())
    }
}
