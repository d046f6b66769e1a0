//! Retries: which requests, after what delay, and how many.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};
use reqwest::{Method, StatusCode};
use tokio::time::Instant;

/// The upper bound of the first delay, which doubles with each attempt.
const FIRST_DELAY: Duration = Duration::from_millis(250);

/// The attempt of a call after which delays stop growing, at a bound of 2 s: somebody waits for the
/// call.
const LAST_GROWTH: u32 = 4;

/// The longest delay between two attempts of background work.
const MAX_DELAY: Duration = Duration::from_secs(20);

/// The shortest delay after a response that the first request is still in progress.
const IN_PROGRESS_DELAY: Duration = Duration::from_secs(1);

/// The capacity of the retry budget: about 35 retries of failures, or 100 of rate limits.
///
/// A call that succeeds returns what its retries have cost, or 1 if it had none. The numbers are
/// those of the AWS SDKs; they keep retries from overloading a server that is failing.
const BUDGET: u32 = 500;

/// The time after a success for which an empty budget is expected to be refilled.
const REFILLED_FOR: Duration = Duration::from_secs(5);

/// The cost of a retry after a failure.
const FAILURE_COST: u32 = 14;

/// The cost of a retry after a rate limit, or while the first request is still in progress.
const THROTTLE_COST: u32 = 5;

/// The longest `Retry-After` that is honored: 1 day.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(86_400);

/// The retry budget that all calls of an app share.
#[derive(Debug)]
pub(crate) struct RetryBudget {
    left: AtomicU32,
    created: Instant,
    /// When the latest call succeeded, in milliseconds since `created`.
    succeeded: AtomicU64,
}

/// The time of a success that did not happen.
const NEVER: u64 = u64::MAX;

/// The reason for a retry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// The connection or the server failed.
    Failure,
    /// The server returned a rate limit.
    Throttle,
    /// The server is still working on the first request with this idempotency key.
    InProgress,
}

impl Reason {
    fn cost(self) -> u32 {
        match self {
            Self::Failure => FAILURE_COST,
            Self::Throttle | Self::InProgress => THROTTLE_COST,
        }
    }
}

impl RetryBudget {
    pub(crate) fn new() -> Self {
        Self {
            left: AtomicU32::new(BUDGET),
            created: Instant::now(),
            succeeded: AtomicU64::new(NEVER),
        }
    }

    /// Returns whether the budget allows a retry at the moment.
    pub(crate) fn allows(&self, reason: Reason) -> bool {
        self.left.load(Ordering::Relaxed) >= reason.cost()
    }

    /// Returns whether calls have succeeded in the last 5 s.
    ///
    /// Then an empty budget belongs to calls that are being retried, and is refilled when they
    /// succeed: a retry can wait for it. In an outage nothing refills it.
    pub(crate) fn is_refilled(&self) -> bool {
        let succeeded = self.succeeded.load(Ordering::Relaxed);
        let since = Duration::from_millis(succeeded);
        succeeded != NEVER && self.created.elapsed().saturating_sub(since) < REFILLED_FOR
    }

    /// Pays for a retry, and returns its cost if the budget allowed it.
    pub(crate) fn pay(&self, reason: Reason) -> Option<u32> {
        let cost = reason.cost();
        let less = |left: u32| left.checked_sub(cost);
        let paid = self
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        paid.ok().map(|_| cost)
    }

    /// Returns to the budget what the retries of a successful call have cost, or 1 if it had none.
    pub(crate) fn refund(&self, paid: u32) {
        let now = u64::try_from(self.created.elapsed().as_millis()).unwrap_or(NEVER);
        self.succeeded.store(now, Ordering::Relaxed);
        // The budget is almost always full; then a read is enough.
        if self.left.load(Ordering::Relaxed) < BUDGET {
            let more = |left: u32| {
                let refunded = left.saturating_add(paid.max(1)).min(BUDGET);
                (refunded != left).then_some(refunded)
            };
            let _full = self
                .left
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
///
/// Besides the statuses of RFC 9110, these are the ones that proxies use for a server they cannot
/// reach: 520 to 527 and 530 (Cloudflare), 529 (overloaded), 598 and 599 (timeout of a proxy).
pub(crate) fn retry_reason(status: StatusCode) -> Option<Reason> {
    match status.as_u16() {
        429 => Some(Reason::Throttle),
        408 | 425 | 500 | 502..=504 | 507 | 520..=527 | 529 | 530 | 598 | 599 => {
            Some(Reason::Failure)
        }
        _ => None,
    }
}

/// Returns the reason to retry after an unsuccessful response, if it is retryable.
pub(crate) fn refusal_reason(status: StatusCode, body: &[u8]) -> Option<Reason> {
    if status == StatusCode::CONFLICT {
        return is_in_progress(body).then_some(Reason::InProgress);
    }
    retry_reason(status)
}

/// Returns whether a 409 says that the first request with the idempotency key is in progress.
///
/// `request_in_progress` is what one integrator expects of Fullscript; the other wordings are those
/// of comparable APIs. Any other 409 is a conflict with the state of an object.
fn is_in_progress(body: &[u8]) -> bool {
    let mut text = String::from_utf8_lossy(body).to_lowercase();
    text = text.replace(['_', '-'], " ");
    let about_key = text.contains("idempotency key") || text.contains("idempotent request");
    text.contains("request in progress")
        || about_key
            && ["in use", "in progress", "outstanding", "being processed"]
                .iter()
                .any(|words| text.contains(words))
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
    /// The delay is the computed one, or the server's `retry_after` if that is longer.
    pub(crate) fn next(&mut self, retry_after: Option<Duration>) -> Option<Duration> {
        if self.attempts >= self.max_attempts {
            return None;
        }
        let delay = Self::delay(self.attempts).max(retry_after.unwrap_or_default());
        self.attempts += 1;
        Some(delay)
    }

    /// Returns the delay before a retry of a call for this reason.
    pub(crate) fn delay_for(reason: Reason, attempts: u32) -> Duration {
        let shortest = match reason {
            Reason::InProgress => IN_PROGRESS_DELAY,
            Reason::Failure | Reason::Throttle => Duration::ZERO,
        };
        Self::delay(attempts.min(LAST_GROWTH)).max(shortest)
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

/// Parses `Retry-After`: a number of seconds, which may have a fraction, or a date (RFC 9110,
/// section 10.2.3).
///
/// A date is compared with the `Date` of the same response, so that a wrong clock of this machine
/// changes nothing; `now` counts only without a `Date`. 0 and a date in the past name no delay. Of
/// several values, the longest counts. The result is at most 1 day.
pub(crate) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let date = |value: &str| httpdate::parse_http_date(value).ok();
    let sent_at = headers.get(DATE).and_then(|value| value.to_str().ok());
    let sent_at = sent_at.and_then(|value| date(value.trim())).unwrap_or(now);
    let waits = headers.get_all(RETRY_AFTER).iter().filter_map(|value| {
        let value = value.to_str().ok()?.trim();
        seconds(value).or_else(|| date(value)?.duration_since(sent_at).ok())
    });
    waits
        .max()
        .filter(|wait| !wait.is_zero())
        .map(|wait| wait.min(MAX_RETRY_AFTER))
}

/// Parses digits with an optional fraction, capped at [`MAX_RETRY_AFTER`].
fn seconds(value: &str) -> Option<Duration> {
    let (whole, fraction) = value.split_once('.').unwrap_or((value, "0"));
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !is_number(whole) || !is_number(fraction) {
        return None;
    }
    let seconds: f64 = value.parse().ok()?;
    Some(Duration::from_secs_f64(
        seconds.min(MAX_RETRY_AFTER.as_secs_f64()),
    ))
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
        while budget.pay(Reason::Failure).is_some() {
            paid += 1;
        }
        assert_eq!(paid, BUDGET / FAILURE_COST);
        assert!(!budget.allows(Reason::Failure) && budget.allows(Reason::Throttle));
        assert_eq!(budget.pay(Reason::Throttle), Some(THROTTLE_COST));
        (0..FAILURE_COST).for_each(|_| budget.refund(0));
        assert_eq!(budget.pay(Reason::Failure), Some(FAILURE_COST));
        budget.refund(2 * FAILURE_COST);
        assert!(budget.pay(Reason::Failure).is_some() && budget.pay(Reason::Failure).is_some());
        (0..2 * BUDGET).for_each(|_| budget.refund(3));
        assert_eq!(budget.left.load(Ordering::Relaxed), BUDGET);
    }

    #[test]
    fn attempts_are_limited_and_retry_after_is_a_lower_bound() {
        let mut backoff = Backoff::new(3);
        let retry_after = Duration::from_secs(7);
        assert_eq!(backoff.next(Some(retry_after)), Some(retry_after));
        assert!(
            backoff
                .next(None)
                .is_some_and(|delay| delay <= 2 * FIRST_DELAY)
        );
        assert_eq!(backoff.next(Some(retry_after)), None);
        let after_zero = (0..20).filter_map(|_| Backoff::new(9).next(Some(Duration::ZERO)));
        assert!(after_zero.max() > Some(Duration::ZERO));
    }

    #[test]
    fn delays_grow_to_a_bound_and_are_random() {
        for attempt in 1..40 {
            let bound = FIRST_DELAY * 2_u32.pow((attempt - 1).min(16));
            assert!(Backoff::delay(attempt) <= bound.min(MAX_DELAY));
        }
        for attempt in 4..40 {
            let delay = Backoff::delay_for(Reason::Failure, attempt);
            assert!(delay <= Duration::from_secs(2));
            assert!(Backoff::delay_for(Reason::InProgress, attempt) >= IN_PROGRESS_DELAY);
        }
        let delays: std::collections::HashSet<_> = (0..10).map(|_| Backoff::delay(8)).collect();
        assert!(delays.len() > 1);
    }

    #[test]
    fn retry_after_accepts_seconds_and_dates_only() {
        let now = httpdate::parse_http_date("Sun, 22 Nov 2026 06:00:00 GMT").unwrap();
        for (value, expected) in [
            ("0", None),
            ("0.0", None),
            (" 120 ", Some(120_000)),
            ("1.5", Some(1_500)),
            ("0.25", Some(250)),
            ("007", Some(7_000)),
            ("Sun, 22 Nov 2026 06:00:30 GMT", Some(30_000)),
            ("Sunday, 22-Nov-26 06:00:30 GMT", Some(30_000)),
            ("Sun Nov 22 06:00:30 2026", Some(30_000)),
            ("Sun, 22 Nov 2026 05:00:00 GMT", None),
            ("Sat, 22 Nov 2036 05:00:00 GMT", Some(86_400_000)),
            ("-1", None),
            ("-1.5", None),
            ("+5", None),
            ("1.", None),
            (".5", None),
            ("1.2.3", None),
            ("1,5", None),
            ("1e3", None),
            ("inf", None),
            ("NaN", None),
            ("5 s", None),
            ("soon", None),
            ("", None),
            ("18446744073709551615", Some(86_400_000)),
            ("99999999999999999999999999.9", Some(86_400_000)),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, value.parse().unwrap());
            let expected = expected.map(Duration::from_millis);
            assert_eq!(retry_after(&headers, now), expected, "{value}");
        }
    }

    #[test]
    fn a_retry_after_date_is_compared_with_the_date_of_the_response() {
        let server = httpdate::parse_http_date("Sun, 22 Nov 2026 06:00:00 GMT").unwrap();
        let until = |seconds| httpdate::fmt_http_date(server + Duration::from_secs(seconds));
        for skew in [0, 1, 180, 86_400 * 365] {
            let skew = Duration::from_secs(skew);
            for now in [server - skew, server + skew] {
                let mut headers = HeaderMap::new();
                headers.insert(DATE, httpdate::fmt_http_date(server).parse().unwrap());
                headers.insert(RETRY_AFTER, until(30).parse().unwrap());
                assert_eq!(retry_after(&headers, now), Some(Duration::from_secs(30)));
                // The longest of several values counts, and those that cannot be read do not.
                headers.append(RETRY_AFTER, "40.5".parse().unwrap());
                headers.append(RETRY_AFTER, "soon".parse().unwrap());
                let longest = Some(Duration::from_millis(40_500));
                assert_eq!(retry_after(&headers, now), longest);
            }
        }
        for date in ["", "yesterday"] {
            let mut headers = HeaderMap::new();
            headers.insert(DATE, date.parse().unwrap());
            headers.insert(RETRY_AFTER, until(30).parse().unwrap());
            let now = server + Duration::from_secs(10);
            assert_eq!(retry_after(&headers, now), Some(Duration::from_secs(20)));
        }
    }

    #[test]
    fn only_a_409_about_an_idempotency_key_in_use_is_retryable() {
        for (body, in_progress) in [
            (r#"{"error":"request_in_progress"}"#, true),
            (r#"{"errors":[{"code":"REQUEST_IN_PROGRESS"}]}"#, true),
            (r#"{"error":{"code":"idempotency_key_in_use"}}"#, true),
            (
                r#"{"title":"A request is outstanding for this Idempotency-Key"}"#,
                true,
            ),
            (
                r#"{"error":"Idempotency-Key was used with another body"}"#,
                false,
            ),
            (r#"{"error":"the order is in progress"}"#, false),
            (r#"{"error":"email is in use"}"#, false),
            ("", false),
            ("<html>Conflict</html>", false),
        ] {
            let reason = refusal_reason(StatusCode::CONFLICT, body.as_bytes());
            assert_eq!(reason, in_progress.then_some(Reason::InProgress), "{body}");
            assert_eq!(refusal_reason(StatusCode::OK, body.as_bytes()), None);
        }
    }
}
