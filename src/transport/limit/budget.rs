//! The request budget: computes when the next request may be sent from the times of the last ones.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::time::Duration;

/// Nanoseconds since the limiter was created, or a duration in nanoseconds.
///
/// The largest value, about 584 years, means never.
pub(super) type Nanos = u64;

/// The divisor of the limit that gives the burst: 1,000 of 5,000 requests may be sent at once if
/// the window is empty.
///
/// The rest gives a permit every 75 ms until the burst is free again, so 26 users who start waiting
/// at the same time all get a permit within 2 s.
const BURST: u64 = 5;

/// The divisor of the window that gives the safety margin: 1 s for 5 minutes.
///
/// A request is counted for the window and this margin. The server counts arrivals, and one request
/// may take longer to arrive than a later one.
const GUARD: u64 = 300;

/// The first pause after a 429 without `Retry-After`, doubled by each further one: 1 s.
const FIRST_PAUSE: Nanos = 1_000_000_000;

/// The longest doubled pause: 60 s.
///
/// It frees a fifth of a 5-minute window, and an unnecessary pause costs at most a minute.
const MAX_PAUSE: Nanos = 60_000_000_000;

/// The requests that were sent within the last window, and the rules for the next ones.
///
/// Two rules apply at every moment:
///
/// 1. At most `requests` are sent within any `span`.
/// 2. Since any request of the last `span`, including that one, at most `burst` requests were sent,
///    plus one for each `pace` that has passed. This is a token bucket that forgets requests older
///    than `span`.
///
/// The second rule keeps enough of the limit free that one request can be sent every `pace`
/// forever, however the last ones are spread. It delays nothing else: after one `span` of
/// saturation, every slot is used as soon as it is free.
pub(super) struct Budget {
    requests: u64,
    span: Nanos,
    burst: u64,
    pace: Nanos,
    /// The times of the requests within the last span, oldest first.
    sent: VecDeque<Nanos>,
    /// The number of requests ever sent, which is also the number of the next one.
    count: u64,
    /// The numbers of those requests in `sent` that can become the binding ones of rule 2, the
    /// currently binding one first: the minima of a sliding window.
    binding: VecDeque<u64>,
    pause: Option<Pause>,
}

/// A pause after a 429.
struct Pause {
    until: Nanos,
    length: Nanos,
    /// The value of `Budget::count` when the pause started.
    count: u64,
}

pub(super) fn nanos(duration: Duration) -> Nanos {
    Nanos::try_from(duration.as_nanos()).unwrap_or(Nanos::MAX)
}

impl Budget {
    pub(super) fn new(requests: NonZeroU32, window: Duration) -> Self {
        let requests = u64::from(requests.get());
        let window = nanos(window);
        let span = window.saturating_add(window.div_ceil(GUARD));
        let burst = (requests / BURST).max(1);
        Self {
            requests,
            span,
            burst,
            // After a burst, the others are sent one by one, the last one a pace before the burst
            // is free again.
            pace: span / (requests - burst + 1),
            sent: VecDeque::new(),
            count: 0,
            binding: VecDeque::new(),
            pause: None,
        }
    }

    /// Returns the earliest time at which the `n`th request from now can be sent.
    ///
    /// Returns `now` if it may be sent now.
    pub(super) fn earliest(&mut self, now: Nanos, n: u64) -> Nanos {
        self.forget(now);
        let mut at = now.max(self.paced(now, n));
        let in_use = self.sent.len() as u64;
        if let Some(beyond) = n.checked_sub(self.requests - in_use + 1) {
            let round = beyond / self.requests + 1;
            let slot = self.sent.get((beyond % self.requests) as usize);
            let back = self.span.saturating_mul(round);
            at = at.max(slot.unwrap_or(&now).saturating_add(back));
        }
        if let Some(&number) = self.binding.front() {
            let sent = self.sent_at(number);
            let forgotten_at = sent.saturating_add(self.span);
            at = at.max(self.paced(sent, self.count - number + n).min(forgotten_at));
        }
        if let Some(pause) = &self.pause {
            // A pause leaves no burst.
            let since = self.burst + self.count - pause.count + n - 1;
            let forgotten_at = pause.until.saturating_add(self.span);
            at = at.max(self.paced(pause.until, since).min(forgotten_at));
        }
        at
    }

    /// Counts a request that is sent now.
    pub(super) fn record(&mut self, now: Nanos) {
        // A request that binds less than this one never binds again, because it leaves the span
        // first.
        while let Some(&number) = self.binding.back() {
            let passed = now.saturating_sub(self.sent_at(number));
            if passed < self.pace.saturating_mul(self.count - number) {
                break;
            }
            self.binding.pop_back();
        }
        self.binding.push_back(self.count);
        self.sent.push_back(now);
        self.count += 1;
    }

    /// Applies a 429, and returns whether permits come later than before.
    pub(super) fn throttled(&mut self, now: Nanos, retry_after: Option<Nanos>) -> bool {
        self.forget(now);
        let length = match (retry_after, &self.pause) {
            (Some(length), _) => length,
            // A 429 for a request that was in flight when the pause started is no new
            // information.
            (None, Some(pause)) if now < pause.until => return false,
            (None, Some(pause)) => pause.length.saturating_mul(2).clamp(FIRST_PAUSE, MAX_PAUSE),
            (None, None) => FIRST_PAUSE,
        };
        let length = length.min(self.span);
        let until = now.saturating_add(length);
        if matches!(&self.pause, Some(pause) if pause.until >= until) {
            return false;
        }
        let count = self.count;
        self.pause = Some(Pause {
            until,
            length,
            count,
        });
        true
    }

    /// Returns when rule 2 allows the `n`th request since a time, including one at that time.
    fn paced(&self, since: Nanos, n: u64) -> Nanos {
        since.saturating_add(self.pace.saturating_mul(n.saturating_sub(self.burst)))
    }

    /// Returns when a request that is still in `sent` was sent.
    fn sent_at(&self, number: u64) -> Nanos {
        let first = self.count - self.sent.len() as u64;
        self.sent[(number - first) as usize]
    }

    /// Removes requests and a pause that are older than `span`.
    fn forget(&mut self, now: Nanos) {
        let is_expired = |at: Nanos| at.saturating_add(self.span) <= now;
        while self.sent.front().is_some_and(|&sent| is_expired(sent)) {
            self.sent.pop_front();
        }
        if self.pause.as_ref().is_some_and(|p| is_expired(p.until)) {
            self.pause = None;
        }
        let first = self.count - self.sent.len() as u64;
        while self.binding.front().is_some_and(|&number| number < first) {
            self.binding.pop_front();
        }
    }
}
