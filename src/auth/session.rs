//! One user's tokens in this process: who may refresh, when, and how often.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::watch;

use super::app::{AppShared, AuthEvent};
use super::error::{AuthError, Kind};
use super::exchange::{Issued, Outcome};
use super::store::{Lease, Swap};
use super::token::TokenSet;
use crate::retry::jitter;

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

/// How often an unclear refresh is asked again, with the same token.
pub(super) const ATTEMPTS: u32 = 4;

/// The pause before the second attempt; doubles with each.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// The longest pause that a server's `Retry-After` is believed for.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// How long a process that has died keeps the others from refreshing. One
/// that lives renews its lease in time.
const LEASE: Duration = Duration::from_secs(10);

/// How often a lease is renewed.
const LEASE_RENEWAL: Duration = Duration::from_secs(3);

/// How often the store is asked whether the holder of the lease is done.
const LEASE_POLL: Duration = Duration::from_millis(50);

/// How often saving a new pair is tried before a call is told of it.
const SAVES: u32 = 4;

/// The longest pause between two attempts to save a pair that nobody waits
/// for any more.
const LONGEST_SAVE_PAUSE: Duration = Duration::from_secs(30);

/// Where two environments or apps have a user of the same id.
const SHARED_STORE: &str = "the store holds tokens of this user from another environment or app, give each a store of its own";

type Refreshed = Result<Arc<TokenSet>, AuthError>;

/// What whoever waits for a flight looks at.
type Flight = watch::Receiver<Option<Refreshed>>;

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

/// A pair that waits for the store.
#[derive(Clone)]
struct Unsaved {
    tokens: TokenSet,
    /// The generation that it replaces.
    expected: Option<u64>,
    /// Of a new connection, which goes before whatever the store has.
    connected: bool,
}

struct Current {
    tokens: Arc<TokenSet>,
    refresh_from: SystemTime,
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
            Err(flight) => landed(flight).await,
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

    /// Saves the tokens of a new connection; if the store fails they wait
    /// here, and are saved later.
    pub(super) async fn connect(self: &Arc<Self>, mut tokens: TokenSet) -> Result<(), AuthError> {
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
        let saved = self.alone(async move { session.save(new).await });
        saved.await.map(|_| ())
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
            session.delete().await
        });
        gone(revoked.await)
    }

    /// Deletes the tokens.
    pub(super) async fn forget(self: &Arc<Self>) -> Result<(), AuthError> {
        let session = Arc::clone(self);
        gone(self.alone(async move { session.delete().await }).await)
    }

    async fn delete(&self) -> Refreshed {
        self.app.store.delete(&self.user).await?;
        let mut state = self.lock();
        (state.current, state.unsaved) = (None, None);
        Err(AuthError::new(Kind::NotConnected))
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
        Err(self.launch(state, async move { session.refresh(failed).await }))
    }

    /// Makes a flight of this work, after the one that is under way.
    async fn alone(
        self: &Arc<Self>,
        work: impl Future<Output = Refreshed> + Send + 'static,
    ) -> Refreshed {
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
        work: impl Future<Output = Refreshed> + Send + 'static,
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

    /// lease -> read the store again -> ask -> save -> publish.
    async fn refresh(self: &Arc<Self>, failed: u64) -> Refreshed {
        let unsaved = self.lock().unsaved.clone();
        if let Some(unsaved) = unsaved {
            return self.save(*unsaved).await;
        }
        if let Some(ended) = self.lease(failed).await? {
            return ended;
        }
        let ended = self.keeping_the_lease(self.ask(failed)).await;
        // A lease that can't be given back ends by itself.
        let _ends_by_itself = self
            .app
            .store
            .release(&self.user, &self.app.lease_owner)
            .await;
        ended
    }

    /// Waits to be the one who refreshes, unless somebody else has done it
    /// meanwhile.
    async fn lease(&self, failed: u64) -> Result<Option<Refreshed>, AuthError> {
        let mut seen = None;
        loop {
            let stored = self.stored().await?;
            if self.is_news(&stored, failed) {
                return Ok(Some(self.adopt(stored)));
            }
            let Lease::HeldUntil(until) = self.ask_for_the_lease().await? else {
                return Ok(None);
            };
            let now = tokio::time::Instant::now();
            match seen {
                Some((before, since)) if before == until => {
                    // The clock of whoever took it is far ahead of ours. A
                    // lease is a courtesy; it has had its time.
                    if now.duration_since(since) > LEASE {
                        return Ok(None);
                    }
                }
                _ => seen = Some((until, now)),
            }
            tokio::time::sleep(LEASE_POLL).await;
        }
    }

    async fn ask_for_the_lease(&self) -> Result<Lease, AuthError> {
        let now = self.app.clock.now();
        let lease = self
            .app
            .store
            .lease(&self.user, &self.app.lease_owner, now, now + LEASE);
        Ok(lease.await?)
    }

    async fn keeping_the_lease<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        loop {
            if let Ok(ended) = tokio::time::timeout(LEASE_RENEWAL, work.as_mut()).await {
                return ended;
            }
            let mut renewal = pin!(self.ask_for_the_lease());
            let ended = poll_fn(|context| match work.as_mut().poll(context) {
                Poll::Ready(ended) => Poll::Ready(Some(ended)),
                // Lost, if the store fails now: then two may refresh at once,
                // and the swap decides.
                Poll::Pending => renewal.as_mut().poll(context).map(|_| None),
            });
            if let Some(ended) = ended.await {
                return ended;
            }
        }
    }

    /// The user's tokens as the store has them.
    async fn load(&self) -> Result<Option<TokenSet>, AuthError> {
        let stored = self.app.store.load(&self.user).await?;
        match stored {
            Some(stored) if stored.issuer != self.app.issuer => {
                Err(AuthError::new(Kind::WrongEnvironment))
            }
            stored => Ok(stored),
        }
    }

    async fn stored(&self) -> Result<TokenSet, AuthError> {
        let stored = self.load().await?;
        stored.ok_or_else(|| {
            // Revoked or forgotten elsewhere.
            self.lock().current = None;
            AuthError::new(Kind::NotConnected)
        })
    }

    /// Whether the store tells something else than the tokens that failed.
    fn is_news(&self, stored: &TokenSet, failed: u64) -> bool {
        stored.needs_reconnect
            || (stored.generation != failed && !is_expired(stored, self.app.clock.now()))
    }

    /// What somebody else has saved becomes ours.
    fn adopt(&self, stored: TokenSet) -> Refreshed {
        let ended = stored.needs_reconnect;
        let tokens = self.publish(stored);
        match ended {
            true => Err(AuthError::new(Kind::NeedsReconnect)),
            false => Ok(tokens),
        }
    }

    async fn ask(self: &Arc<Self>, failed: u64) -> Refreshed {
        // Between our look and our lease somebody may have been done.
        let stored = self.stored().await?;
        if self.is_news(&stored, failed) {
            return self.adopt(stored);
        }
        let Some(refresh_token) = stored.refresh_token.clone() else {
            return self.end(stored).await;
        };
        let mut attempt = 1;
        loop {
            let asked_at = self.app.clock.now();
            match self.app.endpoint.refresh(&refresh_token, &self.user).await {
                Outcome::Issued(issued) => {
                    let new = Unsaved {
                        expected: Some(stored.generation),
                        tokens: follow(stored, issued, asked_at)?,
                        connected: false,
                    };
                    return self.save(new).await;
                }
                Outcome::Refused => return self.end(stored).await,
                Outcome::Misconfigured(reason) => {
                    return Err(AuthError::new(Kind::Misconfigured(reason)));
                }
                Outcome::Unclear { error, wait, .. } => {
                    if attempt == ATTEMPTS {
                        return Err(error);
                    }
                    tokio::time::sleep(pause(attempt, wait)).await;
                    attempt += 1;
                }
            }
        }
    }

    /// Saves a new pair; only then may it be used.
    async fn save(self: &Arc<Self>, mut new: Unsaved) -> Refreshed {
        let mut attempt = 1;
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
                    let event = match new.connected {
                        true => AuthEvent::Connected { user },
                        false => AuthEvent::Refreshed { user },
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
                Err(error) if attempt == SAVES => {
                    self.app.tell(AuthEvent::SaveFailed {
                        user: self.user.clone(),
                    });
                    self.save_later();
                    return Err(error.into());
                }
                Err(_) => {
                    tokio::time::sleep(FIRST_PAUSE * 2_u32.pow(attempt - 1)).await;
                    attempt += 1;
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
            let mut pause = FIRST_PAUSE;
            while saving.0.lock().unsaved.is_some() {
                pause = (pause * 2).min(LONGEST_SAVE_PAUSE);
                tokio::time::sleep(pause).await;
                let session = Arc::clone(&saving.0);
                let again = async move {
                    let unsaved = session.lock().unsaved.clone();
                    match unsaved {
                        Some(unsaved) => session.save(*unsaved).await,
                        None => Err(AuthError::new(Kind::NotConnected)),
                    }
                };
                let _saved_or_again = saving.0.alone(again).await;
            }
        });
    }

    /// The server has refused the refresh token: final, unless the store has
    /// another one by now. The pair is kept, marked.
    async fn end(&self, refused: TokenSet) -> Refreshed {
        let generation = refused.generation;
        let marked = TokenSet {
            generation: generation + 1,
            needs_reconnect: true,
            ..refused
        };
        let swap = self
            .app
            .store
            .compare_and_swap(&self.user, Some(generation), marked.clone())
            .await?;
        match swap {
            Swap::Done => {
                self.publish(marked);
                self.app.tell(AuthEvent::NeedsReconnect {
                    user: self.user.clone(),
                });
                Err(AuthError::new(Kind::NeedsReconnect))
            }
            Swap::Lost(Some(present)) if present.issuer == self.app.issuer => self.adopt(present),
            Swap::Lost(Some(_)) => Err(AuthError::new(Kind::WrongEnvironment)),
            Swap::Lost(None) => {
                self.lock().current = None;
                Err(AuthError::new(Kind::NotConnected))
            }
        }
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
    done: watch::Sender<Option<Refreshed>>,
}

impl Landing {
    fn land(self, ended: Refreshed) {
        let mut state = self.session.lock();
        if ended.is_err() {
            // A token that is still good is not refreshed early again at once.
            state.next_early = Some(self.session.app.clock.now() + EARLY_PAUSE);
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

/// Lets another task try to save, however this one ends.
struct SavingLater(Arc<Session>);

impl Drop for SavingLater {
    fn drop(&mut self) {
        self.0.lock().saving_later = false;
    }
}

/// What a flight ends in.
async fn landed(mut flight: Flight) -> Refreshed {
    let ended = flight.wait_for(Option::is_some).await;
    let ended = ended.ok().and_then(|ended| ended.clone());
    ended.unwrap_or_else(|| Err(AuthError::new(Kind::Unreachable(None))))
}

/// A flight that deletes tokens ends in having none.
fn gone(ended: Refreshed) -> Result<(), AuthError> {
    match ended {
        Err(error) if error.is_not_connected() => Ok(()),
        ended => ended.map(|_| ()),
    }
}

/// Whether a token may be dead on arrival.
fn is_expired(tokens: &TokenSet, now: SystemTime) -> bool {
    let leeway = LEEWAY.min(tokens.lifetime / 2);
    now + leeway >= tokens.expires_at()
}

/// The pause before the attempt that follows this one.
pub(super) fn pause(attempt: u32, wait: Option<Duration>) -> Duration {
    let usual = FIRST_PAUSE * 2_u32.pow(attempt - 1);
    let pause = wait.unwrap_or(usual).min(LONGEST_PAUSE);
    pause.mul_f64(1.0 - jitter() / 2.0)
}

/// The set that follows another; what the reply leaves out stays.
fn follow(old: TokenSet, issued: Issued, asked_at: SystemTime) -> Result<TokenSet, AuthError> {
    let owner = match issued.owner {
        // Somebody else's tokens: whatever happened there, they are not ours
        // to use for this user.
        Some(owner) if owner.id != old.owner.id => return Err(AuthError::new(Kind::Unreadable)),
        Some(owner) => owner,
        None => old.owner,
    };
    Ok(TokenSet {
        access_token: issued.access_token,
        refresh_token: issued.refresh_token.or(old.refresh_token),
        owner,
        scopes: if issued.scopes.is_empty() {
            old.scopes
        } else {
            issued.scopes
        },
        issuer: old.issuer,
        issued_at: asked_at,
        lifetime: issued.lifetime,
        generation: old.generation + 1,
        needs_reconnect: false,
    })
}
