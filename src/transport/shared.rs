//! What all calls of one app share.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use reqwest::StatusCode;
use tokio::sync::Semaphore;

use crate::clock::Clock;
use crate::transport::limit::{Limiter, RateLimit};
use crate::transport::retry::Budget;

/// What an application does with reports.
pub(crate) type Listener = Arc<dyn Fn(&CallReport) + Send + Sync>;

/// How a call went, for counters and histograms; holds nothing of a patient.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CallReport {
    /// The operation; empty for a path that is none's.
    pub operation_id: &'static str,
    /// The status of the answer, if there was one.
    pub status: Option<StatusCode>,
    /// How often a request was sent.
    pub attempts: u32,
    /// From the call to the end of the answer, to the head of one that is read
    /// as it arrives, or to the failure.
    pub elapsed: Duration,
}

/// The limits and counters that the clients of one app have in common.
pub(crate) struct Calls {
    pub(crate) in_flight: Semaphore,
    pub(crate) limiter: Limiter,
    pub(crate) budget: Budget,
    pub(crate) clock: Arc<dyn Clock>,
    listener: Option<Listener>,
}

impl Calls {
    pub(crate) fn new(
        concurrency: usize,
        limit: RateLimit,
        clock: Arc<dyn Clock>,
        listener: Option<Listener>,
    ) -> Self {
        Self {
            in_flight: Semaphore::new(concurrency.clamp(1, Semaphore::MAX_PERMITS)),
            limiter: Limiter::new(limit),
            budget: Budget::new(),
            clock,
            listener,
        }
    }

    pub(crate) fn tell(&self, report: impl FnOnce() -> CallReport) {
        if let Some(listener) = &self.listener {
            listener(&report());
        }
    }
}

impl fmt::Debug for Calls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Calls(..)")
    }
}
