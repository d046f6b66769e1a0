//! The rate limit that several processes of one app share.
//!
//! [`RateLimit::shared`](crate::RateLimit::shared) takes any implementation of [`SharedLimit`]:
//! `SqliteStore::rate_limit` (feature `sqlite`) for the processes of one machine,
//! `PostgresStore::rate_limit` (feature `postgres`) for those of several machines, or one of your own
//! on a database.

mod memory;
mod state;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::rate_limit::Quota;

pub use memory::MemoryLimit;
pub(in crate::transport::limit) use state::{bucket, slice_life};

/// The future that [`SharedLimit::take`] returns.
pub type SharedLimitFuture<'a, T> =
    Pin<Box<dyn Future<Output = Result<T, SharedLimitError>> + Send + 'a>>;

/// The state of a rate limit that several processes share.
///
/// The arithmetic is in [`PermitRequest::apply`]; an implementation locks the state, passes it to
/// this function and saves the result:
///
/// ```
/// use std::collections::HashMap;
/// use std::sync::Mutex;
/// use std::time::SystemTime;
///
/// use fullscript::shared_limit::{PermitRequest, Permits, SharedLimit, SharedLimitFuture};
///
/// #[derive(Default)]
/// struct InMemory(Mutex<HashMap<String, Vec<u8>>>);
///
/// impl SharedLimit for InMemory {
///     fn take<'a>(
///         &'a self,
///         app: &'a str,
///         request: PermitRequest,
///     ) -> SharedLimitFuture<'a, Permits> {
///         Box::pin(async move {
///             let mut states = self.0.lock().unwrap();
///             let state = states.get(app).map(Vec::as_slice);
///             let (state, permits) = request.apply(state, SystemTime::now());
///             states.insert(app.to_string(), state);
///             Ok(permits)
///         })
///     }
/// }
/// ```
///
/// `testing::contract::rate_limit` (feature `testing`) checks an implementation.
///
/// # Requirements for implementations
///
/// - **Atomicity.** Reading the state, [`PermitRequest::apply`] and saving the new state are one
///   step: under a lock that was acquired before the state is read, or by a compare-and-swap on a
///   version of the state, which is repeated from the start if it is lost.
/// - **One clock.** The time that `apply` gets is read when the state is locked or read, from a
///   clock that all processes share: that of the database, or of the machine if all processes are
///   on it.
/// - **One state for each app.** Names of apps are compared byte by byte. The state of an app is at
///   most 6 KiB for the vendor's limit, which only `apply` reads.
/// - **Durability.** The state outlives the processes. It need not survive a crash of the database
///   or the machine: pass `None` to `apply` if the last states may be lost, and the limit begins
///   without a burst.
/// - **Errors.** Return an error if the state was perhaps not saved. Permits that were granted and
///   never arrive count as used.
/// - **Deadlines.** A call that takes longer than 1 s counts as failed, and its future is dropped.
///   Dropping it leaves nothing locked.
///
/// A process makes one call of `take` at a time for its calls, and none while no call waits.
pub trait SharedLimit: Send + Sync + 'static {
    /// Takes permits of an app out of the shared state.
    ///
    /// `app` is the environment and the client id, such as `us-production/4a7c`, or the environment
    /// alone for a [`Client`](crate::Client) with an access token of its own.
    fn take<'a>(&'a self, app: &'a str, request: PermitRequest) -> SharedLimitFuture<'a, Permits>;
}

impl<S: SharedLimit + ?Sized> SharedLimit for Arc<S> {
    fn take<'a>(&'a self, app: &'a str, request: PermitRequest) -> SharedLimitFuture<'a, Permits> {
        (**self).take(app, request)
    }
}

/// A request for permits, with the limit that they count against.
///
/// All processes of an app must use the same limit.
#[derive(Clone, Copy, Debug)]
pub struct PermitRequest {
    pub(in crate::transport::limit) quota: Quota,
    pub(in crate::transport::limit) lane: Lane,
    pub(in crate::transport::limit) permits: u32,
    /// Whether requests that the state does not know were sent within the last window.
    pub(in crate::transport::limit) without_burst: bool,
}

/// What permits are used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::transport::limit) enum Lane {
    Calls,
    OAuth,
}

impl PermitRequest {
    /// Applies the request to the saved state of the app: returns the state to save, and the
    /// permits to return.
    ///
    /// Pass `None` for an app without a saved state. A state that cannot be read counts as none. A
    /// limit that begins without a state grants no burst for the length of a window, because
    /// nobody knows how many requests were sent before. A clock that was set back stops the limit
    /// for no longer than it was wrong.
    #[must_use]
    pub fn apply(&self, state: Option<&[u8]>, now: SystemTime) -> (Vec<u8>, Permits) {
        state::apply(self, state, now)
    }

    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn of_calls(requests: u32, window: Duration, permits: u32) -> Self {
        Self::new(requests, window, permits, Lane::Calls)
    }

    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn of_oauth(requests: u32, window: Duration, permits: u32) -> Self {
        Self::new(requests, window, permits, Lane::OAuth)
    }

    #[cfg(any(test, feature = "testing"))]
    fn new(requests: u32, window: Duration, permits: u32, lane: Lane) -> Self {
        use std::num::NonZeroU32;

        let requests = NonZeroU32::new(requests).unwrap_or(NonZeroU32::MIN);
        Self {
            quota: Quota { requests, window },
            lane,
            permits,
            without_burst: false,
        }
    }
}

/// The permits that a [`PermitRequest`] got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Permits {
    /// The number of permits, at most as many as were requested.
    pub granted: u32,
    /// The time until the next permit, at least. Zero if all requested permits were granted.
    pub wait: Duration,
}

/// A change of a shared limit, passed to
/// [`RateLimit::on_shared_limit_event`](crate::RateLimit::on_shared_limit_event).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SharedLimitEvent {
    /// The store failed: this process uses its part of the limit.
    Failed,
    /// The store is back: this process takes permits from it again.
    Recovered,
}

/// The error of a shared limit that failed.
#[derive(Clone)]
pub struct SharedLimitError {
    source: Arc<dyn std::error::Error + Send + Sync>,
}

impl SharedLimitError {
    /// Wraps the cause, which is logged and must not contain a secret.
    pub fn new(source: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self {
            source: Arc::new(source),
        }
    }
}

impl fmt::Display for SharedLimitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("rate limit: the store of the shared limit failed")
    }
}

impl fmt::Debug for SharedLimitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedLimitError")
            .field("source", &self.source)
            .finish()
    }
}

impl std::error::Error for SharedLimitError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&*self.source)
    }
}
