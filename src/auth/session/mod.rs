//! The session of one user: caches, refreshes and revokes the user's tokens.

mod ahead;
mod annotate;
mod failing;
mod flight;
mod import;
mod refresh;
mod refusals;
mod revoke;
mod save;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use tokio::time::{Instant, timeout};

use self::failing::Failing;
use self::flight::{Flight, Purpose, TaskResult};
use self::refusals::Refusals;
use self::save::SaveFailures;
use super::client_secrets::Secrets;
use super::error::{AuthError, Kind};
use super::event::AuthEvent;
use super::shared::AppShared;
use super::token::{AccessToken, TokenSet};
use super::user::UserKey;
use crate::lock::lock;
use crate::transport::retry::jitter;

/// The maximum time before expiry at which a refresh starts: 5 min.
///
/// It bridges an outage of the token endpoint of a few minutes.
const MAX_REFRESH_AHEAD: Duration = Duration::from_secs(300);

/// The divisor of the lifetime that limits [`MAX_REFRESH_AHEAD`]: a tenth of the lifetime.
const REFRESH_AHEAD_DIVISOR: u32 = 10;

/// The time before expiry at which a token is no longer sent, because it could expire in transit:
/// 5 s.
const EXPIRY_MARGIN: Duration = Duration::from_secs(5);

/// The delay before the next early refresh after one that failed while the token was still valid:
/// 30 s.
const EARLY_REFRESH_DELAY: Duration = Duration::from_secs(30);

/// The time after which cached tokens are compared with the store before they are used: 30 s.
///
/// A user whom another process forgot, revoked or reconnected makes no call with the old tokens
/// after this time, unless the store fails.
const CHECK_INTERVAL: Duration = Duration::from_secs(30);

/// The interval of the comparison while a token expires soon: 5 s.
///
/// Another process may then refresh early, and its first call invalidates the cached token.
const CHECK_INTERVAL_BEFORE_EXPIRY: Duration = Duration::from_secs(5);

/// The timeout of the comparison with the store: 1 s. After it, the cached tokens are used.
const CHECK_TIMEOUT: Duration = Duration::from_secs(1);

/// The number of store tasks that a caller waits for, because a task may die, or may have another
/// purpose than the caller's.
const MAX_FLIGHTS: u32 = 4;

type TokensResult = Result<Arc<TokenSet>, AuthError>;

/// The tokens of one user, shared by all clients of that user in this process.
///
/// All access to the store runs in store tasks. Only one store task runs at a time, on its own
/// tokio task, so that it continues if its caller is dropped.
pub(crate) struct Session {
    app: Arc<AppShared>,
    user: UserKey,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    current: Option<Current>,
    /// The running store task, for other callers to wait for.
    flight: Option<Arc<Flight>>,
    /// Tokens that the server issued and the store has not saved yet. They are not used before
    /// they are saved. Boxed, because they are rare.
    unsaved: Option<Box<Unsaved>>,
    /// The time before which no early refresh starts.
    next_early_refresh: Option<SystemTime>,
    /// The time of the last comparison with the store.
    checked_at: Option<Instant>,
    /// The generation of the last token set that this process requested and saved.
    issued: u64,
    save_failures: Option<Box<SaveFailures>>,
    /// An error of a refresh that would not change if it were repeated at once. Boxed, because it is
    /// rare.
    decision: Option<Box<Decision>>,
    /// The last token request, if it failed for a reason of the endpoint. Boxed, because that is
    /// rare.
    failure: Option<Box<RequestFailure>>,
    /// The refreshes in a row that failed. Boxed, because that is rare.
    failing: Option<Box<Failing>>,
    /// Boxed, because they are rare.
    refusals: Option<Box<Refusals>>,
}

struct Current {
    tokens: Arc<TokenSet>,
    refresh_from: SystemTime,
    /// Whether the tokens were given to a call.
    used: bool,
}

/// A token set that is not saved yet.
#[derive(Clone)]
struct Unsaved {
    tokens: TokenSet,
    /// The generation that it replaces in the store.
    expected: Option<u64>,
    /// Whether it belongs to a new connection, which overwrites any stored tokens.
    new_connection: bool,
    /// Access tokens of older token sets to revoke after this one is saved.
    superseded: Vec<AccessToken>,
}

/// An error with which a refresh of this generation fails, without a request, for a while, unless
/// the client secrets are replaced.
struct Decision {
    generation: u64,
    secrets: Arc<Secrets>,
    until: Instant,
    error: AuthError,
}

/// A token request that failed for a reason of the endpoint.
#[derive(Clone, Copy)]
struct RequestFailure {
    at: Instant,
    /// Whether it was the second refresh in a row that failed. The reason may concern this user
    /// only.
    repeated: bool,
}

/// The reason why cached tokens cannot be used.
pub(crate) enum Missing {
    /// The tokens of this generation are invalid; 0 if there are no cached tokens.
    Invalid(u64),
    /// The tokens were last compared with the store too long ago, or the app was shut down.
    Unchecked,
}

impl Session {
    pub(super) fn new(app: Arc<AppShared>, user: UserKey) -> Self {
        Self {
            app,
            user,
            state: Mutex::default(),
        }
    }

    /// Returns the user's key.
    pub(crate) fn user(&self) -> &UserKey {
        &self.user
    }

    /// Returns valid tokens: cached, stored or refreshed ones.
    pub(crate) async fn tokens(self: &Arc<Self>) -> TokensResult {
        self.app.ensure_open()?;
        match self.cached() {
            Ok(tokens) => Ok(tokens),
            Err(Missing::Invalid(generation)) => self.renew(generation).await,
            Err(Missing::Unchecked) => self.check().await,
        }
    }

    /// Returns the cached tokens if they are valid.
    ///
    /// An early refresh starts in the background if it is due.
    pub(crate) fn cached(self: &Arc<Self>) -> Result<Arc<TokenSet>, Missing> {
        self.app.ensure_open().map_err(|_| Missing::Unchecked)?;
        let now = self.app.now();
        let mut state = self.lock();
        let checked_at = state.checked_at;
        let next_early_refresh = state.next_early_refresh;
        let current = state.current.as_mut().ok_or(Missing::Invalid(0))?;
        let tokens = Arc::clone(&current.tokens);
        // Marked tokens are loaded again, because the user may have reconnected in another
        // process.
        if tokens.needs_reconnect.is_some() || is_expired(&tokens, now) {
            return Err(Missing::Invalid(tokens.generation));
        }
        let interval = if now + max_refresh_ahead(&tokens) >= tokens.expires_at() {
            CHECK_INTERVAL_BEFORE_EXPIRY
        } else {
            CHECK_INTERVAL
        };
        if checked_at.is_none_or(|checked_at| checked_at.elapsed() >= interval) {
            return Err(Missing::Unchecked);
        }
        current.used = true;
        let refresh_early =
            now >= current.refresh_from && next_early_refresh.is_none_or(|next| now >= next);
        drop(state);
        if refresh_early {
            // The current token is still valid, so the caller does not wait.
            let _in_background = self.refresh_or_join(tokens.generation);
        }
        Ok(tokens)
    }

    /// Returns tokens that replace those of the generation that failed.
    ///
    /// Concurrent callers share one refresh and its result.
    pub(crate) async fn renew(self: &Arc<Self>, failed: u64) -> TokensResult {
        self.app.ensure_open()?;
        for _ in 0..MAX_FLIGHTS {
            let flight = match self.refresh_or_join(failed) {
                Ok(tokens) if tokens.needs_reconnect.is_some() => {
                    return Err(AuthError::new(Kind::NeedsReconnect));
                }
                Ok(tokens) => return Ok(tokens),
                Err(flight) => flight,
            };
            match flight.result().await {
                // The task died, or had another purpose.
                None => {}
                Some(_) if !flight.is_for_callers() => {}
                Some(Ok(Some(tokens))) if tokens.generation == failed => {}
                Some(result) => {
                    let tokens = result?.ok_or_else(|| AuthError::new(Kind::NotConnected))?;
                    self.note_use(tokens.generation);
                    return Ok(tokens);
                }
            }
        }
        Err(AuthError::new(Kind::Overdue(flight::DEADLINE)))
    }

    /// Returns whether this process requested the tokens of this generation.
    ///
    /// Tokens that another process requested may have become invalid long ago.
    pub(crate) fn has_issued(&self, generation: u64) -> bool {
        self.lock().issued == generation
    }

    /// Records that the tokens are given to a call, whose request invalidates the ones before.
    fn note_use(&self, generation: u64) {
        let mut state = self.lock();
        if let Some(current) = &mut state.current
            && current.tokens.generation == generation
        {
            current.used = true;
        }
    }

    /// Returns the cached tokens if they are valid, also if they must be compared with the store
    /// first, which takes 2 s at most.
    pub(crate) async fn cached_or_checked(self: &Arc<Self>) -> Option<Arc<TokenSet>> {
        if let Err(Missing::Unchecked) = self.cached() {
            self.app.ensure_open().ok()?;
            self.compare().await;
        }
        self.cached().ok()
    }

    /// Compares the cached tokens with the store.
    async fn compare(self: &Arc<Self>) {
        let flight = {
            let mut state = self.lock();
            match state.live_flight() {
                Some(flight) if flight.purpose() == Purpose::Comparison => Some(flight),
                Some(_) => {
                    state.checked_at = Some(Instant::now());
                    None
                }
                None => {
                    let session = Arc::clone(self);
                    Some(self.spawn(state, Purpose::Comparison, |flight| async move {
                        session.compare_with_store(&flight).await
                    }))
                }
            }
        };
        let Some(flight) = flight else {
            // A refresh may run for longer than a call with valid tokens should wait.
            return self.drop_outdated().await;
        };
        // A slow store does not delay a call with valid tokens any longer.
        let _the_cache_knows = timeout(2 * CHECK_TIMEOUT, flight.result()).await;
        self.lock().checked_at = Some(Instant::now());
    }

    /// Removes the cached tokens if the store contains others, so that the next call waits for the
    /// running store task.
    async fn drop_outdated(&self) {
        let cached = |state: &State| state.current.as_ref().map(|it| it.tokens.generation);
        let known = cached(&self.lock());
        if let Ok(Ok(stored)) = timeout(CHECK_TIMEOUT, self.load()).await {
            let mut state = self.lock();
            if stored.map(|stored| stored.generation) != known && cached(&state) == known {
                state.current = None;
            }
        }
    }

    /// Returns the cached tokens after they were compared with the store.
    async fn check(self: &Arc<Self>) -> TokensResult {
        self.compare().await;
        match self.cached() {
            Ok(tokens) => Ok(tokens),
            Err(Missing::Invalid(generation)) => self.renew(generation).await,
            Err(Missing::Unchecked) => Err(AuthError::new(Kind::ShutDown)),
        }
    }

    /// Replaces the cached tokens if the store contains others.
    async fn compare_with_store(&self, flight: &Arc<Flight>) -> TaskResult {
        let current = |session: &Self| {
            let state = session.lock();
            state
                .current
                .as_ref()
                .map(|current| Arc::clone(&current.tokens))
        };
        match timeout(CHECK_TIMEOUT, self.load()).await {
            Ok(Ok(Some(stored))) => {
                if current(self).is_none_or(|known| known.generation != stored.generation) {
                    self.publish(flight, stored);
                }
            }
            Ok(Ok(None)) => self.clear(flight),
            // The tokens are valid, so a store that fails for a while does not end their use.
            Ok(Err(error)) if error.is_store() => {}
            Ok(Err(error)) => {
                self.clear(flight);
                return Err(error);
            }
            Err(_) => {}
        }
        Ok(current(self))
    }

    /// Returns whether a refresh may help an operation that refused tokens of this generation.
    pub(crate) fn may_refresh_after_401(&self, operation: &str, generation: u64) -> bool {
        let state = self.lock();
        let refusals = state.refusals.as_ref();
        refusals.is_none_or(|refusals| refusals.may_refresh(operation, generation))
    }

    /// Records that tokens were issued after a 401.
    pub(crate) fn note_issued_after_401(&self, generation: u64) {
        let mut state = self.lock();
        state.refusals.get_or_insert_default().issued(generation);
    }

    /// Records that an operation refused tokens that had just been issued.
    pub(crate) fn note_refused(&self, operation: &str) {
        let mut state = self.lock();
        state.refusals.get_or_insert_default().refused(operation);
    }

    /// Records that an operation accepted tokens of this generation.
    pub(crate) fn note_accepted<S: AsRef<str>>(&self, operation: impl Fn() -> S, generation: u64) {
        let mut state = self.lock();
        if let Some(refusals) = &mut state.refusals {
            refusals.accepted(operation().as_ref(), generation);
            if refusals.is_empty() {
                state.refusals = None;
            }
        }
    }

    /// Returns whether the session has no tokens and no running store task.
    pub(super) fn is_idle(&self) -> bool {
        let state = self.lock();
        state.current.is_none() && state.flight.is_none() && state.unsaved.is_none()
    }

    /// Returns whether a store task is running.
    pub(super) fn is_busy(&self) -> bool {
        self.lock().flight.is_some()
    }

    /// Joins the running store task, or starts a refresh that replaces the tokens that failed.
    ///
    /// Returns the cached tokens if they are not those that failed.
    fn refresh_or_join(self: &Arc<Self>, failed: u64) -> Result<Arc<TokenSet>, Arc<Flight>> {
        let state = self.lock();
        if let Some(current) = &state.current
            && current.tokens.generation != failed
        {
            return Ok(Arc::clone(&current.tokens));
        }
        if let Some(flight) = state.live_flight() {
            return Err(flight);
        }
        let session = Arc::clone(self);
        let purpose = Purpose::Refresh { is_ahead: false };
        Err(self.spawn(state, purpose, |flight| async move {
            session.refresh(&flight, failed).await.map(Some)
        }))
    }

    /// Caches saved tokens for calls, and schedules their early refresh.
    ///
    /// Tokens of a store task that is no longer current are not cached.
    fn publish(&self, flight: &Arc<Flight>, mut tokens: TokenSet) -> Arc<TokenSet> {
        // Read from the store when it is needed.
        tokens.replaced_access_token = None;
        // Shares the text.
        tokens.user = self.user.clone();
        // Jitter keeps tokens that were issued together from being refreshed together.
        let refresh_ahead = max_refresh_ahead(&tokens).mul_f64(0.5 + jitter() / 2.0);
        let refresh_from = tokens
            .expires_at()
            .checked_sub(refresh_ahead)
            .unwrap_or(tokens.issued_at);
        let tokens = Arc::new(tokens);
        let mut state = self.lock();
        if state.is_current(flight) {
            state.current = Some(Current {
                tokens: Arc::clone(&tokens),
                refresh_from,
                used: false,
            });
            state.checked_at = Some(Instant::now());
            state.next_early_refresh = None;
            let failing_since = state.end_failures(&tokens);
            drop(state);
            if let Some(since) = failing_since {
                self.app.emit(AuthEvent::Recovered {
                    user: self.user.clone(),
                    failing_for: self.app.now().duration_since(since).unwrap_or_default(),
                });
            }
        }
        tokens
    }

    /// Removes the cached tokens of a user who is no longer connected.
    fn clear(&self, flight: &Arc<Flight>) {
        let mut state = self.lock();
        if state.is_current(flight) {
            state.current = None;
            state.failing = None;
        }
    }

    /// Locks the state. A poisoned lock is usable, because no code that could panic runs under it.
    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Session(..)")
    }
}

/// Returns the longest time before the expiry at which a process may refresh the tokens.
fn max_refresh_ahead(tokens: &TokenSet) -> Duration {
    (tokens.lifetime / REFRESH_AHEAD_DIVISOR).min(MAX_REFRESH_AHEAD)
}

/// Returns whether a token is expired, or could expire before it reaches the server.
fn is_expired(tokens: &TokenSet, now: SystemTime) -> bool {
    let margin = EXPIRY_MARGIN.min(tokens.lifetime / 2);
    now + margin >= tokens.expires_at()
}
