//! Decides on retries, and pays for them.

use std::time::Duration;

use reqwest::header::HeaderName;
use reqwest::{Method, Request, StatusCode};
use tokio::time::{Instant, sleep};

use super::Call;
use super::attempt::Attempt;
use super::outcome::Failure;
use crate::transport::retry::{self, Backoff, Reason};

/// The header that makes a POST idempotent.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// A retry that is going to be made.
pub(super) struct Retry {
    pub(super) delay: Duration,
    /// What the retry budget is charged for, or `None` if the retry costs nothing.
    pub(super) reason: Option<Reason>,
}

impl Call<'_> {
    /// Records whether the request is idempotent, and adds the idempotency key of a POST.
    pub(super) fn note_idempotency(&mut self) -> Result<(), Failure> {
        let Some(request) = &mut self.request else {
            return Ok(());
        };
        self.trace.idempotent = retry::is_idempotent(request.method());
        if request.method() == Method::POST
            && let own = request.headers().get(&IDEMPOTENCY_KEY)
            && let Some(key) = self.options.key_of_a_call(own)
        {
            let key = key.map_err(Failure::Invalid)?;
            request.headers_mut().insert(IDEMPOTENCY_KEY, key);
            self.trace.idempotent = true;
        }
        Ok(())
    }

    /// Returns the next retry, or `None` if the call is not retried.
    pub(super) fn next_retry(&mut self, attempt: &Attempt) -> Option<Retry> {
        let requested = match attempt {
            Attempt::Response(response, _) => self.requested_delay(response),
            Attempt::NoResponse { .. } | Attempt::TimedOut => None,
        };
        self.trace.retry_after = requested;
        // A write that succeeded is not repeated to get its response.
        let is_done = attempt.is_empty_success() && !self.is_read();
        let Some(reason) = attempt.retry_reason().filter(|_| !is_done) else {
            // A body that is streamed is not complete yet, so that its call earns nothing.
            let earns = self.buffered || self.paid > 0;
            if earns && !attempt.status()?.is_server_error() {
                let paid = std::mem::take(&mut self.paid);
                self.calls.retry_budget.refund(paid);
            }
            return None;
        };
        let refused_unprocessed = self.options.retries_refused_writes()
            && (reason == Reason::Throttle
                || attempt.status() == Some(StatusCode::SERVICE_UNAVAILABLE)
                    && requested.is_some());
        if self.request.is_none()
            || !(self.trace.idempotent || attempt.is_unsent() || refused_unprocessed)
            || self.trace.attempts >= self.options.number_of_attempts()
        {
            return None;
        }
        // A closed idle connection is no sign of a failing server. The first retry after one is
        // made at once, over a new connection, and costs nothing.
        if self.trace.attempts == 1 && attempt.is_stale_connection() {
            let (delay, reason) = (Duration::ZERO, None);
            return (Instant::now() < self.deadline).then_some(Retry { delay, reason });
        }
        let delay = Backoff::delay_for(reason, self.trace.attempts);
        let delay = delay.max(requested.unwrap_or_default());
        let budget = &self.calls.retry_budget;
        let is_possible = Instant::now() + delay < self.deadline
            && (budget.allows(reason) || budget.is_refilled());
        let reason = Some(reason);
        is_possible.then_some(Retry { delay, reason })
    }

    fn is_read(&self) -> bool {
        let method = self.request.as_ref().map(Request::method);
        method.is_some_and(|method| [Method::GET, Method::HEAD].contains(method))
    }

    /// Charges the retry budget, and returns `false` if it allows no retry before the deadline.
    pub(super) async fn pay_for_retry(&mut self, reason: Reason) -> bool {
        loop {
            if let Some(cost) = self.calls.retry_budget.pay(reason) {
                self.paid = self.paid.saturating_add(cost);
                return true;
            }
            // Another call was faster. This one keeps its permit.
            if !self.await_retry_budget(reason).await {
                return false;
            }
        }
    }

    /// Waits while the retry budget is empty and other calls succeed, and returns whether the budget
    /// allows the retry before the deadline.
    pub(super) async fn await_retry_budget(&self, reason: Reason) -> bool {
        let budget = &self.calls.retry_budget;
        while !budget.allows(reason) {
            let delay = Backoff::delay(1);
            if !budget.is_refilled() || Instant::now() + delay >= self.deadline {
                return false;
            }
            sleep(delay).await;
        }
        true
    }
}
