//! The connection pool of an HTTP client, which is replaced when it is dead.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;

use super::BuildError;
use crate::lock::lock;

/// The time without a response after which a request that its caller gave up counts as timed out:
/// 4 s.
///
/// A shorter timeout of a caller says nothing about the connection.
const SILENT_AFTER: Duration = Duration::from_secs(4);

/// Builds an HTTP client with a new connection pool.
type Build = dyn Fn() -> Result<reqwest::Client, BuildError> + Send + Sync;

/// An HTTP client whose connection pool is replaced when it is dead.
///
/// All requests to a host share one HTTP/2 connection, and a pool of HTTP/1 may have many idle
/// connections. If they carry no data any more, each next attempt would be sent over one of them.
pub(crate) struct HttpPools {
    current: Mutex<Arc<Pool>>,
    build: Box<Build>,
}

struct Pool {
    http: reqwest::Client,
    /// The number of responses that arrived.
    responses: AtomicU64,
}

/// The pool of one request, which must be ended when the request has.
///
/// If it is dropped instead, the caller gave the request up, for example with a timeout of its own.
#[must_use]
pub(crate) struct PoolInUse<'p> {
    pools: &'p HttpPools,
    pool: Arc<Pool>,
    /// The number of responses that had arrived when the request was sent.
    before: u64,
    sent_at: Instant,
    has_ended: bool,
}

impl HttpPools {
    /// Builds the first pool.
    pub(crate) fn build(
        build: impl Fn() -> Result<reqwest::Client, BuildError> + Send + Sync + 'static,
    ) -> Result<Self, BuildError> {
        Ok(Self {
            current: Mutex::new(Pool::of(build()?)),
            build: Box::new(build),
        })
    }

    /// Wraps the client of a caller, whose pool cannot be replaced.
    pub(crate) fn of(http: reqwest::Client) -> Self {
        Self {
            current: Mutex::new(Pool::of(http.clone())),
            build: Box::new(move || Ok(http.clone())),
        }
    }

    /// Returns the client of the current pool, which builds requests.
    pub(crate) fn http(&self) -> reqwest::Client {
        lock(&self.current).http.clone()
    }

    /// Returns the pool for a request that is sent now.
    pub(crate) fn current(&self) -> PoolInUse<'_> {
        let pool = Arc::clone(&lock(&self.current));
        PoolInUse {
            pools: self,
            before: pool.responses.load(Ordering::Relaxed),
            pool,
            sent_at: Instant::now(),
            has_ended: false,
        }
    }

    /// Replaces the pool of a request that timed out, if it seems dead: it has had responses, but
    /// none since the request was sent.
    ///
    /// Requests in flight keep the connections of their own pool. A new pool is kept until it has
    /// had a response, so that its first connection can be established after the timeout of the
    /// first request.
    fn retire(&self, used: &PoolInUse<'_>) {
        let responses = used.pool.responses.load(Ordering::Relaxed);
        let seems_dead = responses > 0 && responses == used.before;
        let is_current = || Arc::ptr_eq(&lock(&self.current), &used.pool);
        if !seems_dead || !is_current() {
            return;
        }
        // Takes milliseconds, so other calls must not wait for it. It was built once with the
        // same settings.
        let Ok(http) = (self.build)() else {
            return;
        };
        let mut current = lock(&self.current);
        if Arc::ptr_eq(&current, &used.pool) {
            *current = Pool::of(http);
        }
    }
}

impl Pool {
    fn of(http: reqwest::Client) -> Arc<Self> {
        Arc::new(Self {
            http,
            responses: AtomicU64::new(0),
        })
    }
}

impl PoolInUse<'_> {
    pub(crate) fn http(&self) -> &reqwest::Client {
        &self.pool.http
    }

    /// Records that a response arrived.
    pub(crate) fn responded(mut self) {
        self.has_ended = true;
        self.pool.responses.fetch_add(1, Ordering::Relaxed);
    }

    /// Records that the request failed before its timeout.
    pub(crate) fn failed(mut self) {
        self.has_ended = true;
    }

    /// Records that no response arrived in time.
    pub(crate) fn timed_out(mut self) {
        self.has_ended = true;
        self.pools.retire(&self);
    }
}

impl Drop for PoolInUse<'_> {
    fn drop(&mut self) {
        if !self.has_ended && self.sent_at.elapsed() >= SILENT_AFTER {
            self.pools.retire(self);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pools() -> HttpPools {
        crate::transport::install_tls_provider();
        HttpPools::build(|| Ok(reqwest::Client::new())).unwrap()
    }

    /// Returns whether ending a request by this function replaces its pool.
    fn is_replaced<'p>(
        pools: &HttpPools,
        used: PoolInUse<'p>,
        end: impl FnOnce(PoolInUse<'p>),
    ) -> bool {
        let pool = Arc::clone(&used.pool);
        end(used);
        !Arc::ptr_eq(&lock(&pools.current), &pool)
    }

    #[tokio::test(start_paused = true)]
    async fn a_pool_is_replaced_only_if_it_worked_and_fell_silent() {
        let pools = pools();
        // The first connection may still be on its way.
        assert!(!is_replaced(&pools, pools.current(), PoolInUse::timed_out));
        let first = pools.current();
        pools.current().responded();
        // Another request had a response after this one was sent.
        assert!(!is_replaced(&pools, first, PoolInUse::timed_out));
        let (silent, other) = (pools.current(), pools.current());
        assert!(is_replaced(&pools, silent, PoolInUse::timed_out));
        // Of requests that time out together, one replaces the pool.
        let second = pools.current();
        other.timed_out();
        assert!(Arc::ptr_eq(&lock(&pools.current), &second.pool));
        assert!(!is_replaced(&pools, second, PoolInUse::timed_out));
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_is_given_up_after_four_seconds_counts_as_timed_out() {
        let pools = pools();
        pools.current().responded();
        let [soon, late, failed] = [pools.current(), pools.current(), pools.current()];
        tokio::time::advance(SILENT_AFTER - Duration::from_millis(1)).await;
        assert!(!is_replaced(&pools, soon, drop));
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(!is_replaced(&pools, failed, PoolInUse::failed));
        assert!(is_replaced(&pools, late, drop));
    }
}
