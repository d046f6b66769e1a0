//! State that all calls of one app share.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use reqwest::StatusCode;

use crate::clock::Clock;
use crate::transport::CallOutcome;
use crate::transport::drift::{DriftListener, DriftWatch};
use crate::transport::limit::{Limiter, RateLimit};
use crate::transport::retry::RetryBudget;

/// The application's callback for call reports.
pub(crate) type Listener = Arc<dyn Fn(&CallReport) + Send + Sync>;

/// A report about a finished call, for counters and histograms.
///
/// Contains no token and no patient data.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CallReport {
    /// The id of the operation, empty for a path without an operation.
    pub operation_id: &'static str,
    /// The status of the response, if there was one.
    pub status: Option<StatusCode>,
    /// The number of times the request was sent.
    pub attempts: u32,
    /// The [key](crate::auth::UserKey) of the user whose token was sent, as text; `None` for a
    /// client with a token of its own.
    pub user: Option<String>,
    /// The time until the response was decoded (for a streamed body, until the headers arrived; for
    /// a download, until the file was read) or the call failed.
    pub elapsed: Duration,
    /// The part of `elapsed` in which the call waited for the rate limiter.
    pub permit_wait: Duration,
    /// The part of `elapsed` in which the call waited for the concurrency limit.
    pub concurrency_wait: Duration,
    /// The part of `elapsed` in which the call waited for an access token: for the token store or a
    /// token refresh.
    pub token_wait: Duration,
    /// Whether the call succeeded, or the class of its failure.
    pub outcome: CallOutcome,
    /// The number of [issues](crate::Response::issues): where a response that was decoded differs
    /// from its model.
    pub decode_issues: usize,
}

/// The limits, the retry budget and the listener that the clients of one app share.
pub(crate) struct Calls {
    pub(crate) limiter: Arc<Limiter>,
    pub(crate) retry_budget: RetryBudget,
    pub(crate) clock: Arc<dyn Clock>,
    listener: Option<Listener>,
    pub(crate) drift: Option<DriftWatch>,
}

impl Calls {
    pub(crate) fn new(
        concurrency: usize,
        limit: &RateLimit,
        app: &str,
        clock: Arc<dyn Clock>,
        listener: Option<Listener>,
        drift: Option<DriftListener>,
    ) -> Self {
        Self {
            limiter: Limiter::new(limit, concurrency, app),
            retry_budget: RetryBudget::new(),
            clock,
            listener,
            drift: drift.map(DriftWatch::new),
        }
    }

    /// Passes a report to the listener, if there is one. Its panics are logged.
    ///
    /// A report may be made while a panic drops the future of a call, and a second panic would end
    /// the process.
    pub(crate) fn report(&self, make_report: impl FnOnce() -> CallReport) {
        if let Some(listener) = &self.listener
            && catch_unwind(AssertUnwindSafe(|| listener(&make_report()))).is_err()
        {
            #[cfg(feature = "tracing")]
            tracing::error!(target: "fullscript", "the on_call_end listener panicked; fix the listener");
        }
    }
}

impl fmt::Debug for Calls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Calls(..)")
    }
}
