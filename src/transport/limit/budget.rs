//! The request budget: computes when the next request may be sent from the times of the last ones.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::time::Duration;

use super::shared_limit::{bucket, slice_life};

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

/// The longest pause, also if `Retry-After` is longer: 60 s.
///
/// It frees a fifth of a 5-minute window, and an unnecessary pause costs at most a minute. If the
/// server still refuses requests, the next 429 starts the next pause.
const MAX_PAUSE: Nanos = 60_000_000_000;

/// The divisor of the limit that gives the part that OAuth requests can always take in a window:
/// 500 of 5,000.
const OAUTH_SHARE: u64 = 10;

/// The time for which one permit is kept for an OAuth request after the permit became free: 1 s.
const KEPT: Nanos = 1_000_000_000;

/// The part of the limit that OAuth requests can take in a window if calls use little of it, in
/// bursts: 2,000 of 5,000.
///
/// Each token refresh is followed by a call.
const OAUTH_BURSTS: u64 = 2;

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
///
/// OAuth requests count for the first rule only, and have limits of their own. Many users whose
/// tokens expire at the same time therefore do not slow down the calls of the others.
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
    /// The pause of all calls, and the value of `count` when it started.
    pause: Option<(Pause, u64)>,
    /// The times of the OAuth requests within the last span, oldest first.
    oauth: VecDeque<Nanos>,
    oauth_pause: Option<Pause>,
    /// The time until which one permit is kept for an OAuth request that waits.
    kept_until: Nanos,
    /// Whether a call was sent since the last OAuth request.
    is_oauth_next: bool,
}

/// The requests of a budget that several processes share, as they are saved between two uses.
///
/// Times are nanoseconds since 1970.
#[derive(Default)]
pub(super) struct Sent {
    pub(super) calls: VecDeque<Nanos>,
    pub(super) oauth: VecDeque<Nanos>,
    /// The time since which there is no burst, and the number of calls since then.
    pub(super) without_burst: Option<(Nanos, u64)>,
    pub(super) kept_until: Nanos,
    pub(super) is_oauth_next: bool,
}

impl Sent {
    /// Returns the time of the newest request.
    pub(super) fn newest(&self) -> Option<Nanos> {
        self.calls.back().max(self.oauth.back()).copied()
    }

    /// Makes all times earlier, after the clock was set back.
    pub(super) fn move_back(&mut self, by: Nanos) {
        let times = self.calls.iter_mut().chain(&mut self.oauth);
        let times = times.chain(self.without_burst.as_mut().map(|(at, _)| at));
        for at in times.chain([&mut self.kept_until]) {
            *at = at.saturating_sub(by);
        }
    }
}

/// A pause after a 429.
pub(super) struct Pause {
    pub(super) until: Nanos,
    length: Nanos,
}

impl Pause {
    /// Returns the pause after a 429, or `None` if it ends no later than the last one.
    pub(super) fn after(
        last: Option<&Self>,
        now: Nanos,
        retry_after: Option<Nanos>,
    ) -> Option<Self> {
        let length = match (retry_after, last) {
            (Some(length), _) => length.min(MAX_PAUSE),
            // A 429 for a request that was in flight when the pause started is no new
            // information.
            (None, Some(last)) if now < last.until => return None,
            (None, Some(last)) => last.length.saturating_mul(2).clamp(FIRST_PAUSE, MAX_PAUSE),
            (None, None) => FIRST_PAUSE,
        };
        let until = now.saturating_add(length);
        let is_later = last.is_none_or(|last| last.until < until);
        is_later.then_some(Self { until, length })
    }

    /// Returns the time after which the next pause is a first one again.
    pub(super) fn forget_at(&self) -> Nanos {
        self.until.saturating_add(MAX_PAUSE)
    }
}

pub(super) fn nanos(duration: Duration) -> Nanos {
    Nanos::try_from(duration.as_nanos()).unwrap_or(Nanos::MAX)
}

impl Budget {
    pub(super) fn new(requests: NonZeroU32, window: Duration) -> Self {
        let window = nanos(window);
        Self::over(requests, window.saturating_add(window.div_ceil(GUARD)))
    }

    /// Creates a budget of all processes, whose permits are sent up to [`slice_life`] later, and
    /// whose times are up to a [`bucket`] too early.
    pub(super) fn shared(requests: NonZeroU32, window: Duration, sent: Sent) -> Self {
        let late = nanos(slice_life(window)).saturating_add(nanos(bucket(window)));
        let mut budget = Self::new(requests, window);
        budget = Self::over(requests, budget.span.saturating_add(late));
        for at in sent.calls {
            budget.record(at);
        }
        budget.oauth = sent.oauth;
        budget.kept_until = sent.kept_until;
        budget.is_oauth_next = sent.is_oauth_next;
        budget.pause = sent.without_burst.map(|(until, calls)| {
            let pause = Pause { until, length: 0 };
            (pause, budget.count.saturating_sub(calls))
        });
        budget
    }

    /// Returns the requests of a shared budget.
    pub(super) fn into_sent(self) -> Sent {
        let since = |(pause, count): (Pause, u64)| (pause.until, self.count - count);
        Sent {
            calls: self.sent,
            oauth: self.oauth,
            without_burst: self.pause.map(since),
            kept_until: self.kept_until,
            is_oauth_next: self.is_oauth_next,
        }
    }

    /// Creates an empty budget of requests that count for `span`.
    fn over(requests: NonZeroU32, span: Nanos) -> Self {
        let requests = u64::from(requests.get());
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
            oauth: VecDeque::new(),
            oauth_pause: None,
            kept_until: 0,
            is_oauth_next: true,
        }
    }

    /// Returns the earliest time at which the `n`th request from now can be sent.
    ///
    /// Returns `now` if it may be sent now.
    pub(super) fn earliest(&mut self, now: Nanos, n: u64) -> Nanos {
        self.forget(now);
        let n = n + u64::from(now < self.kept_until);
        let mut at = now.max(self.paced(now, n));
        if let Some(beyond) = n.checked_sub(self.requests.saturating_sub(self.in_use()) + 1) {
            let round = beyond / self.requests + 1;
            let slot = self.oldest((beyond % self.requests) as usize);
            let back = self.span.saturating_mul(round);
            at = at.max(slot.unwrap_or(now).saturating_add(back));
        }
        if let Some(&number) = self.binding.front() {
            let sent = self.sent_at(number);
            let forgotten_at = sent.saturating_add(self.span);
            at = at.max(self.paced(sent, self.count - number + n).min(forgotten_at));
        }
        if let Some((pause, count)) = &self.pause {
            // A pause leaves no burst.
            let since = self.burst + self.count - count + n - 1;
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
        self.is_oauth_next = true;
    }

    /// Allows no burst for a span from now on, because requests of the last span are not known.
    pub(super) fn end_burst(&mut self, now: Nanos) {
        let is_later = |(pause, _): &(Pause, u64)| pause.until > now;
        if !self.pause.as_ref().is_some_and(is_later) {
            let (until, length) = (now, 0);
            self.pause = Some((Pause { until, length }, self.count));
        }
    }

    /// Applies a 429, and returns whether permits come later than before.
    pub(super) fn throttled(&mut self, now: Nanos, retry_after: Option<Nanos>) -> bool {
        self.forget(now);
        let last = self.pause.as_ref().map(|(pause, _)| pause);
        let pause = Pause::after(last, now, retry_after);
        let is_later = pause.is_some();
        if let Some(pause) = pause {
            self.pause = Some((pause, self.count));
        }
        is_later
    }

    /// Counts an OAuth request that is sent now, or returns the earliest time for it.
    ///
    /// `granted` calls are about to be sent. While calls wait too, they and OAuth requests get
    /// permits by turns.
    pub(super) fn send_oauth(&mut self, now: Nanos, granted: u64) -> Result<(), Nanos> {
        let at = self.earliest_oauth(now, granted);
        if at > now {
            if self.is_oauth_next {
                self.kept_until = at.saturating_add(KEPT);
            }
            return Err(at);
        }
        self.oauth.push_back(now);
        self.is_oauth_next = false;
        self.kept_until = 0;
        Ok(())
    }

    fn earliest_oauth(&mut self, now: Nanos, granted: u64) -> Nanos {
        self.forget(now);
        let free_again = |sent: Option<Nanos>| sent.map_or(now, |at| at.saturating_add(self.span));
        let oauth_below = |limit: u64| {
            let excess = self.oauth.len().checked_sub(limit as usize);
            free_again(excess.and_then(|excess| self.oauth.get(excess)).copied())
        };
        let all_below = |limit: u64| {
            let excess = (self.in_use() + granted).checked_sub(limit);
            free_again(excess.and_then(|excess| self.oldest(excess as usize)))
        };
        let share = oauth_below((self.requests / OAUTH_SHARE).max(1));
        // What calls need next is what they needed last, and a burst.
        let unused =
            all_below(self.requests - self.burst).max(oauth_below(self.burst * OAUTH_BURSTS));
        let resumed_at = self.oauth_pause.as_ref().map_or(now, |pause| pause.until);
        let at = share.min(unused).max(all_below(self.requests));
        at.max(resumed_at).max(now)
    }

    /// Returns the interval of OAuth requests that takes half of their part of the limit.
    pub(super) fn oauth_pace(&self) -> Nanos {
        2 * self.span / (self.burst * OAUTH_BURSTS).min(self.requests).max(1)
    }

    /// Applies a 429 for an OAuth request, which pauses no calls, and returns whether permits come
    /// later than before.
    pub(super) fn oauth_throttled(&mut self, now: Nanos, retry_after: Option<Nanos>) -> bool {
        let pause = Pause::after(self.oauth_pause.as_ref(), now, retry_after);
        let is_later = pause.is_some();
        if is_later {
            self.oauth_pause = pause;
        }
        is_later
    }

    /// Returns the time between two requests under saturation.
    pub(super) fn pace(&self) -> Nanos {
        self.pace
    }

    /// Returns when rule 2 allows the `n`th request since a time, including one at that time.
    pub(super) fn paced(&self, since: Nanos, n: u64) -> Nanos {
        since.saturating_add(self.pace.saturating_mul(n.saturating_sub(self.burst)))
    }

    /// Returns when a request that is still in `sent` was sent.
    fn sent_at(&self, number: u64) -> Nanos {
        let first = self.count - self.sent.len() as u64;
        self.sent[(number - first) as usize]
    }

    /// Returns the number of requests within the last span.
    fn in_use(&self) -> u64 {
        (self.sent.len() + self.oauth.len()) as u64
    }

    /// Returns when the `n`th oldest request was sent, counted from 0.
    fn oldest(&self, n: usize) -> Option<Nanos> {
        // The number of OAuth requests before it, by binary search.
        let (mut low, mut high) = (0, self.oauth.len().min(n));
        while low < high {
            let middle = usize::midpoint(low, high);
            let call = self.sent.get(n - middle - 1);
            if call.is_none_or(|call| self.oauth[middle] <= *call) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        let next = [self.oauth.get(low), self.sent.get(n - low)];
        next.into_iter().flatten().min().copied()
    }

    /// Removes requests and a pause that are older than `span`.
    fn forget(&mut self, now: Nanos) {
        let is_expired = |at: Nanos| at.saturating_add(self.span) <= now;
        while self.sent.front().is_some_and(|&sent| is_expired(sent)) {
            self.sent.pop_front();
        }
        while self.oauth.front().is_some_and(|&sent| is_expired(sent)) {
            self.oauth.pop_front();
        }
        if self
            .pause
            .as_ref()
            .is_some_and(|(pause, _)| is_expired(pause.until))
        {
            self.pause = None;
        }
        self.oauth_pause.take_if(|pause| pause.forget_at() <= now);
        let first = self.count - self.sent.len() as u64;
        while self.binding.front().is_some_and(|&number| number < first) {
            self.binding.pop_front();
        }
    }
}
