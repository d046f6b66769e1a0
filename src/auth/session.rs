//! One user's tokens in this process: who may refresh, when, and how often.

use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

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
const ATTEMPTS: u32 = 4;

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

type Refreshed = Result<Arc<TokenSet>, AuthError>;

/// One user's tokens, shared by all clients of that user in this process.
pub(crate) struct Session {
    app: Arc<AppShared>,
    user: String,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    current: Option<Current>,
    /// The refresh that is under way, for others to wait for.
    flight: Option<watch::Receiver<Option<Refreshed>>>,
    /// A pair that the server issued and the store has not taken yet. Not
    /// used before it is saved. Rare, so it takes no room elsewhere.
    unsaved: Option<Box<Unsaved>>,
    next_early: Option<SystemTime>,
    /// Whether a task is trying to save what is unsaved.
    saving_later: bool,
}

/// A pair that waits for the store.
#[derive(Clone)]
struct Unsaved {
    tokens: TokenSet,
    /// Of a new connection, which goes before whatever the store has.
    connected: bool,
}

struct Current {
    tokens: Arc<TokenSet>,
    refresh_from: SystemTime,
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
        let now = self.app.clock.now();
        let (tokens, early) = match self.at_hand(now) {
            Some(found) => found,
            None if self.lock().unsaved.is_some() => return self.renew(0).await,
            None => {
                self.load().await?;
                self.at_hand(now)
                    .ok_or_else(|| AuthError::new(Kind::NotConnected))?
            }
        };
        if tokens.needs_reconnect {
            // Perhaps the user has connected again, in another process.
            return self.renew(tokens.generation).await;
        }
        if now + LEEWAY >= tokens.expires_at() {
            return self.renew(tokens.generation).await;
        }
        if early {
            // The token is still good: nobody waits for this one.
            let _nobody_waits = self.begin(tokens.generation);
        }
        Ok(tokens)
    }

    /// Newer tokens than those of the generation that failed: whoever asks
    /// second gets what the first one got.
    pub(crate) async fn renew(self: &Arc<Self>, failed: u64) -> Refreshed {
        let mut flight = match self.begin(failed) {
            Ok(tokens) => return Ok(tokens),
            Err(flight) => flight,
        };
        let ended = flight.wait_for(Option::is_some).await;
        let ended = ended.ok().and_then(|ended| ended.clone());
        ended.unwrap_or_else(|| Err(AuthError::new(Kind::Unreachable(None))))
    }

    /// The tokens at hand, and whether they should be refreshed soon.
    fn at_hand(&self, now: SystemTime) -> Option<(Arc<TokenSet>, bool)> {
        let state = self.lock();
        let current = state.current.as_ref()?;
        let early = now >= current.refresh_from && state.next_early.is_none_or(|next| now >= next);
        Some((Arc::clone(&current.tokens), early))
    }

    async fn load(&self) -> Result<(), AuthError> {
        let stored = self.app.store.load(&self.user).await?;
        if let Some(stored) = stored {
            if stored.issuer != self.app.issuer {
                return Err(AuthError::new(Kind::WrongEnvironment));
            }
            self.publish(stored);
        }
        Ok(())
    }

    /// Joins the refresh that is under way, or begins one on a task of its
    /// own, which no dropped caller can take along.
    fn begin(
        self: &Arc<Self>,
        failed: u64,
    ) -> Result<Arc<TokenSet>, watch::Receiver<Option<Refreshed>>> {
        let mut state = self.lock();
        if let Some(current) = &state.current
            && current.tokens.generation > failed
        {
            return Ok(Arc::clone(&current.tokens));
        }
        if let Some(flight) = &state.flight {
            return Err(flight.clone());
        }
        let (done, flight) = watch::channel(None);
        state.flight = Some(flight.clone());
        drop(state);
        let session = Arc::clone(self);
        tokio::spawn(async move {
            let landing = Landing { session: &session };
            let ended = session.refresh(failed).await;
            drop(landing);
            // Nobody may be waiting any more; the pair is saved all the same.
            let _unheard = done.send(Some(ended));
        });
        Err(flight)
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
            if stored.generation > failed || stored.needs_reconnect {
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
        let mut work = std::pin::pin!(work);
        loop {
            match tokio::time::timeout(LEASE_RENEWAL, work.as_mut()).await {
                Ok(ended) => return ended,
                // Lost, if the store fails now: then two may refresh at once,
                // and the swap decides.
                Err(_) => _ = self.ask_for_the_lease().await,
            }
        }
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

    async fn stored(&self) -> Result<TokenSet, AuthError> {
        let stored = self.app.store.load(&self.user).await?;
        stored.ok_or_else(|| AuthError::new(Kind::NotConnected))
    }

    async fn ask(self: &Arc<Self>, failed: u64) -> Refreshed {
        // Between our look and our lease somebody may have been done.
        let stored = self.stored().await?;
        if stored.generation > failed || stored.needs_reconnect {
            return self.adopt(stored);
        }
        let Some(refresh_token) = stored.refresh_token.clone() else {
            return self.end(stored).await;
        };
        let mut attempt = 1;
        loop {
            let asked_at = self.app.clock.now();
            match self.app.endpoint.refresh(&refresh_token).await {
                Outcome::Issued(issued) => {
                    let tokens = follow(stored, issued, asked_at);
                    return self
                        .save(Unsaved {
                            tokens,
                            connected: false,
                        })
                        .await;
                }
                Outcome::Refused => return self.end(stored).await,
                Outcome::Misconfigured(reason) => {
                    return Err(AuthError::new(Kind::Misconfigured(reason)));
                }
                Outcome::Unclear(error, _) if attempt == ATTEMPTS => {
                    self.lock().next_early = Some(self.app.clock.now() + EARLY_PAUSE);
                    return Err(error);
                }
                Outcome::Unclear(_, wait) => {
                    let usual = FIRST_PAUSE * 2_u32.pow(attempt - 1);
                    let pause = wait.unwrap_or(usual).min(LONGEST_PAUSE);
                    tokio::time::sleep(pause.mul_f64(1.0 - jitter() / 2.0)).await;
                    attempt += 1;
                }
            }
        }
    }

    /// Saves a new pair; only then may it be used.
    async fn save(self: &Arc<Self>, mut new: Unsaved) -> Refreshed {
        self.lock().unsaved = Some(Box::new(new.clone()));
        let mut attempt = 1;
        loop {
            // The first generation of all follows none.
            let expected = Some(new.tokens.generation - 1).filter(|generation| *generation > 0);
            let swap = self
                .app
                .store
                .compare_and_swap(&self.user, expected, new.tokens.clone());
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
                // A new connection goes before whatever was there, and a pair
                // that the server has just issued before a mark of one who
                // came too late with its predecessor.
                Ok(Swap::Lost(present))
                    if new.connected
                        || present
                            .as_ref()
                            .is_some_and(|present| present.needs_reconnect) =>
                {
                    let before = present.map_or(0, |present| present.generation);
                    new.tokens.generation = before + 1;
                    self.lock().unsaved = Some(Box::new(new.clone()));
                }
                // Somebody saved a pair of a later refresh: that is the one
                // to use, for the use of either ends the other.
                Ok(Swap::Lost(Some(present))) => {
                    self.lock().unsaved = None;
                    return Ok(self.publish(present));
                }
                // Revoked or forgotten meanwhile.
                Ok(Swap::Lost(None)) => {
                    self.forget();
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
        let session = Arc::clone(self);
        tokio::spawn(async move {
            let mut pause = FIRST_PAUSE;
            loop {
                pause = (pause * 2).min(LONGEST_SAVE_PAUSE);
                tokio::time::sleep(pause).await;
                match session.generation_to_follow() {
                    Some(generation) => _ = session.renew(generation).await,
                    None => return,
                }
            }
        });
    }

    /// The generation that the unsaved pair follows; none if all is saved,
    /// which ends the saving.
    fn generation_to_follow(&self) -> Option<u64> {
        let mut state = self.lock();
        state.saving_later = state.unsaved.is_some();
        let current = state.current.as_ref();
        let generation = current.map_or(0, |current| current.tokens.generation);
        state.saving_later.then_some(generation)
    }

    /// Waits for the refresh that is under way, if there is one, and gives
    /// the tokens that no store has, if there are any.
    pub(super) async fn settle(&self) -> Option<TokenSet> {
        let flight = self.lock().flight.clone();
        if let Some(mut flight) = flight {
            // How it ended is told to those who asked for it.
            let _ended = flight.wait_for(Option::is_some).await;
        }
        self.lock().unsaved.clone().map(|unsaved| unsaved.tokens)
    }

    /// Saves the tokens of a new connection; if the store fails they wait
    /// here for the next call.
    pub(super) async fn connect(self: &Arc<Self>, tokens: TokenSet) -> Result<(), AuthError> {
        self.save(Unsaved {
            tokens,
            connected: true,
        })
        .await
        .map(|_| ())
    }

    /// The server has refused the refresh token: final, unless the store has
    /// a newer one by now. The pair is kept, marked.
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
            Swap::Lost(Some(present)) if !present.needs_reconnect => Ok(self.publish(present)),
            Swap::Lost(_) => Err(AuthError::new(Kind::NeedsReconnect)),
        }
    }

    /// Makes saved tokens those that calls carry, unless they are older.
    fn publish(&self, tokens: TokenSet) -> Arc<TokenSet> {
        let margin = (tokens.lifetime / EARLY_PART).min(EARLIEST);
        // Ten thousand tokens issued together don't refresh together.
        let margin = margin.mul_f64(0.5 + jitter() / 2.0);
        let refresh_from = tokens
            .expires_at()
            .checked_sub(margin)
            .unwrap_or(tokens.issued_at);
        let mut state = self.lock();
        if let Some(current) = &state.current
            && current.tokens.generation > tokens.generation
        {
            return Arc::clone(&current.tokens);
        }
        let tokens = Arc::new(tokens);
        state.current = Some(Current {
            tokens: Arc::clone(&tokens),
            refresh_from,
        });
        state.next_early = None;
        tokens
    }

    /// Forgets what is in memory.
    pub(super) fn forget(&self) {
        let mut state = self.lock();
        let saving_later = state.saving_later;
        *state = State {
            saving_later,
            ..State::default()
        };
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

/// Ends the flight however its task ends, so that the next call can begin
/// another.
struct Landing<'s> {
    session: &'s Session,
}

impl Drop for Landing<'_> {
    fn drop(&mut self) {
        self.session.lock().flight = None;
    }
}

/// The set that follows another; what the reply leaves out stays.
fn follow(old: TokenSet, issued: Issued, asked_at: SystemTime) -> TokenSet {
    TokenSet {
        access_token: issued.access_token,
        refresh_token: issued.refresh_token.or(old.refresh_token),
        owner: issued.owner.unwrap_or(old.owner),
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
    }
}
