//! When the store of an app started to fail, and when it works again.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use crate::auth::event::{AuthEvent, StoreAccess};
use crate::lock::lock;

/// The first interval between two reports of failures: 1 min. It doubles each time.
const MIN_REPORT_INTERVAL: Duration = Duration::from_secs(60);

/// The longest interval between two reports of failures: 30 min.
const MAX_REPORT_INTERVAL: Duration = Duration::from_secs(30 * 60);

/// The backoff of reports about a failure that lasts.
///
/// A failure that comes and goes is reported no more often than one that lasts.
#[derive(Default)]
pub(in crate::auth) struct Reports {
    next: Option<Instant>,
    interval: Duration,
}

impl Reports {
    /// Returns whether a failure is to be reported now.
    pub(in crate::auth) fn is_due(&mut self) -> bool {
        let now = Instant::now();
        match self.next {
            Some(next) if now < next => return false,
            // The failures before have ended long ago.
            Some(next) if now >= next + self.interval => self.interval = Duration::ZERO,
            _ => {}
        }
        self.interval = (2 * self.interval).clamp(MIN_REPORT_INTERVAL, MAX_REPORT_INTERVAL);
        self.next = Some(now + self.interval);
        true
    }
}

/// Whether the reading and the writing methods of a store fail.
#[derive(Default)]
pub(super) struct Health {
    reads: Access,
    writes: Access,
}

#[derive(Default)]
struct Access {
    /// Whether the last call failed. Read without the lock, because most calls succeed.
    is_failing: AtomicBool,
    failures: Mutex<Failures>,
}

#[derive(Default)]
struct Failures {
    reports: Reports,
    /// Whether the failure was reported, so that its end will be.
    is_reported: bool,
    /// The time of the first failure since the last success.
    since: Option<Instant>,
}

impl Health {
    /// Notes the result of a call and the time it took, and returns the event to emit.
    pub(super) fn note(
        &self,
        access: StoreAccess,
        failed: bool,
        elapsed: Duration,
    ) -> Option<AuthEvent> {
        let methods = match access {
            StoreAccess::Read => &self.reads,
            StoreAccess::Write => &self.writes,
        };
        if !failed && !methods.is_failing.load(Ordering::Acquire) {
            return None;
        }
        let mut failures = lock(&methods.failures);
        methods.is_failing.store(failed, Ordering::Release);
        let failing_for = failures.since.get_or_insert_with(Instant::now).elapsed();
        if failed {
            let is_due = failures.reports.is_due();
            failures.is_reported |= is_due;
            return is_due.then_some(AuthEvent::StoreFailing {
                access,
                failing_for,
                elapsed,
            });
        }
        failures.since = None;
        let was_reported = std::mem::take(&mut failures.is_reported);
        was_reported.then_some(AuthEvent::StoreRecovered {
            access,
            failing_for,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(event: Option<AuthEvent>) -> &'static str {
        event.map_or("", |event| event.name())
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_reported_with_backoff_and_its_end_once() {
        let health = Health::default();
        let mut reported_at = Vec::new();
        let started = Instant::now();
        for _ in 0..120 {
            if health
                .note(StoreAccess::Write, true, Duration::ZERO)
                .is_some()
            {
                reported_at.push(started.elapsed().as_secs() / 60);
            }
            assert_eq!(
                name(health.note(StoreAccess::Read, false, Duration::ZERO)),
                ""
            );
            tokio::time::advance(Duration::from_secs(60)).await;
        }
        assert_eq!(reported_at, [0, 1, 3, 7, 15, 31, 61, 91]);
        assert_eq!(
            name(health.note(StoreAccess::Write, false, Duration::ZERO)),
            "store_recovered"
        );
        assert_eq!(
            name(health.note(StoreAccess::Write, false, Duration::ZERO)),
            ""
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_that_fails_for_one_user_is_reported_rarely() {
        let health = Health::default();
        let mut events = 0;
        // An hour in which a call of one user fails each second, and those of others succeed.
        for _ in 0..3_600 {
            for failed in [true, false] {
                events += usize::from(
                    health
                        .note(StoreAccess::Read, failed, Duration::ZERO)
                        .is_some(),
                );
            }
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        assert_eq!(events, 2 * 6);
        // After a quiet time, a failure is reported at once.
        tokio::time::advance(Duration::from_secs(2 * 3_600)).await;
        assert_eq!(
            name(health.note(StoreAccess::Read, true, Duration::ZERO)),
            "store_failing"
        );
        assert_eq!(
            name(health.note(StoreAccess::Read, false, Duration::ZERO)),
            "store_recovered"
        );
        tokio::time::advance(Duration::from_secs(61)).await;
        assert_eq!(
            name(health.note(StoreAccess::Read, true, Duration::ZERO)),
            "store_failing"
        );
    }
}
