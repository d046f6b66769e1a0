//! One user's tokens in this process: who may refresh, when, and how often.

mod refresh;
mod save;

use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::watch;

use super::error::{AuthError, Kind};
use super::event::AuthEvent;
use super::shared::AppShared;
use super::token::TokenSet;
use crate::transport::retry::jitter;

/// A refresh is begun this long before the token expires, at most: enough
/// for a token endpoint that is down for a few minutes.
const EARLIEST: Duration = Duration::from_secs(300);

/// As [`EARLIEST`], as a part of the lifetime: a tenth.
const EARLY_PART: u32 = 10;

/// A token is not sent in its last seconds, which it may spend on the way.
const LEEWAY: Duration = Duration::from_secs(5);

/// After an early refresh that failed the next one waits this long; the
/// token is still good.
const EARLY_PAUSE: Duration = Duration::from_secs(30);

type Refreshed = Result<Arc<TokenSet>, AuthError>;

/// What a flight ends in: tokens, or none any more.
type Landed = Result<Option<Arc<TokenSet>>, AuthError>;

/// What whoever waits for a flight looks at.
type Flight = watch::Receiver<Option<Landed>>;

/// One user's tokens, shared by all clients of that user in this process.
///
/// Whatever looks into the store or writes to it is a flight: one at a time,
/// on a task of its own, which no dropped caller can take along.
pub(crate) struct Session {
    app: Arc<AppShared>,
    user: String,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    current: Option<Current>,
    /// The flight that is under way, for others to wait for.
    flight: Option<Flight>,
    /// A pair that the server issued and the store has not taken yet. Not
    /// used before it is saved. Rare, so it takes no room elsewhere.
    unsaved: Option<Box<Unsaved>>,
    /// Before this time no early refresh is tried.
    next_early: Option<SystemTime>,
    /// Whether a task is trying to save what is unsaved.
    saving_later: bool,
    /// What refuses even a token that is new.
    refusing: Option<Box<Refusing>>,
}

struct Current {
    tokens: Arc<TokenSet>,
    refresh_from: SystemTime,
}

/// A pair that waits for the store.
#[derive(Clone)]
struct Unsaved {
    tokens: TokenSet,
    /// The generation that it replaces.
    expected: Option<u64>,
    /// Of a new connection, which goes before whatever the store has.
    connected: bool,
}

/// Operations that answered 401 to a token that had just been issued: another
/// one would help as little.
struct Refusing {
    generation: u64,
    operations: Vec<&'static str>,
}

impl Session {
    pub(super) fn new(app: Arc<AppShared>, user: String) -> Self {
        Self {
            app,
            user,
            state: Mutex::default(),
        }
    }

    /// The user's id.
    pub(crate) fn user(&self) -> &str {
        &self.user
    }

    /// Tokens that are good now: those at hand, those of the store, or new
    /// ones.
    pub(crate) async fn tokens(self: &Arc<Self>) -> Refreshed {
        match self.at_hand() {
            Ok(tokens) => Ok(tokens),
            Err(generation) => self.renew(generation).await,
        }
    }

    /// Tokens that are good now and at hand, or else the generation of those
    /// that are not good, 0 if there are none.
    pub(crate) fn at_hand(self: &Arc<Self>) -> Result<Arc<TokenSet>, u64> {
        let now = self.app.clock.now();
        let state = self.lock();
        let current = state.current.as_ref().ok_or(0_u64)?;
        let tokens = Arc::clone(&current.tokens);
        // With a mark: perhaps the user has connected again, elsewhere.
        if tokens.needs_reconnect || is_expired(&tokens, now) {
            return Err(tokens.generation);
        }
        let early = now >= current.refresh_from && state.next_early.is_none_or(|next| now >= next);
        drop(state);
        if early {
            // The token is still good: nobody waits for this one.
            let _nobody_waits = self.begin(tokens.generation);
        }
        Ok(tokens)
    }

    /// Other tokens than those of the generation that failed: whoever asks
    /// second gets what the first one got.
    pub(crate) async fn renew(self: &Arc<Self>, failed: u64) -> Refreshed {
        match self.begin(failed) {
            Ok(tokens) if tokens.needs_reconnect => Err(AuthError::new(Kind::NeedsReconnect)),
            Ok(tokens) => Ok(tokens),
            Err(flight) => {
                let tokens = landed(flight).await?;
                tokens.ok_or_else(|| AuthError::new(Kind::NotConnected))
            }
        }
    }

    /// Whether this operation has refused a token of this generation when it
    /// was new.
    pub(crate) fn is_refusing(&self, operation: &'static str, generation: u64) -> bool {
        let state = self.lock();
        state.refusing.as_ref().is_some_and(|refusing| {
            refusing.generation == generation && refusing.operations.contains(&operation)
        })
    }

    /// Remembers that this operation refused a token that had just been issued.
    pub(crate) fn note_refusing(&self, operation: &'static str, generation: u64) {
        let mut state = self.lock();
        match &mut state.refusing {
            Some(refusing) if refusing.generation == generation => {
                if !refusing.operations.contains(&operation) {
                    refusing.operations.push(operation);
                }
            }
            refusing => {
                *refusing = Some(Box::new(Refusing {
                    generation,
                    operations: vec![operation],
                }));
            }
        }
    }

    /// Whether there is anything here that a new session would not have.
    pub(super) fn is_idle(&self) -> bool {
        let state = self.lock();
        state.current.is_none() && state.flight.is_none() && state.unsaved.is_none()
    }

    /// Ends the connection at the server, then deletes the tokens.
    pub(super) async fn revoke(self: &Arc<Self>) -> Result<(), AuthError> {
        let session = Arc::clone(self);
        let revoked = self.alone(async move {
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
            let gone = session.delete().await?;
            session.app.tell(AuthEvent::Revoked {
                user: session.user.clone(),
            });
            Ok(gone)
        });
        revoked.await.map(|_none| ())
    }

    /// Deletes the tokens.
    pub(super) async fn forget(self: &Arc<Self>) -> Result<(), AuthError> {
        let session = Arc::clone(self);
        let forgotten = self.alone(async move { session.delete().await });
        forgotten.await.map(|_none| ())
    }

    async fn delete(&self) -> Landed {
        self.app.store.delete(&self.user).await?;
        let mut state = self.lock();
        (state.current, state.unsaved) = (None, None);
        Ok(None)
    }

    /// Joins the flight that is under way, or begins one that looks for tokens
    /// other than those that failed.
    fn begin(self: &Arc<Self>, failed: u64) -> Result<Arc<TokenSet>, Flight> {
        let state = self.lock();
        if let Some(current) = &state.current
            && current.tokens.generation != failed
        {
            return Ok(Arc::clone(&current.tokens));
        }
        if let Some(flight) = &state.flight {
            return Err(flight.clone());
        }
        let session = Arc::clone(self);
        let refresh = async move { session.refresh(failed).await.map(Some) };
        Err(self.launch(state, refresh))
    }

    /// Makes a flight of this work, after the one that is under way.
    async fn alone(
        self: &Arc<Self>,
        work: impl Future<Output = Landed> + Send + 'static,
    ) -> Landed {
        let own = loop {
            let other = {
                let state = self.lock();
                match state.flight.clone() {
                    Some(flight) => flight,
                    None => break self.launch(state, work),
                }
            };
            // How it ended is told to those who asked for it.
            let _ended = landed(other).await;
        };
        landed(own).await
    }

    fn launch(
        self: &Arc<Self>,
        mut state: MutexGuard<'_, State>,
        work: impl Future<Output = Landed> + Send + 'static,
    ) -> Flight {
        let (done, flight) = watch::channel(None);
        state.flight = Some(flight.clone());
        drop(state);
        let landing = Landing {
            session: Arc::clone(self),
            done,
        };
        tokio::spawn(async move {
            // Moved in before the task is, so that it ends the flight even
            // where the task never runs.
            let landing = landing;
            let ended = work.await;
            landing.land(ended);
        });
        flight
    }

    /// Makes saved tokens those that calls carry.
    fn publish(&self, tokens: TokenSet) -> Arc<TokenSet> {
        let margin = (tokens.lifetime / EARLY_PART).min(EARLIEST);
        // Ten thousand tokens issued together don't refresh together.
        let margin = margin.mul_f64(0.5 + jitter() / 2.0);
        let refresh_from = tokens
            .expires_at()
            .checked_sub(margin)
            .unwrap_or(tokens.issued_at);
        let tokens = Arc::new(tokens);
        let mut state = self.lock();
        state.current = Some(Current {
            tokens: Arc::clone(&tokens),
            refresh_from,
        });
        state.next_early = None;
        tokens
    }

    /// No code that could panic runs under this lock.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Session(..)")
    }
}

/// Ends the flight however its task ends, so that another can begin.
struct Landing {
    session: Arc<Session>,
    done: watch::Sender<Option<Landed>>,
}

impl Landing {
    fn land(self, ended: Landed) {
        let now = self.session.app.clock.now();
        let mut state = self.session.lock();
        if ended.is_err() {
            // A token that is still good is not refreshed early again at once.
            state.next_early = Some(now + EARLY_PAUSE);
        }
        state.flight = None;
        drop(state);
        // Nobody may be waiting any more.
        let _unheard = self.done.send(Some(ended));
    }
}

impl Drop for Landing {
    fn drop(&mut self) {
        let mut state = self.session.lock();
        let own = state
            .flight
            .as_ref()
            .is_some_and(|flight| flight.same_channel(&self.done.subscribe()));
        if own {
            state.flight = None;
        }
    }
}

/// What a flight ends in.
async fn landed(mut flight: Flight) -> Landed {
    let ended = flight.wait_for(Option::is_some).await;
    let ended = ended.ok().and_then(|ended| ended.clone());
    ended.unwrap_or_else(|| Err(AuthError::new(Kind::Unreachable(None))))
}

/// Whether a token may be dead on arrival.
fn is_expired(tokens: &TokenSet, now: SystemTime) -> bool {
    let leeway = LEEWAY.min(tokens.lifetime / 2);
    now + leeway >= tokens.expires_at()
}
