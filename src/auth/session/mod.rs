//! The session of one user: caches, refreshes and revokes the user's tokens.

mod refresh;
mod refusals;
mod save;

use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use tokio::sync::watch;

use self::refusals::Refusals;
use super::error::{AuthError, Kind};
use super::event::AuthEvent;
use super::shared::AppShared;
use super::token::TokenSet;
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

type TokensResult = Result<Arc<TokenSet>, AuthError>;

/// The result of a store task: tokens, or `None` if they were deleted.
type TaskResult = Result<Option<Arc<TokenSet>>, AuthError>;

/// A handle to a running store task, for callers that wait for its result.
type StoreTask = watch::Receiver<Option<TaskResult>>;

/// The tokens of one user, shared by all clients of that user in this process.
///
/// All access to the store runs in store tasks. Only one store task runs at a time, on its own
/// tokio task, so that it continues if its caller is dropped.
pub(crate) struct Session {
    app: Arc<AppShared>,
    user: String,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    current: Option<Current>,
    /// The running store task, for other callers to wait for.
    task: Option<StoreTask>,
    /// Tokens that the server issued and the store has not saved yet. They are not used before
    /// they are saved. Boxed, because they are rare.
    unsaved: Option<Box<Unsaved>>,
    /// The time before which no early refresh starts.
    next_early_refresh: Option<SystemTime>,
    /// Whether a background task is retrying to save `unsaved`.
    retrying_save: bool,
    /// Boxed, because they are rare.
    refusals: Option<Box<Refusals>>,
}

struct Current {
    tokens: Arc<TokenSet>,
    refresh_from: SystemTime,
}

/// A token set that is not saved yet.
#[derive(Clone)]
struct Unsaved {
    tokens: TokenSet,
    /// The generation that it replaces in the store.
    expected: Option<u64>,
    /// Whether it belongs to a new connection, which overwrites any stored tokens.
    new_connection: bool,
}

impl Session {
    pub(super) fn new(app: Arc<AppShared>, user: String) -> Self {
        Self {
            app,
            user,
            state: Mutex::default(),
        }
    }

    /// Returns the user's id.
    pub(crate) fn user(&self) -> &str {
        &self.user
    }

    /// Returns valid tokens: cached, stored or refreshed ones.
    pub(crate) async fn tokens(self: &Arc<Self>) -> TokensResult {
        match self.cached() {
            Ok(tokens) => Ok(tokens),
            Err(generation) => self.renew(generation).await,
        }
    }

    /// Returns the cached tokens if they are valid, or else the generation of the invalid ones.
    ///
    /// The generation is 0 if there are no cached tokens. An early refresh starts in the
    /// background if it is due.
    pub(crate) fn cached(self: &Arc<Self>) -> Result<Arc<TokenSet>, u64> {
        let now = self.app.now();
        let state = self.lock();
        let current = state.current.as_ref().ok_or(0_u64)?;
        let tokens = Arc::clone(&current.tokens);
        // Marked tokens are loaded again, because the user may have reconnected in another
        // process.
        if tokens.needs_reconnect || is_expired(&tokens, now) {
            return Err(tokens.generation);
        }
        let refresh_early =
            now >= current.refresh_from && state.next_early_refresh.is_none_or(|next| now >= next);
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
        match self.refresh_or_join(failed) {
            Ok(tokens) if tokens.needs_reconnect => Err(AuthError::new(Kind::NeedsReconnect)),
            Ok(tokens) => Ok(tokens),
            Err(task) => {
                let tokens = result_of(task).await?;
                tokens.ok_or_else(|| AuthError::new(Kind::NotConnected))
            }
        }
    }

    /// Returns whether a refresh may help an operation that refused tokens of this generation.
    pub(crate) fn may_refresh_after_401(&self, operation: &str, generation: u64) -> bool {
        let now = self.app.now();
        let state = self.lock();
        let refusals = state.refusals.as_ref();
        refusals.is_none_or(|refusals| refusals.may_refresh(operation, generation, now))
    }

    /// Records that tokens were issued after a 401.
    pub(crate) fn note_issued_after_401(&self, generation: u64) {
        let now = self.app.now();
        let mut state = self.lock();
        let refusals = state.refusals.get_or_insert_default();
        refusals.issued(generation, now);
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
        state.current.is_none() && state.task.is_none() && state.unsaved.is_none()
    }

    /// Revokes the tokens at the server, then deletes them from the store.
    pub(super) async fn revoke(self: &Arc<Self>) -> Result<(), AuthError> {
        let session = Arc::clone(self);
        let revoked = self.run_exclusive(async move {
            let unsaved = session.lock().unsaved.clone();
            let stored = session.load().await?;
            let unsaved = unsaved.map(|unsaved| unsaved.tokens);
            for tokens in [unsaved, stored].into_iter().flatten() {
                session
                    .app
                    .endpoint
                    .revoke(&tokens.access_token, &session.user)
                    .await?;
            }
            let deleted = session.delete().await?;
            session.app.emit(AuthEvent::Revoked {
                user: session.user.clone(),
            });
            Ok(deleted)
        });
        revoked.await.map(|_none| ())
    }

    /// Deletes the tokens from the store.
    pub(super) async fn forget(self: &Arc<Self>) -> Result<(), AuthError> {
        let session = Arc::clone(self);
        let forgotten = self.run_exclusive(async move { session.delete().await });
        forgotten.await.map(|_none| ())
    }

    async fn delete(&self) -> TaskResult {
        self.app.store.delete(&self.user).await?;
        let mut state = self.lock();
        (state.current, state.unsaved) = (None, None);
        Ok(None)
    }

    /// Joins the running store task, or starts a refresh that replaces the tokens that failed.
    ///
    /// Returns the cached tokens if they are not those that failed.
    fn refresh_or_join(self: &Arc<Self>, failed: u64) -> Result<Arc<TokenSet>, StoreTask> {
        let state = self.lock();
        if let Some(current) = &state.current
            && current.tokens.generation != failed
        {
            return Ok(Arc::clone(&current.tokens));
        }
        if let Some(task) = &state.task {
            return Err(task.clone());
        }
        let session = Arc::clone(self);
        let refresh = async move { session.refresh(failed).await.map(Some) };
        Err(self.spawn(state, refresh))
    }

    /// Runs `work` as a store task, after the running one.
    async fn run_exclusive(
        self: &Arc<Self>,
        work: impl Future<Output = TaskResult> + Send + 'static,
    ) -> TaskResult {
        let own = loop {
            let other = {
                let state = self.lock();
                match state.task.clone() {
                    Some(task) => task,
                    None => break self.spawn(state, work),
                }
            };
            // The callers of the other task handle its result.
            let _result = result_of(other).await;
        };
        result_of(own).await
    }

    /// Spawns a store task and registers it in the state.
    fn spawn(
        self: &Arc<Self>,
        mut state: MutexGuard<'_, State>,
        work: impl Future<Output = TaskResult> + Send + 'static,
    ) -> StoreTask {
        let (sender, task) = watch::channel(None);
        state.task = Some(task.clone());
        drop(state);
        let completion = Completion {
            session: Arc::clone(self),
            sender,
        };
        tokio::spawn(async move {
            // Captured by the future, so that it is dropped and unregisters the task even if the
            // task never runs.
            let completion = completion;
            let result = work.await;
            completion.complete(result);
        });
        task
    }

    /// Caches saved tokens for calls, and schedules their early refresh.
    fn publish(&self, tokens: TokenSet) -> Arc<TokenSet> {
        let refresh_ahead = (tokens.lifetime / REFRESH_AHEAD_DIVISOR).min(MAX_REFRESH_AHEAD);
        // Jitter keeps tokens that were issued together from being refreshed together.
        let refresh_ahead = refresh_ahead.mul_f64(0.5 + jitter() / 2.0);
        let refresh_from = tokens
            .expires_at()
            .checked_sub(refresh_ahead)
            .unwrap_or(tokens.issued_at);
        let tokens = Arc::new(tokens);
        let mut state = self.lock();
        state.current = Some(Current {
            tokens: Arc::clone(&tokens),
            refresh_from,
        });
        state.next_early_refresh = None;
        tokens
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

/// Publishes the result of a store task, and unregisters the task when it ends for any reason, so
/// that another one can start.
struct Completion {
    session: Arc<Session>,
    sender: watch::Sender<Option<TaskResult>>,
}

impl Completion {
    fn complete(self, result: TaskResult) {
        let now = self.session.app.now();
        let mut state = self.session.lock();
        if result.is_err() {
            state.next_early_refresh = Some(now + EARLY_REFRESH_DELAY);
        }
        state.task = None;
        drop(state);
        // All waiting callers may have been dropped.
        let _no_receiver = self.sender.send(Some(result));
    }
}

impl Drop for Completion {
    fn drop(&mut self) {
        let mut state = self.session.lock();
        let is_own = state
            .task
            .as_ref()
            .is_some_and(|task| task.same_channel(&self.sender.subscribe()));
        if is_own {
            state.task = None;
        }
    }
}

/// Waits for the result of a store task.
async fn result_of(mut task: StoreTask) -> TaskResult {
    let result = task.wait_for(Option::is_some).await;
    let result = result.ok().and_then(|result| result.clone());
    result.unwrap_or_else(|| Err(AuthError::new(Kind::Unreachable(None))))
}

/// Returns whether a token is expired, or could expire before it reaches the server.
fn is_expired(tokens: &TokenSet, now: SystemTime) -> bool {
    let margin = EXPIRY_MARGIN.min(tokens.lifetime / 2);
    now + margin >= tokens.expires_at()
}
