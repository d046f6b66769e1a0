//! What goes wrong on request: faults of operations, and a rate limit.

use std::collections::VecDeque;

use super::FakeFullscript;
use crate::RateLimit;
use crate::testing::lock::lock;
use crate::testing::server::call::known;
use crate::testing::server::fault::{Fault, Faults};
use crate::testing::server::rate::Rate;

impl FakeFullscript {
    /// Lets this go wrong with each request of an operation from now on, until
    /// [`end_faults`](Self::end_faults) or another fault.
    ///
    /// What is wrong comes before all that the fake would answer: before the
    /// check of the token, before [`answer`](Self::answer) and
    /// [`answer_times`](Self::answer_times). Only a request beyond the
    /// [`rate_limit`](Self::rate_limit) is refused first. The token endpoint is
    /// `create_oauth_token`.
    ///
    /// # Panics
    /// When no operation has this id: the test would show nothing.
    pub fn fault(&self, operation_id: &str, fault: Fault) {
        let mut faults = lock(&self.shared.faults);
        faults.lasting.insert(known(operation_id), fault);
    }

    /// Lets this go wrong with the next `times` requests of an operation, after
    /// those that are to go wrong already.
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
    /// // A read is repeated until it is whole.
    /// fake.fault_times("list_patients", 1, Fault::status(503));
    /// fake.fault_times("list_patients", 1, Fault::reset_within_body());
    /// let patients = fake.client().list_patients().send().await?;
    /// assert_eq!(patients.attempts(), 3);
    ///
    /// // What an error page looks like to the app.
    /// fake.fault("get_clinic", Fault::rate_limited(Duration::from_secs(30)));
    /// let once = fake.client().with_options(CallOptions::new().max_attempts(1));
    /// let error = once.get_clinic().send().await.unwrap_err();
    /// assert_eq!(error.retry_after(), Some(Duration::from_secs(30)));
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Panics
    /// When no operation has this id: the test would show nothing.
    pub fn fault_times(&self, operation_id: &str, times: usize, fault: Fault) {
        let mut faults = lock(&self.shared.faults);
        let queue = faults.next.entry(known(operation_id)).or_default();
        queue.extend(std::iter::repeat_n(fault, times));
    }

    /// Nothing goes wrong with any operation any more.
    pub fn end_faults(&self) {
        *lock(&self.shared.faults) = Faults::default();
    }

    /// Refuses what is asked beyond this limit, of all operations and all users
    /// together, with 429 and a `Retry-After`; no limit unless told.
    ///
    /// The window rolls with the fake's [`clock`](Self::clock). The default
    /// [`RateLimit`] is the vendor's. How the vendor refuses is not documented,
    /// nor whether it says how long to wait.
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
    /// // This client waits now until it asks again, by the machine's clock;
    /// // another one does not know.
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
