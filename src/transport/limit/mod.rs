//! The rate limit: whose request goes when.

mod budget;
mod queue;
#[cfg(test)]
mod tests;

use std::fmt;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use budget::{Budget, Nanos, nanos};
use queue::{Answer, Look, Queue, Seat};

/// How many requests may be sent within how much time.
///
/// The default is the vendor's limit: 5,000 requests in any 5 minutes, of all
/// operations and all users of an app together.
/// [The vendor's page](https://fullscript.dev/technical-reference/rate-limits) says no
/// more than that; what a refusal looks like is not documented, so a 429 is
/// learned from when it comes, with its `Retry-After` if it has one.
///
/// Requests above the limit wait for their turn.
/// Users have their turns one after the other, so a job of one with thousands
/// of requests costs the others no more than a moment; the requests of one
/// user go first come, first served.
/// A fifth of the limit may go at once, and the rest is spread over the window.
///
/// The limit is kept within one process.
/// Where several share an app, give each its part.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use fullscript::RateLimit;
///
/// // Two processes share the app.
/// let half = RateLimit::new(2_500, Duration::from_secs(300));
/// assert_ne!(half, RateLimit::default());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit(Option<Quota>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Quota {
    requests: NonZeroU32,
    window: Duration,
}

impl RateLimit {
    /// Allows so many requests in any stretch of time as long as `window`.
    ///
    /// No requests at all is taken as one; no window is as good as
    /// [`off`](Self::off).
    #[must_use]
    pub fn new(requests: u32, window: Duration) -> Self {
        let requests = NonZeroU32::new(requests).unwrap_or(NonZeroU32::MIN);
        Self((!window.is_zero()).then_some(Quota { requests, window }))
    }

    /// Sends every request at once, and leaves it to the server to refuse.
    #[must_use]
    pub fn off() -> Self {
        Self(None)
    }

    /// How many requests in what time, if there is a limit.
    #[cfg(feature = "testing")]
    pub(crate) fn quota(self) -> Option<(u32, Duration)> {
        let quota = self.0?;
        Some((quota.requests.get(), quota.window))
    }
}

impl Default for RateLimit {
    fn default() -> Self {
        Self::new(5_000, Duration::from_secs(300))
    }
}

/// Keeps a [`RateLimit`] for all who share it.
///
/// There is no task behind it: the first of each lane keeps a timer for the
/// moment at which its turn should come, and whoever looks gives all turns
/// that are due.
pub(crate) struct Limiter(Option<Shared>);

struct Shared {
    start: Instant,
    /// Held for a look alone, never across an await.
    queue: Mutex<Queue<Arc<Notify>>>,
}

/// How a turn came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    AtOnce,
    Waited,
}

/// The turn would come after the deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooBusy {
    /// How long the turn would have taken to come, at least.
    pub(crate) wait: Duration,
}

impl Limiter {
    pub(crate) fn new(limit: RateLimit) -> Self {
        Self(limit.0.map(|Quota { requests, window }| Shared {
            start: Instant::now(),
            queue: Mutex::new(Queue::new(Budget::new(requests, window))),
        }))
    }

    /// Waits until a request of a lane may be sent, and counts it as sent.
    ///
    /// A future that is dropped while it waits gives its place back.
    pub(crate) async fn turn(&self, lane: &str, until: Option<Instant>) -> Result<Turn, TooBusy> {
        let Some(shared) = &self.0 else {
            return Ok(Turn::AtOnce);
        };
        let Some(place) = shared.ask(lane, until)? else {
            return Ok(Turn::AtOnce);
        };
        while let Some(again) = place.look(until)? {
            let told = place.seat.handle.notified();
            match again {
                Some(again) => drop(timeout_at(again, told).await),
                None => told.await,
            }
        }
        Ok(Turn::Waited)
    }

    /// Learns from a 429: nobody is sent before it says so, nor, where it says
    /// nothing, before a pause that doubles while refusals go on.
    /// After that there are no bursts for the length of a window.
    pub(crate) fn throttled(&self, retry_after: Option<Duration>) {
        if let Some(shared) = &self.0 {
            let mut woken = Vec::new();
            let (mut queue, now) = shared.lock();
            queue.throttled(now, retry_after.map(nanos), &mut woken);
            drop(queue);
            wake(woken);
        }
    }
}

impl fmt::Debug for Limiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Limiter(..)")
    }
}

impl Shared {
    /// The queue, and the time, which does not pass while it is held: what is
    /// counted is in order.
    fn lock(&self) -> (MutexGuard<'_, Queue<Arc<Notify>>>, Nanos) {
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.nanos(Instant::now());
        (queue, now)
    }

    fn nanos(&self, at: Instant) -> Nanos {
        nanos(at.saturating_duration_since(self.start))
    }

    /// A place to wait at, or none if the request may go.
    fn ask(&self, lane: &str, until: Option<Instant>) -> Result<Option<Place<'_>>, TooBusy> {
        let until = until.map(|until| self.nanos(until));
        let (mut queue, now) = self.lock();
        match queue.ask(now, lane, until) {
            Answer::Go => Ok(None),
            Answer::TooLate(at) => Err(TooBusy::before(at, now)),
            Answer::Wait => {
                let seat = queue.seat(lane, Arc::default());
                Ok(Some(Place { shared: self, seat }))
            }
        }
    }
}

impl TooBusy {
    fn before(at: Nanos, now: Nanos) -> Self {
        let wait = Duration::from_nanos(at.saturating_sub(now));
        Self { wait }
    }
}

/// A place in the queue, given back when dropped.
struct Place<'a> {
    shared: &'a Shared,
    seat: Seat<Arc<Notify>>,
}

impl Place<'_> {
    /// When to look again, at the latest: `Some(None)` if somebody tells.
    /// Nothing if it is our turn.
    fn look(&self, until: Option<Instant>) -> Result<Option<Option<Instant>>, TooBusy> {
        let mut woken = Vec::new();
        let (mut queue, now) = self.shared.lock();
        let deadline = until.map(|until| self.shared.nanos(until));
        let look = if deadline.is_some_and(|deadline| deadline < now) {
            None
        } else {
            Some(queue.look(now, &self.seat, &mut woken))
        };
        drop(queue);
        wake(woken);
        match look {
            None => Err(TooBusy::before(now, now)),
            Some(Look::Go) => Ok(None),
            Some(Look::Wait { soonest, again }) => {
                if deadline.is_some_and(|deadline| deadline < soonest || deadline == now) {
                    return Err(TooBusy::before(soonest, now));
                }
                let again = again.map(Duration::from_nanos);
                let again = again.and_then(|again| self.shared.start.checked_add(again));
                Ok(Some(match (again, until) {
                    (Some(again), Some(until)) => Some(again.min(until)),
                    (again, until) => again.or(until),
                }))
            }
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut woken = Vec::new();
        let (mut queue, now) = self.shared.lock();
        queue.leave(now, &self.seat, &mut woken);
        drop(queue);
        wake(woken);
    }
}

/// Outside the lock, since a waker may run anything.
fn wake(waiters: Vec<Arc<Notify>>) {
    for waiter in waiters {
        waiter.notify_one();
    }
}
