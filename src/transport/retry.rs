//! Retries: which requests, after what delay, and how many.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Method, StatusCode};

/// The upper bound of the first delay, which doubles with each attempt.
const FIRST_DELAY: Duration = Duration::from_millis(250);

/// The longest delay between two attempts.
const MAX_DELAY: Duration = Duration::from_secs(20);

/// The capacity of the retry budget: about 35 retries of failures, or 100 of rate limits.
///
/// Each successful call earns 1 back. The numbers are those of the AWS SDKs; they keep retries
/// from overloading a server that is failing.
const BUDGET: u32 = 500;

/// The cost of a retry after a failure.
const FAILURE_COST: u32 = 14;

/// The cost of a retry after a rate limit.
const THROTTLE_COST: u32 = 5;

/// The longest `Retry-After` that is honored: 1 day.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(86_400);

/// The retry budget that all calls of an app share.
#[derive(Debug)]
pub(crate) struct RetryBudget(AtomicU32);

/// The reason for a retry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// The connection or the server failed.
    Failure,
    /// The server returned a rate limit.
    Throttle,
}

impl RetryBudget {
    pub(crate) fn new() -> Self {
        Self(AtomicU32::new(BUDGET))
    }

    /// Pays for a retry, and returns whether the budget allowed it.
    pub(crate) fn pay(&self, reason: Reason) -> bool {
        let cost = match reason {
            Reason::Failure => FAILURE_COST,
            Reason::Throttle => THROTTLE_COST,
        };
        let less = |left: u32| left.checked_sub(cost);
        self.0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less)
            .is_ok()
    }

    /// Returns 1 to the budget after a successful call.
    pub(crate) fn earn(&self) {
        // The budget is almost always full; then a read is enough.
        if self.0.load(Ordering::Relaxed) < BUDGET {
            let more = |left: u32| (left < BUDGET).then_some(left + 1);
            let _full = self
                .0
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        }
    }
}

/// Returns whether a method is idempotent (RFC 9110, section 9.2.2).
///
/// PATCH is not idempotent: the vendor's PATCH sets fields, but a late second one would undo what
/// another client has set in the meantime.
pub(crate) fn is_idempotent(method: &Method) -> bool {
    [
        Method::GET,
        Method::HEAD,
        Method::PUT,
        Method::DELETE,
        Method::OPTIONS,
        Method::TRACE,
    ]
    .contains(method)
}

/// Returns the reason to retry after a status, if the status is retryable.
pub(crate) fn retry_reason(status: StatusCode) -> Option<Reason> {
    match status.as_u16() {
        429 => Some(Reason::Throttle),
        408 | 425 | 500 | 502 | 503 | 504 => Some(Reason::Failure),
        _ => None,
    }
}

/// A counter of attempts that computes the delays between them.
#[derive(Debug)]
pub(crate) struct Backoff {
    /// The number of attempts made, including the current one.
    attempts: u32,
    max_attempts: u32,
}

impl Backoff {
    /// Starts with the first attempt of at most `max_attempts`.
    pub(crate) fn new(max_attempts: u32) -> Self {
        Self {
            attempts: 1,
            max_attempts,
        }
    }

    /// Starts with the first attempt, without a limit.
    pub(crate) fn unlimited() -> Self {
        Self::new(u32::MAX)
    }

    /// Returns the delay before the next attempt, or `None` if no attempt is left.
    ///
    /// The server's `retry_after` takes precedence over the computed delay.
    pub(crate) fn next(&mut self, retry_after: Option<Duration>) -> Option<Duration> {
        if self.attempts >= self.max_attempts {
            return None;
        }
        let delay = retry_after.unwrap_or_else(|| Self::delay(self.attempts));
        self.attempts += 1;
        Some(delay)
    }

    /// Returns the delay after the given number of attempts: a random part of a bound that doubles
    /// with each attempt (full jitter).
    ///
    /// Jitter keeps calls that failed together from retrying together.
    pub(crate) fn delay(attempts: u32) -> Duration {
        let doublings = attempts.saturating_sub(1).min(16);
        let bound = (FIRST_DELAY * 2_u32.pow(doublings)).min(MAX_DELAY);
        bound.mul_f64(jitter())
    }
}

/// Returns a random number from 0 to 1.
pub(crate) fn jitter() -> f64 {
    let mut bytes = [0; 4];
    // Without random numbers, delays are less spread, which is harmless.
    let _less_spread = getrandom::fill(&mut bytes);
    f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX)
}

/// Parses `Retry-After`, which is a number of seconds or a date (RFC 9110, section 10.2.3).
///
/// A date in the past gives 0. The result is at most 1 day.
pub(crate) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = match value.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let date = httpdate::parse_http_date(value).ok()?;
            date.duration_since(now).unwrap_or_default()
        }
    };
    Some(wait.min(MAX_RETRY_AFTER))
}

/// Returns a wait in seconds, rounded up, for messages.
pub(crate) fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs()
        .saturating_add(u64::from(wait.subsec_nanos() > 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exhausted_budget_is_earned_back_by_successes() {
        let budget = RetryBudget::new();
        let mut paid = 0;
        while budget.pay(Reason::Failure) {
            paid += 1;
        }
        assert_eq!(paid, BUDGET / FAILURE_COST);
        assert!(budget.pay(Reason::Throttle));
        (0..FAILURE_COST).for_each(|_| budget.earn());
        assert!(budget.pay(Reason::Failure));
        (0..2 * BUDGET).for_each(|_| budget.earn());
        assert_eq!(budget.0.load(Ordering::Relaxed), BUDGET);
    }

    #[test]
    fn attempts_are_limited_and_retry_after_takes_precedence() {
        let mut backoff = Backoff::new(3);
        let retry_after = Duration::from_secs(7);
        assert_eq!(backoff.next(Some(retry_after)), Some(retry_after));
        assert!(
            backoff
                .next(None)
                .is_some_and(|delay| delay <= 2 * FIRST_DELAY)
        );
        assert_eq!(backoff.next(Some(retry_after)), None);
    }

    #[test]
    fn delays_grow_to_a_bound_and_are_random() {
        for attempt in 1..40 {
            let bound = FIRST_DELAY * 2_u32.pow((attempt - 1).min(16));
            assert!(Backoff::delay(attempt) <= bound.min(MAX_DELAY));
        }
        let delays: std::collections::HashSet<_> = (0..10).map(|_| Backoff::delay(8)).collect();
        assert!(delays.len() > 1);
    }

    #[test]
    fn retry_after_accepts_seconds_and_dates_only() {
        let now = httpdate::parse_http_date("Sun, 22 Nov 2026 06:00:00 GMT").unwrap();
        for (value, expected) in [
            ("0", Some(0)),
            (" 120 ", Some(120)),
            ("Sun, 22 Nov 2026 06:00:30 GMT", Some(30)),
            ("Sun, 22 Nov 2026 05:00:00 GMT", Some(0)),
            ("-1", None),
            ("1.5", None),
            ("soon", None),
            ("", None),
            ("18446744073709551615", Some(86_400)),
            ("99999999999999999999999999", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, value.parse().unwrap());
            let expected = expected.map(Duration::from_secs);
            assert_eq!(retry_after(&headers, now), expected, "{value}");
        }
    }
}
