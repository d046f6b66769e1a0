//! The connection pool of an HTTP client, which is replaced when it is dead.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::BuildError;
use crate::lock::lock;

/// The time without a response after which a request that its caller gave up counts as timed out:
/// 4 s.
///
/// A shorter timeout of a caller says nothing about the connection.
pub(crate) const SILENT_AFTER: Duration = Duration::from_secs(4);

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

/// The pool of one request.
pub(crate) struct PoolInUse {
    pool: Arc<Pool>,
    /// The number of responses that had arrived when the request was sent.
    before: u64,
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

    /// Returns the pool for the next request.
    pub(crate) fn current(&self) -> PoolInUse {
        let pool = Arc::clone(&lock(&self.current));
        let before = pool.responses.load(Ordering::Relaxed);
        PoolInUse { pool, before }
    }

    /// Replaces the pool of a request that timed out, if it seems dead: it has had responses, but
    /// none since the request was sent.
    ///
    /// Requests in flight keep the connections of their own pool. A new pool is kept until it has
    /// had a response, so that its first connection can be established after the timeout of the
    /// first request.
    pub(crate) fn retire(&self, used: &PoolInUse) {
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

impl PoolInUse {
    pub(crate) fn http(&self) -> &reqwest::Client {
        &self.pool.http
    }

    /// Records that a response arrived.
    pub(crate) fn responded(&self) {
        self.pool.responses.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_is_replaced_only_if_it_worked_and_fell_silent() {
        crate::transport::install_tls_provider();
        let pools = HttpPools::build(|| Ok(reqwest::Client::new())).unwrap();
        let replaced = |used: &PoolInUse| {
            pools.retire(used);
            !Arc::ptr_eq(&pools.current().pool, &used.pool)
        };
        // The first connection may still be on its way.
        let first = pools.current();
        assert!(!replaced(&first));
        first.responded();
        // Another request had a response after this one was sent.
        assert!(!replaced(&first));
        let (silent, other) = (pools.current(), pools.current());
        assert!(replaced(&silent));
        // Of requests that time out together, one replaces the pool.
        let second = pools.current();
        pools.retire(&other);
        assert!(Arc::ptr_eq(&pools.current().pool, &second.pool));
        assert!(!replaced(&second));
    }
}
