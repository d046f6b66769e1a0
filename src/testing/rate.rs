//! How many requests the fake takes in what time.

use std::collections::VecDeque;
use std::time::SystemTime;

use super::FakeFullscript;
use super::fault::rate_limited;
use super::script::Script;
use super::server::lock;
use crate::RateLimit;

/// The requests that count.
#[derive(Default)]
pub(super) struct Rate {
    limit: Option<RateLimit>,
    taken: VecDeque<SystemTime>,
}

impl Rate {
    /// Counts a request; or refuses it, and then it does not count.
    pub(super) fn refuse(&mut self, now: SystemTime) -> Option<Script> {
        let (requests, window) = self.limit?.quota()?;
        let has_left = |at: &SystemTime| now.duration_since(*at).is_ok_and(|age| age >= window);
        while self.taken.front().is_some_and(has_left) {
            self.taken.pop_front();
        }
        let first = match self.taken.front() {
            Some(first) if self.taken.len() >= requests as usize => *first,
            _ => {
                self.taken.push_back(now);
                return None;
            }
        };
        let wait = (first + window).duration_since(now);
        Some(rate_limited(wait.unwrap_or_default()))
    }
}

impl FakeFullscript {
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
    /// let client = fake.client().with_options(CallOptions::new().attempts(1));
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
