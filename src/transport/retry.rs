//! What may be sent again, when, and how often.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Method, StatusCode};

/// The upper bound of the first delay; doubles with each attempt.
const FIRST_DELAY: Duration = Duration::from_millis(250);

/// No delay is longer, however many attempts were made.
const LONGEST_DELAY: Duration = Duration::from_secs(20);

/// What an app may spend on retries before it must earn some back by calls
/// that succeed: about 35 retries of failures, or 100 of refusals for rate.
/// Numbers of the AWS SDKs, which keep a server in trouble from being buried
/// under retries.
const BUDGET: u32 = 500;

/// The price of trying again what failed.
const PRICE_OF_FAILURE: u32 = 14;

/// The price of trying again what was too early.
const PRICE_OF_THROTTLE: u32 = 5;

/// No server means to wait longer than a day.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(86_400);

/// What all calls of an app may spend on retries, together.
#[derive(Debug)]
pub(crate) struct Budget(AtomicU32);

/// Why something is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// The connection or the server failed.
    Failure,
    /// The server asked for fewer requests.
    Throttle,
}

impl Budget {
    pub(crate) fn new() -> Self {
        Self(AtomicU32::new(BUDGET))
    }

    /// Pays for a retry, if there is enough left.
    pub(crate) fn pay(&self, reason: Reason) -> bool {
        let price = match reason {
            Reason::Failure => PRICE_OF_FAILURE,
            Reason::Throttle => PRICE_OF_THROTTLE,
        };
        let less = |left: u32| left.checked_sub(price);
        self.0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less)
            .is_ok()
    }

    /// A call succeeded.
    pub(crate) fn earn(&self) {
        // Full almost always: then this is a read.
        if self.0.load(Ordering::Relaxed) < BUDGET {
            let more = |left: u32| (left < BUDGET).then_some(left + 1);
            let _full_meanwhile = self
                .0
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        }
    }
}

/// Whether sending a request of this method twice is as good as once (RFC
/// 9110, section 9.2.2).
///
/// PATCH is not: the vendor's patches set fields, but a late second one would
/// undo what somebody else has set meanwhile.
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

/// Whether a status asks for another try.
pub(crate) fn reason_of(status: StatusCode) -> Option<Reason> {
    match status.as_u16() {
        429 => Some(Reason::Throttle),
        408 | 425 | 500 | 502 | 503 | 504 => Some(Reason::Failure),
        _ => None,
    }
}

/// The attempts of one piece of work, and the delays between them.
#[derive(Debug)]
pub(crate) struct Backoff {
    /// How many attempts were made, the current one included.
    attempts: u32,
    most_attempts: u32,
}

impl Backoff {
    /// Starts with the first attempt.
    pub(crate) fn new(most_attempts: u32) -> Self {
        Self {
            attempts: 1,
            most_attempts,
        }
    }

    /// Starts with the first attempt, and never gives up.
    pub(crate) fn endless() -> Self {
        Self::new(u32::MAX)
    }

    /// Returns the delay before the next attempt, or `None` if there is none left.
    ///
    /// `asked` is what the server asked for by `Retry-After`.
    pub(crate) fn next(&mut self, asked: Option<Duration>) -> Option<Duration> {
        if self.attempts >= self.most_attempts {
            return None;
        }
        let delay = asked.unwrap_or_else(|| Self::delay(self.attempts));
        self.attempts += 1;
        Some(delay)
    }

    /// Returns the delay after the given number of attempts: anything up to a bound that doubles
    /// (full jitter), so that callers who failed together do not come back together.
    pub(crate) fn delay(attempts: u32) -> Duration {
        let doublings = attempts.saturating_sub(1).min(16);
        let bound = (FIRST_DELAY * 2_u32.pow(doublings)).min(LONGEST_DELAY);
        bound.mul_f64(jitter())
    }
}

/// A random number from 0 to 1.
pub(crate) fn jitter() -> f64 {
    let mut bytes = [0; 4];
    // Without randomness pauses are merely less spread.
    let _less_spread = getrandom::fill(&mut bytes);
    f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX)
}

/// Reads `Retry-After`, which is a number of seconds or a date (RFC 9110,
/// section 10.2.3); a date that has passed is no wait.
pub(crate) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = match value.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let date = httpdate::parse_http_date(value).ok()?;
            date.duration_since(now).unwrap_or_default()
        }
    };
    Some(wait.min(LONGEST_RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_budget_ends_and_is_earned_back_by_successes() {
        let budget = Budget::new();
        let mut paid = 0;
        while budget.pay(Reason::Failure) {
            paid += 1;
        }
        assert_eq!(paid, BUDGET / PRICE_OF_FAILURE);
        assert!(budget.pay(Reason::Throttle));
        (0..PRICE_OF_FAILURE).for_each(|_| budget.earn());
        assert!(budget.pay(Reason::Failure));
        (0..2 * BUDGET).for_each(|_| budget.earn());
        assert_eq!(budget.0.load(Ordering::Relaxed), BUDGET);
    }

    #[test]
    fn attempts_end_and_a_server_may_ask_for_its_own_delay() {
        let mut backoff = Backoff::new(3);
        let asked = Duration::from_secs(7);
        assert_eq!(backoff.next(Some(asked)), Some(asked));
        assert!(
            backoff
                .next(None)
                .is_some_and(|delay| delay <= 2 * FIRST_DELAY)
        );
        assert_eq!(backoff.next(Some(asked)), None);
    }

    #[test]
    fn delays_grow_to_a_bound_and_differ() {
        for attempt in 1..40 {
            let bound = FIRST_DELAY * 2_u32.pow((attempt - 1).min(16));
            assert!(Backoff::delay(attempt) <= bound.min(LONGEST_DELAY));
        }
        let some: std::collections::HashSet<_> = (0..10).map(|_| Backoff::delay(8)).collect();
        assert!(some.len() > 1);
    }

    #[test]
    fn seconds_and_dates_are_read_and_nothing_else() {
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
