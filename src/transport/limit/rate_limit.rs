//! The policy that a caller sets.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use super::shared_limit::{SharedLimit, SharedLimitEvent};

/// A maximum number of requests within a time window.
///
/// The default is the vendor's limit: 5,000 requests in any 5 minutes, counted over all operations
/// and all users of an app.
/// [The vendor's page](https://fullscript.dev/technical-reference/rate-limits) documents no more
/// than that; in particular, it does not document the response to a request above the limit.
/// The client therefore also slows down after each 429, for the time in `Retry-After` if present,
/// at most 60 s. Only the user whose request was refused is paused; all users are, if a second one
/// is refused at the same time or if the response says so (`X-RateLimit-Global: true` or
/// `X-RateLimit-Scope: global`).
///
/// Requests above the limit wait in a queue per user.
/// The queues are served round-robin, so a job of one user with thousands of requests barely delays
/// the other users.
/// Requests of one user are sent in the order in which they were made.
/// A fifth of the limit may be sent as a burst; the rest is spread over the window.
/// OAuth requests count against the limit, but do not wait behind calls, nor calls behind them. They
/// can always have a tenth of the limit, and up to two fifths while calls leave enough of it unused.
///
/// The limit applies to one process.
/// If several processes use one app, let them [share](Self::shared) the limit, or give each process
/// a part of it.
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateLimit {
    pub(super) quota: Option<Quota>,
    pub(super) sharing: Option<Sharing>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Quota {
    pub(super) requests: NonZeroU32,
    pub(super) window: Duration,
}

/// The store of a limit that several processes share.
#[derive(Clone)]
pub(super) struct Sharing {
    pub(super) store: Arc<dyn SharedLimit>,
    /// The number of processes, of which each has its part while the store fails.
    pub(super) processes: NonZeroU32,
    pub(super) listener: Option<Listener>,
}

/// The application's callback for changes of a shared limit.
pub(super) type Listener = Arc<dyn Fn(SharedLimitEvent) + Send + Sync>;

impl RateLimit {
    /// Allows `requests` in any time window of length `window`.
    ///
    /// 0 requests are treated as 1. A window of zero length means [`off`](Self::off).
    #[must_use]
    pub fn new(requests: u32, window: Duration) -> Self {
        let requests = NonZeroU32::new(requests).unwrap_or(NonZeroU32::MIN);
        Self {
            quota: (!window.is_zero()).then_some(Quota { requests, window }),
            sharing: None,
        }
    }

    /// Disables the limit: every request is sent at once, and the server may return 429.
    #[must_use]
    pub fn off() -> Self {
        Self {
            quota: None,
            sharing: None,
        }
    }

    /// Shares the limit with the other processes of the app, whose state is in `store`.
    ///
    /// All processes must use the same limit. A process takes permits from the store when calls
    /// wait, at most 25 at a time, and uses them within a 150th of the window; unused ones count
    /// as used. Together the processes use 98 % of the limit at most. The limit survives a restart,
    /// and begins without a burst if the store has no state.
    ///
    /// If the store fails or takes longer than 1 s, this process uses its part of the limit until
    /// the store is back: the limit divided by `processes`, without a burst at first. A warning is
    /// logged once (feature `tracing`), and about once a second a call asks the store again.
    ///
    /// The state belongs to the environment and the client id of an
    /// [`OAuthApp`](crate::auth::OAuthApp). Clients with an access token of their own know no client
    /// id: those of one environment share one state.
    ///
    /// ```
    /// use fullscript::RateLimit;
    /// use fullscript::shared_limit::MemoryLimit;
    ///
    /// let limit = RateLimit::default().shared(MemoryLimit::new(), 8);
    /// ```
    #[must_use]
    pub fn shared(mut self, store: impl SharedLimit, processes: u32) -> Self {
        self.sharing = Some(Sharing {
            store: Arc::new(store),
            processes: NonZeroU32::new(processes).unwrap_or(NonZeroU32::MIN),
            listener: None,
        });
        self
    }

    /// Sets a listener that is called when the store of a [shared](Self::shared) limit fails, and
    /// when it is back.
    ///
    /// Has no effect on a limit that is not shared. The listener must not block; its panics are
    /// logged.
    #[must_use]
    pub fn on_shared_limit_event(
        mut self,
        listener: impl Fn(SharedLimitEvent) + Send + Sync + 'static,
    ) -> Self {
        if let Some(sharing) = &mut self.sharing {
            sharing.listener = Some(Arc::new(listener));
        }
        self
    }

    /// Returns the number of requests and the window, if there is a limit.
    #[cfg(feature = "testing")]
    pub(crate) fn quota(&self) -> Option<(u32, Duration)> {
        let quota = self.quota?;
        Some((quota.requests.get(), quota.window))
    }
}

impl Default for RateLimit {
    fn default() -> Self {
        Self::new(5_000, Duration::from_secs(300))
    }
}

/// Two limits are equal if they share the same store.
impl PartialEq for Sharing {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.store, &other.store) && self.processes == other.processes
    }
}

impl Eq for Sharing {}

impl fmt::Debug for Sharing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sharing")
            .field("processes", &self.processes)
            .finish_non_exhaustive()
    }
}
