//! Faults of operations, and a rate limit.

use std::collections::VecDeque;

use super::FakeFullscript;
use crate::RateLimit;
use crate::lock::lock;
use crate::testing::planned::Planned;
use crate::testing::server::call::known;
use crate::testing::server::fault::Fault;
use crate::testing::server::rate::Rate;

impl FakeFullscript {
    /// Applies a fault to each request of an operation, until [`end_faults`](Self::end_faults) is
    /// called or another fault is set.
    ///
    /// Faults come before the fake's own checks and responses: before the token check, before
    /// [`answer`](Self::answer) and before [`answer_times`](Self::answer_times). Only the
    /// [`rate_limit`](Self::rate_limit) comes before faults. The id of the token endpoint is
    /// `create_oauth_token`.
    ///
    /// # Panics
    /// Panics if no operation has this id.
    pub fn fault(&self, operation_id: &str, fault: Fault) {
        lock(&self.shared.faults).always(known(operation_id), fault);
    }

    /// Applies a fault to the next `times` requests of an operation.
    ///
    /// Calls queue up: these faults start after the ones that were added before.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// use std::time::Duration;
    ///
    /// use fullscript::CallOptions;
    /// use fullscript::testing::{FakeFullscript, Fault};
    ///
    /// let fake = FakeFullscript::start().await?;
    ///
    /// // A read is retried until the response is complete.
    /// fake.fault_times("list_patients", 1, Fault::status(503));
    /// fake.fault_times("list_patients", 1, Fault::reset_within_body());
    /// let patients = fake.client().list_patients().send().await?;
    /// assert_eq!(patients.attempts(), 3);
    ///
    /// // A rate limit is reported with the time to wait.
    /// fake.fault("get_clinic", Fault::rate_limited(Duration::from_secs(30)));
    /// let once = fake.client().with_options(CallOptions::new().max_attempts(1));
    /// let error = once.get_clinic().send().await.unwrap_err();
    /// assert_eq!(error.retry_after(), Some(Duration::from_secs(30)));
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Panics
    /// Panics if no operation has this id.
    pub fn fault_times(&self, operation_id: &str, times: usize, fault: Fault) {
        lock(&self.shared.faults).times(known(operation_id), times, fault);
    }

    /// Removes the faults of all operations.
    pub fn end_faults(&self) {
        *lock(&self.shared.faults) = Planned::default();
    }

    /// Rejects requests above a limit with 429 and a `Retry-After` header. Default: no limit.
    ///
    /// The limit counts the requests of all operations and all users together. The window rolls
    /// with the fake's [`clock`](Self::clock). [`RateLimit::default`] is the vendor's limit. The
    /// vendor does not document the response, nor whether it has a `Retry-After`.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// use std::time::Duration;
    ///
    /// use fullscript::testing::FakeFullscript;
    /// use fullscript::{CallOptions, RateLimit};
    ///
    /// let fake = FakeFullscript::start().await?;
    /// fake.rate_limit(RateLimit::new(2, Duration::from_secs(300)));
    /// let client = fake.client().with_options(CallOptions::new().max_attempts(1));
    /// client.get_clinic().send().await?;
    /// client.get_clinic().send().await?;
    /// let error = client.get_clinic().send().await.unwrap_err();
    /// assert!(error.is_rate_limited() && error.retry_after().is_some());
    ///
    /// // This client waits for the `Retry-After` on the machine's clock. Another client
    /// // does not.
    /// fake.advance(Duration::from_secs(300)).await;
    /// fake.client().get_clinic().send().await?;
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub fn rate_limit(&self, limit: RateLimit) {
        *lock(&self.shared.rate) = Rate {
            limit: Some(limit),
            taken: VecDeque::new(),
        };
    }
}
