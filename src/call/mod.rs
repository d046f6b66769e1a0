//! The steps of a call: access token, rate-limit permit, attempts, response.

mod admission;
mod attempt;
pub(crate) mod body;
pub(crate) mod context;
pub(crate) mod decode;
pub(crate) mod outcome;
pub(crate) mod prepare;
pub(crate) mod response;
mod retrying;
mod span;

use std::borrow::Cow;
use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::{Request, Response, StatusCode, Url};
use serde::de::DeserializeOwned;
use tokio::time::{Instant, sleep, sleep_until};

use self::admission::Bearer;
use self::attempt::{Attempt, read, was_canceled};
use self::body::run_until;
use self::outcome::{Ending, Failure, Outcome};
use self::retrying::Retry;
use self::span::CallSpan;
use crate::call::context::{Context, Credentials, authorize};
use crate::error::{Error, Trace, missing_scopes};
use crate::operations::Operation;
use crate::transport::CallOptions;
use crate::transport::retry::{self, Reason, retry_after};
use crate::transport::{CallOutcome, CallReport, Calls, HttpPools};
use crate::transport::{Permit, PoolInUse, Waits};

/// The number of times that a call renews its token after a 401.
///
/// The first renewal may return a token of another process, which may be as invalid as the first
/// one.
const MAX_RENEWALS: u32 = 2;

const RATE_LIMITER: Failure = Failure::WaitTimedOut("the rate limiter");

/// A call, from its start to its result.
pub(crate) struct Call<'c> {
    http: &'c HttpPools,
    /// The connection pool of the request in flight.
    pool: Option<PoolInUse<'c>>,
    calls: &'c Calls,
    credentials: &'c Credentials,
    options: &'c CallOptions,
    operation: Option<&'static Operation>,
    /// The request of the next attempt, or `None` if a streamed body was consumed.
    request: Option<Request>,
    /// The URL of the request that was sent, if there is no next request.
    sent_to: Option<Url>,
    started: Instant,
    deadline: Instant,
    /// Whether the body of a success is read within the attempt, and not streamed to the caller.
    buffered: bool,
    trace: Trace,
    /// The status of the final response.
    status: Option<StatusCode>,
    span: Option<CallSpan>,
    /// The permit of a request whose body is read after the attempts.
    permit: Option<Permit<'c>>,
    /// The number of issues of the decoded response.
    issues: usize,
    waits: Waits,
    token_wait: Duration,
    /// The start of the wait for an access token that lasts.
    token_wait_since: Option<Instant>,
    /// The cost of the retries so far, in units of the retry budget.
    paid: u32,
    /// Whether the call was started and is not reported yet.
    unreported: bool,
}

impl<'c> Call<'c> {
    pub(crate) fn new(
        context: &'c Context,
        operation: Option<&'static Operation>,
        request: Request,
    ) -> Self {
        let started = Instant::now();
        let authenticated = operation.is_none_or(|operation| operation.authenticated);
        Self {
            http: &context.http,
            pool: None,
            calls: &context.calls,
            credentials: if authenticated {
                &context.credentials
            } else {
                &Credentials::NotNeeded
            },
            options: &context.options,
            operation,
            request: Some(request),
            sent_to: None,
            started,
            deadline: started + context.options.whole_timeout(),
            buffered: true,
            trace: Trace::default(),
            status: None,
            span: None,
            permit: None,
            issues: 0,
            waits: Waits::default(),
            token_wait: Duration::ZERO,
            token_wait_since: None,
            paid: 0,
            unreported: false,
        }
    }

    /// Replaces the deadline of the call.
    pub(crate) fn with_deadline(mut self, deadline: Instant) -> Self {
        self.deadline = deadline;
        self
    }

    /// Continues with the attempts of an earlier call that made the same request.
    pub(crate) fn after_attempts(mut self, attempts: u32) -> Self {
        self.trace.attempts = attempts;
        self.trace.may_have_arrived = attempts > 0;
        self
    }

    /// Makes the call and decodes the response.
    pub(crate) async fn json<T: DeserializeOwned>(
        &mut self,
    ) -> Result<response::Response<T>, Error> {
        self.decoded(|_| {}).await
    }

    /// Makes the call and decodes the response, which may be empty.
    pub(crate) async fn any_json<T: DeserializeOwned>(
        &mut self,
    ) -> Result<response::Response<T>, Error> {
        self.decoded(response::fill_empty::<T>).await
    }

    /// Makes the call and decodes the response after `adapt` has changed it.
    async fn decoded<T: DeserializeOwned>(
        &mut self,
        adapt: fn(&mut Ending),
    ) -> Result<response::Response<T>, Error> {
        let mut failed = None;
        let read = loop {
            let mut ending = self.make(failed).await;
            adapt(&mut ending);
            match response::read_json::<T>(self.operation_id(), ending) {
                Ok(read) => break read,
                // Retried like any other incomplete response.
                Err(cut) => failed = Some(cut),
            }
        };
        self.issues = read.as_ref().map_or(0, |read| read.issues().len());
        self.watch_drift(&read);
        self.end(read)
    }

    /// Passes a response to the listener for drift, if there is one.
    fn watch_drift<T: DeserializeOwned>(&self, read: &Result<response::Response<T>, Error>) {
        let (Some(watch), Some(operation)) = (&self.calls.drift, self.operation) else {
            return;
        };
        match read {
            Ok(response) => watch.observe(operation.id, response.issues(), response.body()),
            Err(error) if error.is_decode() => {
                let body = error.body().unwrap_or_default();
                watch.observe(operation.id, &decode::issues::<T>(body), body);
            }
            Err(_) => {}
        }
    }

    /// Makes the call and ignores the body of the response.
    ///
    /// A failure to read it must not cause a retry, so it is not read.
    pub(crate) async fn nothing(&mut self) -> Result<response::Response<()>, Error> {
        let ending = self.make_streaming().await;
        self.end(response::read_nothing(self.operation_id(), ending).await)
    }

    /// Makes the call and leaves the body to be streamed by the caller.
    pub(crate) async fn bytes(
        &mut self,
    ) -> Result<response::Response<response::ByteStream>, Error> {
        let ending = self.make_streaming().await;
        let permit = self.permit.take();
        let slot = permit.and_then(|permit| permit.into_stream(&self.calls.limiter));
        self.end(response::read_bytes(self.operation_id(), ending, slot).await)
    }

    /// Reports the call with the outcome of reading its response, and ends its span.
    pub(crate) fn end<T>(&mut self, result: Result<T, Error>) -> Result<T, Error> {
        let failed = result.as_ref().err();
        if let Some(span) = self.span.take() {
            span.end(failed, self.user());
        }
        let outcome = failed.map_or(CallOutcome::Ok, Error::outcome);
        self.permit = None;
        self.report(outcome);
        result
    }

    /// Makes the call and reads the body of the response within the attempt. [`Call::end`] must
    /// follow.
    ///
    /// Continues after an ending that turned out to be incomplete.
    async fn make(&mut self, failed: Option<Box<Ending>>) -> Ending {
        self.unreported = true;
        let failed = failed.and_then(|ending| {
            self.trace = ending.trace;
            match ending.outcome {
                Outcome::Response(response, body) => Some(Attempt::Response(response, body)),
                Outcome::Failed(_) => None,
            }
        });
        let span = self.span.take();
        let span = span.unwrap_or_else(|| CallSpan::new(self.operation, self.request.as_ref()));
        let attempt = {
            // Pinned here, because the future is too large to be moved cheaply.
            let attempts = std::pin::pin!(self.attempts(failed));
            span.around(attempts).await
        };
        let outcome = match attempt {
            Ok(Attempt::Response(response, body)) => Outcome::Response(response, body),
            Ok(Attempt::NoResponse { error, .. }) => Outcome::Failed(Failure::Transport(error)),
            Ok(Attempt::TimedOut) => Outcome::Failed(Failure::TimedOut),
            Err(failure) => Outcome::Failed(failure),
        };
        let ending = Ending {
            trace: std::mem::take(&mut self.trace),
            outcome,
            strict: self.options.decodes_strictly(),
        };
        self.status = ending.response().map(Response::status);
        self.trace.attempts = ending.trace.attempts;
        span.respond(&ending);
        self.span = Some(span);
        ending
    }

    /// Makes the call and leaves the body of a success to be streamed by the caller. [`Call::end`]
    /// must follow.
    ///
    /// Only the headers must arrive within the timeout of an attempt.
    pub(crate) async fn make_streaming(&mut self) -> Ending {
        self.buffered = false;
        self.make(None).await
    }

    fn report(&mut self, outcome: CallOutcome) {
        self.unreported = false;
        self.end_token_wait();
        self.calls.report(|| CallReport {
            operation_id: self.operation_id(),
            status: self.status,
            attempts: self.trace.attempts,
            user: Some(self.user())
                .filter(|user| !user.is_empty())
                .map(String::from),
            elapsed: self.started.elapsed(),
            permit_wait: self.waits.permit,
            concurrency_wait: self.waits.slot,
            token_wait: self.token_wait,
            outcome,
            decode_issues: self.issues,
        });
    }

    /// Makes attempts until one succeeds or cannot be retried, after one that failed, if any.
    async fn attempts(&mut self, mut failed: Option<Attempt>) -> Result<Attempt, Failure> {
        if failed.is_none() {
            self.note_idempotency()?;
        }
        // After a renewal: whether this process requested the token after the 401.
        let (mut is_new, mut renewals) = (false, 0);
        // The attempt that is retried, if that costs something.
        let mut retried = None;
        loop {
            let attempt = if let Some(failed) = failed.take() {
                failed
            } else {
                if let Some((failed, reason)) = retried.take() {
                    if !self.await_retry_budget(reason).await {
                        return Ok(failed);
                    }
                    retried = Some((failed, reason));
                }
                let (bearer, permit) = self.admit().await?;
                // Paid as late as possible: a retry that waits does not use the budget of others.
                if let Some((failed, reason)) = retried.take()
                    && !self.pay_for_retry(reason).await
                {
                    return Ok(failed);
                }
                let attempt = self.attempt(&bearer).await?;
                // A body that is read later keeps its slot.
                let is_read_later = matches!(attempt, Attempt::Response(_, None));
                self.permit = Some(permit).filter(|_| is_read_later);
                if let (Bearer::User(tokens), Credentials::User(session)) =
                    (&bearer, self.credentials)
                    && let Some(status) = attempt.status()
                {
                    if status.is_success() {
                        session.note_accepted(|| self.refusing(), tokens.generation);
                    }
                    if status == StatusCode::UNAUTHORIZED && is_new {
                        session.note_refused(&self.refusing());
                    }
                    if status == StatusCode::UNAUTHORIZED
                        && !is_new
                        && renewals < MAX_RENEWALS
                        && session.may_refresh_after_401(&self.refusing(), tokens.generation)
                    {
                        renewals += 1;
                        self.start_token_wait();
                        let renewed = self.renew(session, tokens.generation).await;
                        self.end_token_wait();
                        is_new = renewed?;
                        if self.request.is_none() {
                            self.trace.body_not_replayable = true;
                            return Ok(attempt);
                        }
                        continue;
                    }
                }
                self.note_missing_scopes(&bearer, &attempt);
                attempt
            };
            let Some(Retry { delay, reason }) = self.next_retry(&attempt) else {
                return Ok(attempt);
            };
            span::log_retry(attempt.status(), delay);
            sleep(delay).await;
            retried = reason.map(|reason| (attempt, reason));
        }
    }

    /// Makes one attempt, whose token and permits were acquired.
    async fn attempt(&mut self, bearer: &Bearer<'c>) -> Result<Attempt, Failure> {
        let now = Instant::now();
        if now >= self.deadline {
            return Err(RATE_LIMITER);
        }
        let in_flight = self.start(bearer, now)?;
        self.trace.attempts += 1;
        let can_retry = self.request.is_some()
            && self.trace.idempotent
            && self.trace.attempts < self.options.number_of_attempts();
        let until = if can_retry {
            now.checked_add(self.options.timeout_of_attempts())
                .map_or(self.deadline, |until| until.min(self.deadline))
        } else {
            self.deadline
        };
        let attempt = self.await_response(in_flight, until).await;
        if let Some(pool) = self.pool.take() {
            if attempt.timed_out() {
                pool.timed_out();
            } else if attempt.status().is_some() {
                pool.responded();
            } else {
                pool.failed();
            }
        }
        self.trace.may_have_arrived |= !attempt.is_unsent();
        Ok(attempt)
    }

    /// Sends the request, and keeps a copy for the next attempt unless its body is a stream.
    fn start(
        &mut self,
        bearer: &Bearer<'_>,
        now: Instant,
    ) -> Result<impl Future<Output = reqwest::Result<Response>> + use<'c>, Failure> {
        const NO_REQUEST: Failure = Failure::Invalid("the request was already sent");
        let mut request = self.request.take().ok_or(NO_REQUEST)?;
        self.request = request.try_clone();
        if self.request.is_none() {
            self.sent_to = Some(request.url().clone());
        }
        match bearer {
            Bearer::User(tokens) => authorize(&mut request, &tokens.access_token)?,
            Bearer::Fixed(token) => authorize(&mut request, token)?,
            Bearer::None => {}
        }
        if !self.buffered {
            // Bounds the streamed body, which is read after the attempt.
            *request.timeout_mut() = Some(self.deadline - now);
        }
        let pool = self.pool.insert(self.http.current());
        Ok(pool.http().execute(request))
    }

    /// Waits for the response to an in-flight request.
    async fn await_response(
        &self,
        in_flight: impl Future<Output = reqwest::Result<Response>>,
        until: Instant,
    ) -> Attempt {
        // One timer for the headers and the body.
        let mut timer = std::pin::pin!(sleep_until(until));
        match run_until(timer.as_mut(), in_flight).await {
            None => Attempt::TimedOut,
            Some(Err(error)) => Attempt::NoResponse {
                // The caller's own HTTP client may have followed a redirect. Then the first
                // request was sent, although connecting to the second URL failed.
                unsent: (error.is_connect() || was_canceled(&error))
                    && error.url().is_none_or(|at| self.was_sent_to(at)),
                // The query of the URL may contain health data.
                error: error.without_url(),
            },
            Some(Ok(response)) => {
                // Before the body is read, because other calls are about to be sent.
                // A file host that was asked without a token says nothing about the API.
                if retry::retry_reason(response.status()) == Some(Reason::Throttle)
                    && !matches!(self.credentials, Credentials::NotNeeded)
                {
                    let delay = self.requested_delay(&response);
                    let for_all = concerns_all_users(response.headers());
                    self.calls.limiter.throttled(self.user(), delay, for_all);
                }
                if self.buffered || !response.status().is_success() {
                    read(response, timer, self.options.largest_response()).await
                } else {
                    Attempt::Response(response, None)
                }
            }
        }
    }

    /// Returns the `Retry-After` of an unsuccessful response.
    fn requested_delay(&self, response: &Response) -> Option<Duration> {
        if response.status().is_success() {
            None
        } else {
            retry_after(response.headers(), self.calls.clock.now())
        }
    }

    fn was_sent_to(&self, url: &Url) -> bool {
        let own = self.request.as_ref().map(Request::url);
        own.or(self.sent_to.as_ref()) == Some(url)
    }

    fn start_token_wait(&mut self) {
        self.token_wait_since = Some(Instant::now());
    }

    fn end_token_wait(&mut self) {
        let since = self.token_wait_since.take();
        self.token_wait += since.map_or(Duration::ZERO, |since| since.elapsed());
    }

    /// Returns the name under which a 401 of this call is remembered.
    fn refusing(&self) -> Cow<'static, str> {
        if let Some(operation) = self.operation {
            return operation.id.into();
        }
        let own = self.request.as_ref();
        let sent = own.map(Request::url).or(self.sent_to.as_ref());
        let method = own.map_or("", |request| request.method().as_str());
        format!("{method} {}", sent.map_or("", Url::path)).into()
    }

    fn operation_id(&self) -> &'static str {
        self.operation.map_or("", |operation| operation.id)
    }

    fn note_missing_scopes(&mut self, bearer: &Bearer<'_>, attempt: &Attempt) {
        // The vendor's guide says "Unauthorized" of a missing scope.
        const REFUSED: [Option<StatusCode>; 2] =
            [Some(StatusCode::FORBIDDEN), Some(StatusCode::UNAUTHORIZED)];
        if let (Bearer::User(tokens), Some(operation)) = (bearer, self.operation)
            && REFUSED.contains(&attempt.status())
        {
            self.trace.missing_scopes = missing_scopes(operation.scopes, &tokens.scopes);
        }
    }
}

/// Reports a call whose future was dropped.
impl Drop for Call<'_> {
    fn drop(&mut self) {
        if self.unreported {
            self.report(CallOutcome::Dropped);
        }
    }
}

/// Returns whether the headers of a 429 say that it concerns all users of the app.
fn concerns_all_users(headers: &HeaderMap) -> bool {
    let is = |name: &str, expected: &str| {
        let value = headers.get(name).and_then(|value| value.to_str().ok());
        value.is_some_and(|value| value.eq_ignore_ascii_case(expected))
    };
    is("x-ratelimit-global", "true") || is("x-ratelimit-scope", "global")
}
