//! A clock that a test moves.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use chrono::{DateTime, SecondsFormat, Utc};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::clock::{Clock, SystemClock};

/// A clock that is moved by hand; clones are the same clock.
///
/// It stands still between two moves, unless it is [`running`](Self::running).
#[derive(Clone)]
pub struct ManualClock(Arc<Inner>);

struct Inner {
    hands: Mutex<Hands>,
    moved: Notify,
}

#[derive(Clone, Copy)]
struct Hands {
    /// What the clock showed when it was last set.
    shown: SystemTime,
    /// When that was, if it goes on by itself.
    since: Option<Instant>,
}

impl Hands {
    fn now(self) -> SystemTime {
        let passed = self.since.map(|since| since.elapsed());
        self.shown + passed.unwrap_or_default()
    }
}

impl ManualClock {
    /// A clock that stands at this time.
    #[must_use]
    pub fn at(time: SystemTime) -> Self {
        Self::with(Hands {
            shown: time,
            since: None,
        })
    }

    /// A clock that begins with the machine's time and goes on by itself, as
    /// the one of a fake does.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use fullscript::Clock;
    /// use fullscript::testing::ManualClock;
    ///
    /// let clock = ManualClock::running();
    /// let before = clock.now();
    /// clock.advance(Duration::from_secs(7_200));
    /// assert!(clock.now() >= before + Duration::from_secs(7_200));
    /// ```
    #[must_use]
    pub fn running() -> Self {
        Self::with(Hands {
            shown: SystemClock.now(),
            since: Some(Instant::now()),
        })
    }

    /// Moves the clock on.
    pub fn advance(&self, by: Duration) {
        self.hands().shown += by;
        self.0.moved.notify_waiters();
    }

    /// Sets the clock, backwards too.
    pub fn set(&self, time: SystemTime) {
        let mut hands = self.hands();
        hands.shown = time;
        hands.since = hands.since.map(|_| Instant::now());
        drop(hands);
        self.0.moved.notify_waiters();
    }

    /// Lets the clock stand still from now on, so that times that a test looks
    /// at are the same each time; it can still be moved.
    pub fn stop(&self) {
        let mut hands = self.hands();
        hands.shown = hands.now();
        hands.since = None;
        drop(hands);
        self.0.moved.notify_waiters();
    }

    /// Moves the clock on to this time, unless it is later already.
    pub(super) fn advance_to(&self, time: SystemTime) {
        let missing = time.duration_since(self.now()).unwrap_or_default();
        self.advance(missing);
    }

    /// Ends when the clock shows this time, by itself or because it was moved.
    pub(super) async fn reaches(&self, time: SystemTime) {
        loop {
            let mut moved = std::pin::pin!(self.0.moved.notified());
            // From here on no move is missed.
            moved.as_mut().enable();
            let hands = *self.hands();
            let Ok(missing) = time.duration_since(hands.now()) else {
                return;
            };
            match hands.since {
                _ if missing.is_zero() => return,
                // The time-out is the wait.
                Some(_) => drop(tokio::time::timeout(missing, moved).await),
                None => moved.await,
            }
        }
    }

    fn with(hands: Hands) -> Self {
        Self(Arc::new(Inner {
            hands: Mutex::new(hands),
            moved: Notify::new(),
        }))
    }

    fn hands(&self) -> MutexGuard<'_, Hands> {
        self.0.hands.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for ManualClock {
    /// A clock that stands at the first second of 2026, UTC.
    fn default() -> Self {
        Self::at(SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600))
    }
}

impl Clock for ManualClock {
    fn now(&self) -> SystemTime {
        self.hands().now()
    }
}

impl fmt::Debug for ManualClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hands = *self.hands();
        f.debug_struct("ManualClock")
            .field("now", &hands.now())
            .field("running", &hands.since.is_some())
            .finish()
    }
}

/// A time as the vendor writes it: UTC, with milliseconds.
pub(super) fn timestamp(time: SystemTime) -> String {
    DateTime::<Utc>::from(time).to_rfc3339_opts(SecondsFormat::Millis, true)
}
