//! The circuit breaker of the token endpoint: stops token refreshes while the endpoint fails.

use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout};

use crate::lock::lock;

/// The number of failures in a row that open the circuit: 5.
///
/// The attempts of a single refresh do not open it.
const FAILURES: u32 = 5;

/// The time before the first probe: 1 s. It doubles with each failed probe.
const FIRST_DELAY: Duration = Duration::from_secs(1);

/// The longest time between two probes: 2 s.
///
/// After an outage, the refreshes of all users start within this time and the time of a probe.
const MAX_DELAY: Duration = Duration::from_secs(2);

/// The timeout of a probe: 5 s.
///
/// A probe that got no response when the outage ended does not delay the others any longer. The
/// request can be repeated.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

/// The time after which a request that has not ended is lost: 15 s.
///
/// It is longer than the timeout of a token request. The request may be a task of a runtime that is
/// no longer driven, which neither ends nor is dropped.
const LOST_AFTER: Duration = Duration::from_secs(15);

/// The number of refresh requests in flight: 32.
///
/// It bounds the sockets and the load on the endpoint when many tokens expire at the same time.
const CONCURRENCY: usize = 32;

/// The number of further requests that may be sent while the others seem lost: 8.
const SPARE: usize = 8;

/// The time for which a user whose refresh failed sends no probe: 30 s.
pub(super) const PROBE_INTERVAL: Duration = Duration::from_secs(30);

/// The circuit breaker and the concurrency limit that the refreshes of all users of an app share.
///
/// The circuit is closed while the endpoint works. After some failures in a row it opens: refreshes
/// fail without a request, except for one probe at a time. A success closes it.
pub(super) struct Breaker {
    state: Mutex<State>,
    requests: Semaphore,
    spare: Semaphore,
}

#[derive(Default)]
struct State {
    failures: u32,
    open: Option<Open>,
}

struct Open {
    /// The time of the next probe.
    probe_at: Instant,
    delay: Duration,
    /// The time after which the running probe is lost.
    probing_until: Option<Instant>,
}

impl Open {
    fn check(&self, last_failure: Option<Instant>) -> Result<(), Duration> {
        let now = Instant::now();
        let own_probe_at = last_failure.map(|at| at + PROBE_INTERVAL);
        let probe_at = own_probe_at.map_or(self.probe_at, |own| own.max(self.probe_at));
        if now < probe_at {
            Err(probe_at - now)
        } else if self.is_probing() {
            Err(self.delay)
        } else {
            Ok(())
        }
    }

    fn is_probing(&self) -> bool {
        self.probing_until.is_some_and(|end| Instant::now() < end)
    }
}

/// The permission for one token request. Dropping it without a result changes nothing.
pub(super) struct Pass<'b> {
    breaker: &'b Breaker,
    /// The time after which a probe is lost, or `None` if this is no probe.
    probing_until: Option<Instant>,
    _request: SemaphorePermit<'b>,
}

impl Breaker {
    pub(super) fn new() -> Self {
        Self {
            state: Mutex::default(),
            requests: Semaphore::new(CONCURRENCY),
            spare: Semaphore::new(SPARE),
        }
    }

    /// Returns the time to wait if a refresh would fail without a request.
    ///
    /// `last_failure` is the time of this user's last failed token request.
    pub(super) fn check(&self, last_failure: Option<Instant>) -> Result<(), Duration> {
        let state = self.state();
        state
            .open
            .as_ref()
            .map_or(Ok(()), |open| open.check(last_failure))
    }

    /// Waits until fewer than 32 refreshes are in flight, for 15 s at most, and permits a token
    /// request.
    ///
    /// # Errors
    ///
    /// Returns the time to wait if the circuit is open, or if too many refreshes are in flight.
    pub(super) async fn admit(&self, last_failure: Option<Instant>) -> Result<Pass<'_>, Duration> {
        let request = match timeout(LOST_AFTER, self.requests.acquire()).await {
            Ok(request) => request.ok(),
            // The requests in flight may be lost.
            Err(_) => self.spare.try_acquire().ok(),
        };
        let request = request.ok_or(FIRST_DELAY)?;
        let mut state = self.state();
        let probing_until = match &mut state.open {
            Some(open) => {
                open.check(last_failure)?;
                open.probing_until = Some(Instant::now() + LOST_AFTER);
                open.probing_until
            }
            None => None,
        };
        Ok(Pass {
            breaker: self,
            probing_until,
            _request: request,
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl Pass<'_> {
    /// Makes the token request, and returns `None` if it is a probe that timed out.
    pub(super) async fn run<T>(&self, request: impl Future<Output = T>) -> Option<T> {
        if self.probing_until.is_some() {
            timeout(PROBE_TIMEOUT, request).await.ok()
        } else {
            Some(request.await)
        }
    }

    /// Reports that the endpoint works.
    pub(super) fn succeeded(self) {
        let before = std::mem::take(&mut *self.breaker.state());
        if before.open.is_some() {
            log_closed();
        }
    }

    /// Reports that the endpoint fails.
    ///
    /// `repeated` means that the user's last refresh failed too. Then it may fail for this user
    /// only, so that it does not count against the others.
    pub(super) fn failed(self, repeated: bool) {
        let mut state = self.breaker.state();
        state.failures = state.failures.saturating_add(u32::from(!repeated));
        let delay = match &state.open {
            None if repeated || state.failures < FAILURES => return,
            None => FIRST_DELAY,
            Some(open) if self.probing_until.is_some() => (open.delay * 2).min(MAX_DELAY),
            // A request that was in flight when the circuit opened is no new information.
            Some(_) => return,
        };
        let open = Open {
            probe_at: Instant::now() + delay,
            delay,
            probing_until: None,
        };
        let is_new = state.open.replace(open).is_none();
        let failures = state.failures;
        drop(state);
        if is_new {
            log_opened(failures);
        }
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if self.probing_until.is_some()
            && let Some(open) = &mut self.breaker.state().open
            && open.probing_until == self.probing_until
        {
            open.probing_until = None;
        }
    }
}

#[cfg(feature = "tracing")]
fn log_opened(failures: u32) {
    tracing::warn!(
        target: "fullscript",
        { fullscript.failures = failures },
        "token endpoint: circuit breaker opened, token refreshes fail without a request"
    );
}

#[cfg(feature = "tracing")]
fn log_closed() {
    tracing::info!(target: "fullscript", "token endpoint: circuit breaker closed");
}

#[cfg(not(feature = "tracing"))]
fn log_opened(_: u32) {}

#[cfg(not(feature = "tracing"))]
fn log_closed() {}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLISECOND: Duration = Duration::from_millis(1);

    async fn pass(breaker: &Breaker) -> Pass<'_> {
        breaker.admit(None).await.ok().unwrap()
    }

    async fn fail(breaker: &Breaker, times: u32) {
        for _ in 0..times {
            pass(breaker).await.failed(false);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn failures_in_a_row_open_the_circuit_and_a_success_closes_it() {
        let breaker = Breaker::new();
        fail(&breaker, FAILURES - 1).await;
        pass(&breaker).await.succeeded();
        fail(&breaker, FAILURES - 1).await;
        drop(pass(&breaker).await);
        assert_eq!(breaker.check(None), Ok(()));
        fail(&breaker, 1).await;
        assert_eq!(breaker.check(None), Err(FIRST_DELAY));
        tokio::time::advance(FIRST_DELAY).await;
        pass(&breaker).await.succeeded();
        assert_eq!(breaker.check(None), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn an_open_circuit_permits_one_probe_at_a_time() {
        let breaker = Breaker::new();
        fail(&breaker, FAILURES).await;
        for delay in [1, 2, 2, 2].map(Duration::from_secs) {
            tokio::time::advance(delay - MILLISECOND).await;
            assert!(breaker.admit(None).await.is_err());
            tokio::time::advance(MILLISECOND).await;
            drop(pass(&breaker).await);
            let probe = pass(&breaker).await;
            tokio::time::advance(LOST_AFTER - MILLISECOND).await;
            assert!(breaker.admit(None).await.is_err());
            probe.failed(false);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn lost_requests_occupy_neither_the_probe_nor_the_slots_for_ever() {
        let breaker = Breaker::new();
        let lost: Vec<_> =
            futures_util::future::join_all((0..CONCURRENCY).map(|_| pass(&breaker))).await;
        let started = Instant::now();
        let further = futures_util::future::join_all((0..50).map(|_| breaker.admit(None))).await;
        assert_eq!(started.elapsed(), LOST_AFTER);
        let passes: Vec<_> = further.into_iter().filter_map(Result::ok).collect();
        assert_eq!(passes.len(), SPARE);
        drop((lost, passes));
        fail(&breaker, FAILURES).await;
        tokio::time::advance(FIRST_DELAY).await;
        let lost = pass(&breaker).await;
        tokio::time::advance(LOST_AFTER).await;
        let probe = pass(&breaker).await;
        // A lost probe that ends late does not end the next one.
        drop(lost);
        assert!(breaker.admit(None).await.is_err());
        probe.succeeded();
        assert_eq!(breaker.check(None), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn repeated_failures_of_a_user_do_not_open_the_circuit() {
        let breaker = Breaker::new();
        fail(&breaker, FAILURES - 1).await;
        for _ in 0..3 * FAILURES {
            pass(&breaker).await.failed(true);
        }
        assert_eq!(breaker.check(None), Ok(()));
        fail(&breaker, 1).await;
        assert_eq!(breaker.check(None), Err(FIRST_DELAY));
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_without_a_response_ends_after_five_seconds() {
        let breaker = Breaker::new();
        let silent = || std::future::pending::<()>();
        let request = pass(&breaker).await;
        let hour = Duration::from_secs(3_600);
        assert!(timeout(hour, request.run(silent())).await.is_err());
        fail(&breaker, FAILURES).await;
        tokio::time::advance(FIRST_DELAY).await;
        let probe = pass(&breaker).await;
        let started = Instant::now();
        assert_eq!(probe.run(silent()).await, None);
        assert_eq!(started.elapsed(), PROBE_TIMEOUT);
    }

    #[tokio::test(start_paused = true)]
    async fn a_user_whose_request_failed_probes_every_thirty_seconds() {
        let breaker = Breaker::new();
        let failed_at = Some(Instant::now());
        assert!(breaker.admit(failed_at).await.is_ok());
        fail(&breaker, FAILURES).await;
        tokio::time::advance(PROBE_INTERVAL - MILLISECOND).await;
        assert_eq!(breaker.check(failed_at), Err(MILLISECOND));
        assert_eq!(breaker.check(None), Ok(()));
        tokio::time::advance(MILLISECOND).await;
        breaker.admit(failed_at).await.ok().unwrap().succeeded();
    }

    #[tokio::test(start_paused = true)]
    async fn a_late_failure_does_not_extend_the_delay_and_a_late_success_closes_the_circuit() {
        let breaker = Breaker::new();
        let (failed, succeeded) = (pass(&breaker).await, pass(&breaker).await);
        fail(&breaker, FAILURES).await;
        tokio::time::advance(FIRST_DELAY / 2).await;
        failed.failed(false);
        tokio::time::advance(FIRST_DELAY / 2).await;
        assert_eq!(breaker.check(None), Ok(()));
        fail(&breaker, 1).await;
        succeeded.succeeded();
        assert_eq!(breaker.check(None), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn refreshes_in_flight_are_bounded() {
        let breaker = Breaker::new();
        let mut passes = Vec::new();
        for _ in 0..CONCURRENCY {
            passes.push(pass(&breaker).await);
        }
        let waiting = tokio::time::timeout(Duration::from_secs(9), breaker.admit(None));
        assert!(waiting.await.is_err());
        passes.pop();
        drop(pass(&breaker).await);
    }
}
