//! The steps of a call: access token, rate-limit permit, attempts, response.

mod attempt;
pub(crate) mod body;
pub(crate) mod context;
pub(crate) mod decode;
pub(crate) mod outcome;
pub(crate) mod prepare;
pub(crate) mod response;
mod span;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName};
use reqwest::{Method, Request, Response, StatusCode, Url};
use serde::de::DeserializeOwned;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use self::attempt::{Attempt, read, was_canceled};
use self::body::run_until;
use self::outcome::{Ending, Failure, Outcome};
use self::span::CallSpan;
use crate::auth::{Session, TokenSet};
use crate::call::context::{Context, Credentials, authorize};
use crate::error::{Error, Trace, missing_scopes};
use crate::operations::Operation;
use crate::transport::CallOptions;
use crate::transport::retry::{self, Backoff, Reason, retry_after};
use crate::transport::{CallOutcome, CallReport, Calls, HttpPools, PoolInUse};
use crate::transport::{NoPermit, Permit, Waits};

/// The header that makes a POST idempotent.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The number of times that a call renews its token after a 401.
///
/// The first renewal may return a token of another process, which may be as invalid as the first
/// one.
const MAX_RENEWALS: u32 = 2;

const RATE_LIMITER: Failure = Failure::WaitTimedOut("the rate limiter");
const CONCURRENCY_LIMIT: Failure = Failure::WaitTimedOut("the concurrency limit");
const ACCESS_TOKEN: Failure =
    Failure::WaitTimedOut("an access token (token store or token refresh)");
const TOKEN_REFRESH: Failure = Failure::WaitTimedOut("a token refresh");

/// A call, from its start to its result.
pub(crate) struct Call<'c> {
    http: &'c HttpPools,
    /// The connection pool of the last attempt.
    pool: Option<PoolInUse>,
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

/// A retry that is going to be made.
struct Retry {
    delay: Duration,
    /// What the retry budget is charged for, or `None` if the retry costs nothing.
    reason: Option<Reason>,
}

/// The access token of an attempt.
enum Bearer<'c> {
    None,
    Fixed(&'c crate::auth::AccessToken),
    User(Arc<TokenSet>),
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
        let ending = self.make().await;
        self.end_decoded(response::read_json(self.operation_id(), ending).await)
    }

    /// Makes the call and decodes the response, which may be empty.
    pub(crate) async fn any_json<T: DeserializeOwned>(
        &mut self,
    ) -> Result<response::Response<T>, Error> {
        let ending = self.make().await;
        self.end_decoded(response::read_any_json(self.operation_id(), ending).await)
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
        self.end(response::read_bytes(self.operation_id(), ending).await)
    }

    fn end_decoded<T>(
        &mut self,
        read: Result<response::Response<T>, Error>,
    ) -> Result<response::Response<T>, Error> {
        self.issues = read.as_ref().map_or(0, |read| read.issues().len());
        self.end(read)
    }

    /// Reports the call with the outcome of reading its response, and ends its span.
    pub(crate) fn end<T>(&mut self, result: Result<T, Error>) -> Result<T, Error> {
        let outcome = result.as_ref().err().map(Error::outcome);
        let outcome = outcome.unwrap_or(CallOutcome::Ok);
        if let Some(span) = self.span.take() {
            span.end(outcome);
        }
        self.report(outcome);
        result
    }

    /// Makes the call and reads the body of the response within the attempt. [`Call::end`] must
    /// follow.
    async fn make(&mut self) -> Ending {
        self.unreported = true;
        let span = CallSpan::new(self.operation, self.request.as_ref());
        let attempt = {
            // Pinned here, because the future is too large to be moved cheaply.
            let attempts = std::pin::pin!(self.attempts());
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
        self.make().await
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

    /// Makes attempts until one succeeds or cannot be retried.
    async fn attempts(&mut self) -> Result<Attempt, Failure> {
        if let Some(request) = &mut self.request {
            self.trace.idempotent = retry::is_idempotent(request.method());
            if request.method() == Method::POST
                && let own = request.headers().get(&IDEMPOTENCY_KEY)
                && let Some(key) = self.options.key_of_a_call(own)
            {
                let key = key.map_err(Failure::Invalid)?;
                request.headers_mut().insert(IDEMPOTENCY_KEY, key);
                self.trace.idempotent = true;
            }
        }
        // After a renewal: whether this process requested the token after the 401.
        let mut is_new = false;
        let mut renewals = 0;
        // The attempt that is retried, if that costs something.
        let mut retried = None;
        loop {
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
            drop(permit);
            if let (Bearer::User(tokens), Credentials::User(session)) = (&bearer, self.credentials)
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
            let Some(Retry { delay, reason }) = self.next_retry(&attempt) else {
                return Ok(attempt);
            };
            span::log_retry(attempt.status(), delay);
            sleep(delay).await;
            retried = reason.map(|reason| (attempt, reason));
        }
    }

    /// Replaces the tokens that an operation refused, and returns whether this process requested
    /// the new ones after that.
    ///
    /// Another process may have refreshed the tokens, or the vendor may have revoked them.
    async fn renew(&self, session: &Arc<Session>, refused: u64) -> Result<bool, Failure> {
        let requested_at = self.calls.clock.now();
        let renewal = timeout_at(self.deadline, session.renew(refused));
        let renewed = Box::pin(renewal).await.map_err(|_| TOKEN_REFRESH)?;
        let renewed = renewed.map_err(Failure::Auth)?;
        let is_new = session.has_issued(renewed.generation) && renewed.issued_at >= requested_at;
        if is_new {
            session.note_issued_after_401(renewed.generation);
        }
        Ok(is_new)
    }

    /// Charges the retry budget, and returns `false` if it allows no retry before the deadline.
    async fn pay_for_retry(&mut self, reason: Reason) -> bool {
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
    async fn await_retry_budget(&self, reason: Reason) -> bool {
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
        if let Some(pool) = &self.pool {
            if attempt.timed_out() {
                self.http.retire(pool);
            } else if attempt.status().is_some() {
                pool.responded();
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

    /// Waits for an access token and a permit.
    async fn admit(&mut self) -> Result<(Bearer<'c>, Permit<'c>), Failure> {
        loop {
            // The token comes first, so that a call that waits for a token holds no permit.
            let bearer = if let Some(bearer) = self.cached_bearer() {
                bearer
            } else {
                self.start_token_wait();
                let bearer = self.bearer().await;
                self.end_token_wait();
                bearer?
            };
            let (calls, user) = (self.calls, self.user());
            let permit = calls
                .limiter
                .acquire_timed(user, self.deadline, &mut self.waits);
            let permit = permit.await;
            let permit = permit.map_err(|reason| match reason {
                NoPermit::RateLimit(wait) => {
                    self.trace.retry_after = Some(wait);
                    Failure::NoPermit
                }
                NoPermit::Concurrency => CONCURRENCY_LIMIT,
                NoPermit::Closed => Failure::Invalid("the client was shut down"),
            })?;
            if !permit.waited {
                return Ok((bearer, permit));
            }
            let Credentials::User(session) = self.credentials else {
                return Ok((bearer, permit));
            };
            // The token may have expired during the wait. Then the call starts over. A comparison
            // with the store is short, and costs no second permit.
            self.start_token_wait();
            let tokens = Box::pin(session.cached_or_checked()).await;
            self.end_token_wait();
            if let Some(tokens) = tokens {
                return Ok((Bearer::User(tokens), permit));
            }
        }
    }

    /// Returns the id of the user whose token the call uses, empty for the app's own calls.
    fn user(&self) -> &'c str {
        match self.credentials {
            Credentials::User(session) => session.user().as_str(),
            _ => "",
        }
    }

    fn start_token_wait(&mut self) {
        self.token_wait_since = Some(Instant::now());
    }

    fn end_token_wait(&mut self) {
        let since = self.token_wait_since.take();
        self.token_wait += since.map_or(Duration::ZERO, |since| since.elapsed());
    }

    /// Waits for the access token of the user.
    async fn bearer(&self) -> Result<Bearer<'c>, Failure> {
        let Credentials::User(session) = self.credentials else {
            return Err(Failure::Invalid(
                "no access token; set one with `ClientBuilder::access_token`",
            ));
        };
        let tokens = Box::pin(timeout_at(self.deadline, session.tokens())).await;
        let tokens = tokens.map_err(|_| ACCESS_TOKEN)?;
        tokens.map(Bearer::User).map_err(Failure::Auth)
    }

    /// Returns the access token, if it is available without waiting.
    fn cached_bearer(&self) -> Option<Bearer<'c>> {
        match self.credentials {
            Credentials::NotNeeded => Some(Bearer::None),
            Credentials::Missing => None,
            Credentials::Fixed(token) => Some(Bearer::Fixed(token)),
            Credentials::User(session) => session.cached().ok().map(Bearer::User),
        }
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

    /// Returns the next retry, or `None` if the call is not retried.
    fn next_retry(&mut self, attempt: &Attempt) -> Option<Retry> {
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
                self.calls.retry_budget.refund(self.paid);
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
