//! When the next request may go: arithmetic on the times of the last ones.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::time::Duration;

/// Nanoseconds since the limiter was made, or between two such moments; the
/// largest value, some 584 years, stands for never.
pub(super) type Nanos = u64;

/// The part of the limit that may go at once when none of it is in use: 1,000
/// of 5,000.
/// What is left keeps turns coming every 75 ms until the first ones are free
/// again, so 26 users who all wait at once have their turn within 2 s.
const BURST: u64 = 5;

/// The part of the window for which a request is counted beyond it: a second
/// of 5 minutes.
/// The server counts arrivals, and a request may take longer to get there
/// than a later one.
const GUARD: u64 = 300;

/// The pause after a refusal that does not say how long; also how the
/// doubling begins.
const FIRST_PAUSE: Nanos = 1_000_000_000;

/// Where the doubling of pauses ends: long enough to give a fifth of a window
/// back, short enough that a wrong guess costs a minute.
const LONGEST_PAUSE: Nanos = 60_000_000_000;

/// What was sent within the last window, and what may follow.
///
/// Two rules hold at every moment.
/// No more than `requests` are sent within any `span`.
/// And since any request of the last `span`, that one included, no more than
/// `burst` and one for each `pace` that has passed were sent: a token bucket
/// that forgets what is older than `span`.
///
/// The second rule keeps enough free that one request can go every `pace` for
/// ever, however the last ones are spread, and it holds back nothing else:
/// after one `span` of saturation every slot is used the moment it is free.
pub(super) struct Budget {
    requests: u64,
    span: Nanos,
    burst: u64,
    pace: Nanos,
    /// When the requests within the last span were sent, oldest first.
    sent: VecDeque<Nanos>,
    /// How many were ever sent; the number of the next one.
    count: u64,
    /// Numbers of those in `sent` that may come to bind by the second rule,
    /// the one that binds now first: the minima of a sliding window.
    binding: VecDeque<u64>,
    pause: Option<Pause>,
}

/// What a refusal of the server started.
struct Pause {
    until: Nanos,
    length: Nanos,
    /// How many had been sent when it began.
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
            // After a burst the others go one by one, the last a pace before
            // the burst is free again.
            pace: span / (requests - burst + 1),
            sent: VecDeque::new(),
            count: 0,
            binding: VecDeque::new(),
            pause: None,
        }
    }

    /// Returns the moment before which the `n`th request from now can't go,
    /// whatever the others do; `now` only if it may go now.
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
            let free = sent.saturating_add(self.span);
            at = at.max(self.paced(sent, self.count - number + n).min(free));
        }
        if let Some(pause) = &self.pause {
            let since = self.burst + self.count - pause.count + n - 1;
            let over = pause.until.saturating_add(self.span);
            at = at.max(self.paced(pause.until, since).min(over));
        }
        at
    }

    /// Counts a request that is sent now.
    pub(super) fn record(&mut self, now: Nanos) {
        // What binds less than this one never binds again: it is forgotten
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

    /// Takes a refusal into account; says whether turns come later than they
    /// did.
    pub(super) fn throttled(&mut self, now: Nanos, retry_after: Option<Nanos>) -> bool {
        self.forget(now);
        let length = match (retry_after, &self.pause) {
            (Some(length), _) => length,
            // What was under way when the pause began says nothing new.
            (None, Some(pause)) if now < pause.until => return false,
            (None, Some(pause)) => pause
                .length
                .saturating_mul(2)
                .clamp(FIRST_PAUSE, LONGEST_PAUSE),
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

    /// When the `n`th request since a moment, its own included, keeps to the
    /// pace.
    fn paced(&self, since: Nanos, n: u64) -> Nanos {
        since.saturating_add(self.pace.saturating_mul(n.saturating_sub(self.burst)))
    }

    /// When a request that is still in `sent` went.
    fn sent_at(&self, number: u64) -> Nanos {
        let first = self.count - self.sent.len() as u64;
        self.sent[(number - first) as usize]
    }

    fn forget(&mut self, now: Nanos) {
        let is_over = |at: Nanos| at.saturating_add(self.span) <= now;
        while self.sent.front().is_some_and(|&sent| is_over(sent)) {
            self.sent.pop_front();
        }
        if self.pause.as_ref().is_some_and(|p| is_over(p.until)) {
            self.pause = None;
        }
        let first = self.count - self.sent.len() as u64;
        while self.binding.front().is_some_and(|&number| number < first) {
            self.binding.pop_front();
        }
    }
}
