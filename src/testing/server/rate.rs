//! The rate limit of the fake.

use std::collections::VecDeque;
use std::time::SystemTime;

use crate::RateLimit;
use crate::testing::server::script::Script;
use crate::testing::server::script::rate_limited;

/// The requests in the current window.
#[derive(Default)]
pub(in crate::testing) struct Rate {
    pub(in crate::testing) limit: Option<RateLimit>,
    pub(in crate::testing) taken: VecDeque<SystemTime>,
}

impl Rate {
    /// Counts a request, or returns the response that rejects it. A rejected request does not
    /// count.
    pub(in crate::testing) fn refuse(&mut self, now: SystemTime) -> Option<Script> {
        let (requests, window) = self.limit.as_ref()?.quota()?;
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
