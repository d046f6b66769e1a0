//! The client-side rate limiter.

mod budget;
mod queue;
mod rate_limit;
pub mod shared_limit;
mod store;
mod supply;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until, timeout_at};

use budget::{Nanos, nanos};
use queue::{Admission, Check, Paused, Queue, Waiter};
use store::Store;
use supply::{OauthStep, Supply};

pub use rate_limit::RateLimit;

use crate::lock::lock;

/// The rate limiter and the concurrency limit that all calls of a client or an app share.
///
/// The limiter has no task of its own. The first waiting request of each user has a timer for the
/// time at which its permit should be due, and every check grants all due permits. The others have
/// later timers, because the first one may be a future that is not polled.
pub(crate) struct Limiter {
    start: Instant,
    /// Locked only for a look-up, never across an await.
    queue: Mutex<Queue<Arc<Notify>>>,
    /// Notified when the last request in flight ends after the limiter was closed.
    drained: Notify,
    /// The store of a limit that several processes share.
    store: Option<Store>,
}

/// The permission to send one request, which is already counted as sent.
///
/// It occupies a slot of the concurrency limit until it is dropped.
#[must_use]
pub(crate) struct Permit<'l> {
    limiter: &'l Limiter,
    /// `None` if the slot was passed on.
    user: Option<Arc<str>>,
}

/// The slot of a body that a caller streams, occupied until it is dropped.
pub(crate) struct StreamSlot {
    limiter: Arc<Limiter>,
    user: Arc<str>,
}

/// The times for which a request waited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Waits {
    /// For the rate limit.
    pub(crate) permit: Duration,
    /// For a slot of the concurrency limit.
    pub(crate) slot: Duration,
}

/// A wait that lasts, which is added when it ends or its future is dropped.
struct Wait<'w> {
    waits: &'w mut Waits,
    since: Instant,
    is_for_slot: bool,
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        let total = if self.is_for_slot {
            &mut self.waits.slot
        } else {
            &mut self.waits.permit
        };
        *total += self.since.elapsed();
    }
}

/// The reason why no permit is available before the deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoPermit {
    /// The rate limit, for this duration at least.
    RateLimit(Duration),
    Concurrency,
    Closed,
}

/// The result of entering the queue.
pub(crate) enum Entry<'l> {
    Permit(Permit<'l>),
    /// The request must wait.
    Place(Place<'l>),
}

/// The next step of a waiting request.
enum Next {
    /// Redeem the permit that was granted.
    Redeem,
    /// Check again after a notification, or at this time at the latest.
    Wait { until: Instant, is_for_slot: bool },
}

impl Limiter {
    /// Creates the limiter of an app, whose name is that of a shared state.
    pub(crate) fn new(limit: &RateLimit, concurrency: usize, app: &str) -> Arc<Self> {
        Arc::new_cyclic(|limiter| Self {
            start: Instant::now(),
            queue: Mutex::new(Queue::new(Supply::new(limit), concurrency.max(1))),
            drained: Notify::new(),
            store: limit
                .quota
                .and(limit.sharing.as_ref())
                .map(|sharing| Store {
                    limit: Arc::clone(&sharing.store),
                    app: app.into(),
                    limiter: limiter.clone(),
                    listener: sharing.listener.clone(),
                }),
        })
    }

    /// Returns a permit if a user's request may be sent at once, or else a place in the queue.
    pub(crate) fn enter(&self, user: &str, until: Instant) -> Result<Entry<'_>, NoPermit> {
        let (mut queue, now) = self.lock();
        if queue.is_closed() {
            return Err(NoPermit::Closed);
        }
        match queue.admit(now, user, self.nanos(until)) {
            Admission::Granted(user) => {
                // Without a waiting call, only a store that has failed is asked.
                let asked = queue.ask(now);
                drop(queue);
                self.send(asked);
                Ok(Entry::Permit(Permit {
                    limiter: self,
                    user: Some(user),
                }))
            }
            Admission::TooLate(at) => Err(NoPermit::before(at, now)),
            Admission::Wait => {
                let waiter = queue.wait(now, user, Arc::default());
                Ok(Entry::Place(Place {
                    limiter: self,
                    waiter,
                }))
            }
        }
    }

    /// Waits until an OAuth request may be sent, and counts it as sent.
    ///
    /// OAuth requests count against the rate limit, but wait neither behind calls nor for a slot.
    ///
    /// # Errors
    ///
    /// Returns the time to wait if that is after `until`.
    pub(crate) async fn acquire_oauth(&self, until: Instant) -> Result<(), Duration> {
        loop {
            let (step, now) = {
                let (mut queue, now) = self.lock();
                (queue.oauth(now), now)
            };
            let at = match step {
                OauthStep::Send => return Ok(()),
                OauthStep::At(at) => at,
                OauthStep::Ask(ask) => match Box::pin(self.ask_for_oauth(ask)).await {
                    Some(at) => at,
                    None => return Ok(()),
                },
            };
            if at > self.nanos(until) {
                return Err(Duration::from_nanos(at.saturating_sub(now)));
            }
            sleep_until(self.start + Duration::from_nanos(at)).await;
        }
    }

    /// Returns the interval of OAuth requests that takes half of those that the limit allows.
    pub(crate) fn oauth_pace(&self) -> Option<Duration> {
        self.lock().0.oauth_pace().map(Duration::from_nanos)
    }

    /// Refuses all further requests, except for OAuth requests.
    pub(crate) fn close(&self) {
        let mut woken = Vec::new();
        let (mut queue, now) = self.lock();
        queue.close(now, &mut woken);
        drop(queue);
        wake(woken);
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.lock().0.is_closed()
    }

    /// Returns the number of requests in flight.
    pub(crate) fn in_flight(&self) -> usize {
        self.lock().0.in_flight()
    }

    /// Waits until a closed limiter has no request in flight.
    pub(crate) async fn drained(&self) {
        loop {
            let drained = self.drained.notified();
            if self.in_flight() == 0 {
                return;
            }
            drained.await;
        }
    }

    /// Applies a 429 that a request of a user received.
    ///
    /// No request of this user is sent before `retry_after` has passed, at most 60 s. Without
    /// `retry_after`, the pause starts at 1 s and doubles with each further 429, up to 60 s.
    /// If `for_all`, or if another user is paused at the same time, the requests of all users are
    /// paused; afterwards, no burst is allowed for the length of a window.
    pub(crate) fn throttled(&self, user: &str, retry_after: Option<Duration>, for_all: bool) {
        let mut woken = Vec::new();
        let (mut queue, now) = self.lock();
        let after = retry_after.map(nanos);
        let paused = if for_all {
            queue.all_throttled(now, after, &mut woken)
        } else {
            queue.throttled(now, user, after, &mut woken)
        };
        drop(queue);
        wake(woken);
        log_pause(paused, user, retry_after);
    }

    /// Applies a 429 that an OAuth request received. It pauses OAuth requests only.
    pub(crate) fn oauth_throttled(&self, retry_after: Option<Duration>) {
        let (mut queue, now) = self.lock();
        let paused = queue.oauth_throttled(now, retry_after.map(nanos));
        drop(queue);
        log_pause(paused, "", retry_after);
    }

    /// Ends an in-flight request by this function of the queue.
    fn release(&self, end: impl FnOnce(&mut Queue<Arc<Notify>>, Nanos, &mut Vec<Arc<Notify>>)) {
        let mut woken = Vec::new();
        let (mut queue, now) = self.lock();
        end(&mut queue, now, &mut woken);
        let is_drained = queue.is_closed() && queue.in_flight() == 0;
        drop(queue);
        if is_drained {
            self.drained.notify_waiters();
        }
        wake(woken);
    }

    /// Locks the queue and reads the time.
    ///
    /// The time is read under the lock, so that requests are recorded in order.
    fn lock(&self) -> (MutexGuard<'_, Queue<Arc<Notify>>>, Nanos) {
        let queue = lock(&self.queue);
        let now = self.nanos(Instant::now());
        (queue, now)
    }

    fn nanos(&self, at: Instant) -> Nanos {
        nanos(at.saturating_duration_since(self.start))
    }
}

impl fmt::Debug for Permit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Permit(..)")
    }
}

impl Permit<'_> {
    /// Passes the slot on to a body that the caller streams.
    ///
    /// Such bodies have at most half of the slots, because their callers may make calls while they
    /// read, or may not read. The others occupy no slot.
    pub(crate) fn into_stream(mut self, limiter: &Arc<Limiter>) -> Option<StreamSlot> {
        let has_slot = limiter.lock().0.start_stream();
        let user = self.user.take_if(|_| has_slot)?;
        Some(StreamSlot {
            limiter: Arc::clone(limiter),
            user,
        })
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if let Some(user) = &self.user {
            self.limiter
                .release(|queue, now, woken| queue.release(now, user, woken));
        }
    }
}

impl Drop for StreamSlot {
    fn drop(&mut self) {
        let user = &self.user;
        self.limiter
            .release(|queue, now, woken| queue.end_stream(now, user, woken));
    }
}

impl fmt::Debug for Limiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Limiter(..)")
    }
}

impl NoPermit {
    fn before(at: Nanos, now: Nanos) -> Self {
        Self::RateLimit(Duration::from_nanos(at.saturating_sub(now)))
    }
}

/// A place in the queue, which it leaves when dropped.
pub(crate) struct Place<'l> {
    limiter: &'l Limiter,
    waiter: Waiter<Arc<Notify>>,
}

impl<'l> Place<'l> {
    /// Waits until a permit is granted, which must then be redeemed within a second.
    ///
    /// Adds the times of the wait to `waits`.
    pub(crate) async fn granted(&self, until: Instant, waits: &mut Waits) -> Result<(), NoPermit> {
        loop {
            let next = self.check(until)?;
            let notified = self.waiter.handle.notified();
            match next {
                Next::Redeem => return Ok(()),
                Next::Wait { until, is_for_slot } => {
                    let _wait = Wait {
                        waits: &mut *waits,
                        since: Instant::now(),
                        is_for_slot,
                    };
                    let _checked_again = timeout_at(until, notified).await;
                }
            }
        }
    }

    /// Counts the request as sent, if its permit was not withdrawn.
    pub(crate) fn redeem(&self) -> Option<Permit<'l>> {
        let limiter = self.limiter;
        let (mut queue, now) = limiter.lock();
        queue.redeem(now, &self.waiter).then(|| Permit {
            limiter,
            user: Some(Arc::clone(&self.waiter.user)),
        })
    }

    /// Leaves the queue until the next call of [`granted`](Self::granted), and passes the permit on.
    ///
    /// The request returns to its old place.
    pub(crate) fn leave(&self) {
        let mut woken = Vec::new();
        let (mut queue, now) = self.limiter.lock();
        queue.cancel(now, &self.waiter, &mut woken);
        drop(queue);
        wake(woken);
    }

    /// Returns the next step of the request, or an error if it cannot be sent before the deadline.
    fn check(&self, until: Instant) -> Result<Next, NoPermit> {
        let mut woken = Vec::new();
        let (mut queue, now) = self.limiter.lock();
        if queue.is_closed() {
            return Err(NoPermit::Closed);
        }
        let deadline = self.limiter.nanos(until);
        let asked = queue.ask(now);
        let check = (deadline >= now).then(|| queue.check(now, &self.waiter, &mut woken));
        drop(queue);
        self.limiter.send(asked);
        wake(woken);
        match check {
            None => Err(NoPermit::before(now, now)),
            Some(Check::Granted) => Ok(Next::Redeem),
            Some(Check::Wait { earliest, check_at }) => {
                if deadline < earliest.unwrap_or(now) || deadline == now {
                    let before = |at| NoPermit::before(at, now);
                    return Err(earliest.map_or(NoPermit::Concurrency, before));
                }
                let check_at = check_at.map(Duration::from_nanos);
                let check_at = check_at.and_then(|at| self.limiter.start.checked_add(at));
                Ok(Next::Wait {
                    until: check_at.map_or(until, |at| at.min(until)),
                    is_for_slot: earliest.is_none(),
                })
            }
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.leave();
    }
}

/// Wakes requests. Called without the lock, because a waker may run any code.
fn wake(waiters: Vec<Arc<Notify>>) {
    for waiter in waiters {
        waiter.notify_one();
    }
}

/// Logs that a 429 has paused requests.
#[cfg(feature = "tracing")]
fn log_pause(paused: Option<Paused>, user: &str, retry_after: Option<Duration>) {
    let (paused, user) = match paused {
        Some(Paused::User) => ("user", Some(user).filter(|user| !user.is_empty())),
        Some(Paused::All) => ("all", None),
        Some(Paused::Oauth) => ("oauth", None),
        None => return,
    };
    let retry_after = retry_after.map(|it| u64::try_from(it.as_millis()).unwrap_or(u64::MAX));
    tracing::warn!(
        target: "fullscript",
        {
            fullscript.paused = paused,
            fullscript.user = user,
            fullscript.retry_after_ms = retry_after,
        },
        "rate limit: paused after a 429"
    );
}

#[cfg(not(feature = "tracing"))]
fn log_pause(_: Option<Paused>, _: &str, _: Option<Duration>) {}
