//! Store tasks: one at a time for each user, each with a deadline.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::Poll;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::failing::Findings;
use super::{EARLY_REFRESH_DELAY, Session, State};
use crate::auth::error::{AuthError, Kind};
use crate::auth::event::RefreshTiming;
use crate::auth::shared::RunningTask;
use crate::auth::store::{Lease, StoreError, Swapped};
use crate::auth::token::TokenSet;
use crate::lock::lock;
use crate::transport::retry::jitter;

/// The deadline of a store task: 60 s. It leaves time for four token requests that time out.
pub(super) const DEADLINE: Duration = Duration::from_secs(60);

/// The duration of a lease: 2 s.
///
/// A process that was killed delays the others for this time at most.
pub(super) const LEASE_TTL: Duration = Duration::from_secs(2);

/// The interval at which a store task notes that it runs, and renews its lease: 500 ms.
const BEAT: Duration = Duration::from_millis(500);

/// The time without a beat after which a store task counts as dead: 5 s.
///
/// Its runtime is no longer driven, or is blocked.
const DEAD_AFTER: Duration = Duration::from_secs(5);

/// The first delay between two attempts to acquire a lease: 50 ms. Jitter halves it at most.
const MIN_LEASE_POLL: Duration = Duration::from_millis(50);

/// The longest delay between two attempts to acquire a lease: 500 ms.
const MAX_LEASE_POLL: Duration = Duration::from_millis(500);

/// The result of a store task: tokens, or `None` if they were deleted.
pub(super) type TaskResult = Result<Option<Arc<TokenSet>>, AuthError>;

/// A running store task.
///
/// Other callers wait for its result. A task that is no longer current, because it counted as dead,
/// may still end later; it then changes neither the cache nor its successor.
pub(super) struct Flight {
    /// The owner of the task's lease.
    lease_owner: String,
    holds_lease: AtomicBool,
    /// Whether the lease was renewed, perhaps after it was released together with a save.
    was_renewed: AtomicBool,
    purpose: Purpose,
    findings: Mutex<Findings>,
    started: Instant,
    /// The milliseconds from the start to the last beat.
    beat: AtomicU64,
    result: watch::Receiver<Option<TaskResult>>,
}

/// The purpose of a store task.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Replaces the tokens.
    Refresh {
        /// Whether no call caused the refresh. Callers that wait for tokens start their own task
        /// after it.
        is_ahead: bool,
    },
    /// Compares the cached tokens with the store.
    Comparison,
    /// Saves or deletes tokens. Its result is that of a refresh too.
    Save,
    /// Changes the record. Callers that wait for tokens start their own task after it.
    Change,
}

/// The result of an attempt to acquire a lease.
#[allow(
    clippy::large_enum_variant,
    reason = "a result is created and matched once"
)]
pub(super) enum Acquired {
    /// The task has the lease; contains the tokens that are stored now.
    With(Option<TokenSet>),
    NotYet,
}

/// Attempts to acquire a lease.
pub(super) struct LeasePolls {
    started: Instant,
    delay: Duration,
}

impl Flight {
    /// Waits for the result. Returns `None` if the task died.
    pub(super) async fn result(&self) -> Option<TaskResult> {
        let mut result = self.result.clone();
        loop {
            let beat = self.beat.load(Ordering::Relaxed);
            let dead_at = self.started + Duration::from_millis(beat) + DEAD_AFTER;
            match timeout_at(dead_at, result.wait_for(Option::is_some)).await {
                Ok(Ok(result)) => return result.clone(),
                // The task was dropped with its runtime, or panicked.
                Ok(Err(_)) => return None,
                Err(_) if self.beat.load(Ordering::Relaxed) == beat => return None,
                Err(_) => {}
            }
        }
    }

    pub(super) fn is_dead(&self) -> bool {
        let beat = Duration::from_millis(self.beat.load(Ordering::Relaxed));
        Instant::now() >= self.started + beat + DEAD_AFTER
    }

    pub(super) fn purpose(&self) -> Purpose {
        self.purpose
    }

    /// Returns whether the result is that of callers that wait for tokens.
    pub(super) fn is_for_callers(&self) -> bool {
        let is_ahead = self.purpose == Purpose::Refresh { is_ahead: true };
        self.purpose != Purpose::Change && !is_ahead
    }

    pub(super) fn findings(&self) -> Findings {
        *lock(&self.findings)
    }

    /// Notes what a refresh has found out.
    pub(super) fn find(&self, change: impl FnOnce(&mut Findings)) {
        change(&mut lock(&self.findings));
    }

    /// Returns the times of the refresh until now.
    pub(super) fn timing(&self) -> RefreshTiming {
        RefreshTiming {
            elapsed: self.started.elapsed(),
            ..self.findings().timing
        }
    }

    /// Adds the time that a future takes to a part of the times of the refresh.
    pub(super) async fn timed<T>(
        &self,
        part: fn(&mut RefreshTiming) -> &mut Duration,
        work: impl Future<Output = T>,
    ) -> T {
        let started = Instant::now();
        let output = work.await;
        self.find(|findings| *part(&mut findings.timing) += started.elapsed());
        output
    }

    fn may_hold_lease(&self) -> bool {
        let flags = [&self.holds_lease, &self.was_renewed];
        flags.into_iter().any(|flag| flag.load(Ordering::Relaxed))
    }

    fn note_beat(&self) {
        let millis = u64::try_from(self.started.elapsed().as_millis());
        self.beat
            .store(millis.unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

impl LeasePolls {
    pub(super) fn new() -> Self {
        Self {
            started: Instant::now(),
            delay: MIN_LEASE_POLL,
        }
    }
}

impl Session {
    /// Runs `work` as a store task, after the running one.
    ///
    /// Fails if the running tasks take longer than the deadline of one.
    pub(super) async fn run_exclusive<W>(
        self: &Arc<Self>,
        purpose: Purpose,
        work: impl FnOnce(Arc<Flight>) -> W,
    ) -> TaskResult
    where
        W: Future<Output = TaskResult> + Send + 'static,
    {
        let until = Instant::now() + DEADLINE;
        let own = loop {
            let other = {
                let state = self.lock();
                match state.live_flight() {
                    Some(flight) => flight,
                    None => break self.spawn(state, purpose, work),
                }
            };
            // The callers of the other task handle its result.
            let waited = timeout_at(until, other.result()).await;
            waited.map_err(|_| AuthError::new(Kind::Overdue(DEADLINE)))?;
        };
        let died = || Err(AuthError::new(Kind::Overdue(DEADLINE)));
        own.result().await.unwrap_or_else(died)
    }

    /// Spawns a store task and registers it in the state.
    pub(super) fn spawn<W>(
        self: &Arc<Self>,
        mut state: MutexGuard<'_, State>,
        purpose: Purpose,
        work: impl FnOnce(Arc<Flight>) -> W,
    ) -> Arc<Flight>
    where
        W: Future<Output = TaskResult> + Send + 'static,
    {
        let (sender, result) = watch::channel(None);
        let flight = Arc::new(Flight {
            lease_owner: self.app.new_lease_owner(),
            holds_lease: AtomicBool::new(false),
            was_renewed: AtomicBool::new(false),
            purpose,
            findings: Mutex::default(),
            started: Instant::now(),
            beat: AtomicU64::new(0),
            result,
        });
        state.flight = Some(Arc::clone(&flight));
        drop(state);
        let completion = Completion {
            session: Arc::clone(self),
            flight: Arc::clone(&flight),
            sender,
            _running: self.app.task(),
        };
        let work = work(Arc::clone(&flight));
        tokio::spawn(async move {
            // Captured by the future, so that it is dropped and unregisters the task even if the
            // task never runs.
            let completion = completion;
            let (session, flight) = (&completion.session, &completion.flight);
            let result = session.drive(flight, work).await;
            if flight.may_hold_lease() {
                let store = &session.app.store;
                let release = store.release(&session.user, &flight.lease_owner);
                // A lease that cannot be released expires.
                let _expires = timeout(BEAT, release).await;
            }
            completion.complete(result);
        });
        flight
    }

    /// Runs `work` until its deadline, and meanwhile renews its lease.
    async fn drive(
        self: &Arc<Self>,
        flight: &Flight,
        work: impl Future<Output = TaskResult>,
    ) -> TaskResult {
        let mut work = pin!(work);
        loop {
            if let Ok(result) = timeout(BEAT, work.as_mut()).await {
                return result;
            }
            flight.note_beat();
            if flight.started.elapsed() >= DEADLINE {
                // Tokens that are not saved yet are saved in the background.
                self.save_later();
                return Err(AuthError::new(Kind::Overdue(DEADLINE)));
            }
            if flight.holds_lease.load(Ordering::Relaxed) {
                flight.was_renewed.store(true, Ordering::Relaxed);
                let renewal = timeout(BEAT, self.lease(flight));
                let mut renewal = pin!(renewal);
                let result = poll_fn(|context| match work.as_mut().poll(context) {
                    Poll::Ready(result) => Poll::Ready(Some(result)),
                    // If the store fails now, the lease may expire. Then two processes may refresh
                    // at once, and the compare-and-swap decides.
                    Poll::Pending => renewal.as_mut().poll(context).map(|_| None),
                });
                if let Some(result) = result.await {
                    return result;
                }
            }
        }
    }

    /// Acquires the lease, or waits a while and returns `false` if another task holds it.
    pub(super) async fn acquire_lease(
        &self,
        flight: &Flight,
        polls: &mut LeasePolls,
    ) -> Result<bool, AuthError> {
        let lease = flight.timed(|times| &mut times.store_time, self.lease(flight));
        let lease = lease.await;
        self.note_lease(lease.is_ok());
        Ok(self.is_acquired(flight, polls, lease?).await)
    }

    /// Acquires the lease and loads the tokens that are stored now, or waits a while if another task
    /// holds the lease.
    pub(super) async fn acquire_lease_and_load(
        &self,
        flight: &Flight,
        polls: &mut LeasePolls,
    ) -> Result<Acquired, AuthError> {
        let store = &self.app.store;
        let leased = store.lease_and_load(&self.user, &flight.lease_owner, LEASE_TTL);
        let leased = flight.timed(|times| &mut times.store_time, leased).await;
        // A record that cannot be decoded was read with the lease.
        let is_unreadable = leased.as_ref().is_err_and(StoreError::is_unreadable);
        if is_unreadable {
            flight.holds_lease.store(true, Ordering::Relaxed);
        }
        self.note_lease(leased.is_ok() || is_unreadable);
        let (lease, stored) = leased?;
        if !self.is_acquired(flight, polls, lease).await {
            return Ok(Acquired::NotYet);
        }
        Ok(Acquired::With(if lease == Lease::Granted {
            self.loaded(stored).await?
        } else {
            self.load().await?
        }))
    }

    /// Notes that the lease was granted, or waits a while and returns `false`.
    async fn is_acquired(&self, flight: &Flight, polls: &mut LeasePolls, lease: Lease) -> bool {
        let Lease::Held { remaining } = lease else {
            flight.holds_lease.store(true, Ordering::Relaxed);
            return true;
        };
        // Nobody asks for more than the regular duration: the clock of the store was set back.
        // The lease is advisory, so it is ignored.
        if remaining > LEASE_TTL && polls.started.elapsed() >= LEASE_TTL {
            return true;
        }
        let delay = polls.delay.mul_f64(0.5 + jitter() / 2.0);
        // A store may round the remaining time down to 0.
        let pause = sleep(delay.min(remaining).max(MIN_LEASE_POLL / 2));
        flight.timed(|times| &mut times.lease_wait, pause).await;
        polls.delay = (polls.delay * 2).min(MAX_LEASE_POLL);
        false
    }

    /// Replaces the stored tokens, and releases the lease in the same step.
    pub(super) async fn swap_and_release(
        &self,
        flight: &Flight,
        expected: Option<u64>,
        new: &TokenSet,
    ) -> Result<Swapped, StoreError> {
        let store = &self.app.store;
        if !flight.holds_lease.load(Ordering::Relaxed) {
            let swap = store.compare_and_swap(expected, new);
            return flight.timed(|times| &mut times.store_time, swap).await;
        }
        let swap = store.swap_and_release(expected, new, &flight.lease_owner);
        let swap = flight.timed(|times| &mut times.store_time, swap).await;
        if swap.is_ok() {
            flight.holds_lease.store(false, Ordering::Relaxed);
        }
        swap
    }

    async fn lease(&self, flight: &Flight) -> Result<Lease, AuthError> {
        let store = &self.app.store;
        let lease = store.lease(&self.user, &flight.lease_owner, LEASE_TTL);
        Ok(lease.await?)
    }
}

impl State {
    /// Returns the running store task, unless it died.
    pub(super) fn live_flight(&self) -> Option<Arc<Flight>> {
        self.flight.clone().filter(|flight| !flight.is_dead())
    }

    /// Returns whether no other store task has replaced this one.
    pub(super) fn is_current(&self, flight: &Arc<Flight>) -> bool {
        self.flight
            .as_ref()
            .is_some_and(|current| Arc::ptr_eq(current, flight))
    }
}

/// Publishes the result of a store task, and unregisters the task when it ends for any reason, so
/// that another one can start.
struct Completion {
    session: Arc<Session>,
    flight: Arc<Flight>,
    sender: watch::Sender<Option<TaskResult>>,
    _running: RunningTask,
}

impl Completion {
    fn complete(self, result: TaskResult) {
        let now = self.session.app.now();
        let mut state = self.session.lock();
        if state.is_current(&self.flight) {
            state.flight = None;
            if result.is_err() {
                state.next_early_refresh = Some(now + EARLY_REFRESH_DELAY);
            }
            drop(state);
            if let (Purpose::Refresh { .. }, Err(error)) = (self.flight.purpose, &result) {
                self.session.report_failed_refresh(&self.flight, error);
            }
        } else {
            drop(state);
        }
        // All waiting callers may have been dropped.
        let _no_receiver = self.sender.send(Some(result));
    }
}

impl Drop for Completion {
    fn drop(&mut self) {
        let mut state = self.session.lock();
        if state.is_current(&self.flight) {
            state.flight = None;
        }
    }
}
