//! A clock that tests control.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use chrono::{DateTime, SecondsFormat, Utc};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::clock::{Clock, SystemClock};
use crate::lock::lock;

/// A clock that tests move. Clones share the same time.
///
/// The clock is stopped between two moves, unless it is [`running`](Self::running).
#[derive(Clone)]
pub struct ManualClock(Arc<Inner>);

struct Inner {
    reading: Mutex<Reading>,
    moved: Notify,
}

#[derive(Clone, Copy)]
struct Reading {
    /// The time when the clock was last set.
    shown: SystemTime,
    /// The instant when the clock was last set; `None` if the clock is stopped.
    since: Option<Instant>,
}

impl Reading {
    fn now(self) -> SystemTime {
        let passed = self.since.map(|since| since.elapsed());
        self.shown + passed.unwrap_or_default()
    }
}

impl ManualClock {
    /// Creates a stopped clock that shows the given time.
    #[must_use]
    pub fn at(time: SystemTime) -> Self {
        Self::with(Reading {
            shown: time,
            since: None,
        })
    }

    /// Creates a running clock that starts at the machine's time; the default of a fake.
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
        Self::with(Reading {
            shown: SystemClock.now(),
            since: Some(Instant::now()),
        })
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        self.reading().shown += by;
        self.0.moved.notify_waiters();
    }

    /// Sets the time of the clock, also to an earlier one.
    pub fn set(&self, time: SystemTime) {
        let mut reading = self.reading();
        reading.shown = time;
        reading.since = reading.since.map(|_| Instant::now());
        drop(reading);
        self.0.moved.notify_waiters();
    }

    /// Stops the clock, so that the times in a test are the same in each run. It can still be
    /// moved.
    pub fn stop(&self) {
        let mut reading = self.reading();
        reading.shown = reading.now();
        reading.since = None;
        drop(reading);
        self.0.moved.notify_waiters();
    }

    /// Moves the clock forward to a time; does nothing if the clock is already later.
    pub(super) fn advance_to(&self, time: SystemTime) {
        let missing = time.duration_since(self.now()).unwrap_or_default();
        self.advance(missing);
    }

    /// Waits until the clock shows a time, because it runs or because it was moved.
    pub(super) async fn reaches(&self, time: SystemTime) {
        loop {
            let mut moved = std::pin::pin!(self.0.moved.notified());
            // Enabling the notification here ensures that no later move is missed.
            moved.as_mut().enable();
            let reading = *self.reading();
            let Ok(missing) = time.duration_since(reading.now()) else {
                return;
            };
            match reading.since {
                _ if missing.is_zero() => return,
                // The timeout is the wait.
                Some(_) => drop(tokio::time::timeout(missing, moved).await),
                None => moved.await,
            }
        }
    }

    fn with(reading: Reading) -> Self {
        Self(Arc::new(Inner {
            reading: Mutex::new(reading),
            moved: Notify::new(),
        }))
    }

    fn reading(&self) -> MutexGuard<'_, Reading> {
        lock(&self.0.reading)
    }
}

impl Default for ManualClock {
    /// Creates a clock that is stopped at the first second of 2026, UTC.
    fn default() -> Self {
        Self::at(SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600))
    }
}

impl Clock for ManualClock {
    fn now(&self) -> SystemTime {
        self.reading().now()
    }
}

impl fmt::Debug for ManualClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reading = *self.reading();
        f.debug_struct("ManualClock")
            .field("now", &reading.now())
            .field("running", &reading.since.is_some())
            .finish()
    }
}

/// Formats a time as the vendor does: UTC, with milliseconds.
pub(super) fn timestamp(time: SystemTime) -> String {
    DateTime::<Utc>::from(time).to_rfc3339_opts(SecondsFormat::Millis, true)
}
