//! The way of a call: its token, its turn, its attempts.

pub(crate) mod body;
pub(crate) mod context;
pub(crate) mod outcome;
pub(crate) mod prepare;
pub(crate) mod response;
mod span;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::HeaderName;
use reqwest::{Method, Request, Response, StatusCode, Url};
use tokio::sync::SemaphorePermit;
use tokio::time::{Instant, Sleep, sleep, sleep_until, timeout_at};

use self::body::{before, read_body};
use self::outcome::{Ending, Failure, Outcome, Unreadable};
use self::span::CallSpan;
use crate::auth::TokenSet;
use crate::call::context::{Context, Credentials, authorize};
use crate::error::{Trace, missing_scopes};
use crate::operations::Operation;
use crate::transport::CallOptions;
use crate::transport::Turn;
use crate::transport::retry::{self, Backoff, Reason, retry_after};
use crate::transport::{CallReport, Calls};

/// The header that makes a POST repeatable.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// After so long a wait for a place, a turn in the limit is not worth what it
/// was: the limit counts when a request leaves.
const LATE: Duration = Duration::from_millis(500);

/// How long the body of a refusal is waited for.
const REFUSAL: Duration = Duration::from_secs(2);

/// One call, from its start to its end.
pub(crate) struct Call<'c> {
    http: &'c reqwest::Client,
    calls: &'c Calls,
    credentials: &'c Credentials,
    options: &'c CallOptions,
    operation: Option<&'static Operation>,
    /// What the next attempt sends; none where the body was read once and is
    /// gone.
    request: Option<Request>,
    /// Where it went, if there is no other.
    sent_to: Option<Url>,
    begun: Instant,
    deadline: Instant,
    /// Whether the answer is read here, in the time of its attempt.
    whole: bool,
    trace: Trace,
}

/// What came of sending a request.
enum Sent {
    /// An answer, with its body where that was read.
    Answer(Response, Option<Result<Bytes, Unreadable>>),
    Nothing {
        error: reqwest::Error,
        /// Whether the request never left this machine.
        unsent: bool,
    },
    /// None in the time of an attempt that is not the last.
    TimedOut,
}

/// What an attempt is made with.
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
        let begun = Instant::now();
        let authenticated = operation.is_none_or(|operation| operation.authenticated);
        Self {
            http: &context.http,
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
            begun,
            deadline: begun + context.options.whole_timeout(),
            whole: true,
            trace: Trace::default(),
        }
    }

    /// The same call, over by then.
    pub(crate) fn until(mut self, deadline: Instant) -> Self {
        self.deadline = deadline;
        self
    }

    /// Makes the call; the answer is read in the time of its attempt.
    pub(crate) async fn make(&mut self) -> Ending {
        let span = CallSpan::new(self.operation, self.request.as_ref());
        let sent = {
            // Kept in place: what an attempt needs is large to move around.
            let attempts = std::pin::pin!(self.attempts());
            span.around(attempts).await
        };
        let outcome = match sent {
            Ok(Sent::Answer(response, body)) => Outcome::Answered(response, body),
            Ok(Sent::Nothing { error, .. }) => Outcome::Failed(Failure::Transport(error)),
            Ok(Sent::TimedOut) => Outcome::Failed(Failure::TimedOut),
            Err(failure) => Outcome::Failed(failure),
        };
        let ending = Ending {
            trace: std::mem::take(&mut self.trace),
            outcome,
        };
        self.calls.tell(|| CallReport {
            operation_id: self.operation_id(),
            status: ending.response().map(Response::status),
            attempts: ending.trace.attempts,
            elapsed: self.begun.elapsed(),
        });
        span.end(&ending);
        ending
    }

    /// Makes the call, whose answer the caller reads as it arrives: then only
    /// its beginning has to come in the time of an attempt.
    pub(crate) async fn make_unread(&mut self) -> Ending {
        self.whole = false;
        self.make().await
    }

    async fn attempts(&mut self) -> Result<Sent, Failure> {
        if let Some(request) = &mut self.request {
            self.trace.repeatable = retry::is_idempotent(request.method());
            if request.method() == Method::POST
                && let own = request.headers().get(&IDEMPOTENCY_KEY)
                && let Some(key) = self.options.key_of_a_call(own)
            {
                let key = key.map_err(Failure::Invalid)?;
                request.headers_mut().insert(IDEMPOTENCY_KEY, key);
                self.trace.repeatable = true;
            }
        }
        // Whether the request was replayed, with a token issued for that.
        let mut replayed_with_new = None;
        loop {
            let (bearer, sent) = self.attempt().await?;
            if let (Bearer::User(tokens), Credentials::User(session)) = (&bearer, self.credentials)
                && sent.status() == Some(StatusCode::UNAUTHORIZED)
                && !session.is_refusing(self.operation_id(), tokens.generation)
            {
                if let Some(new) = replayed_with_new {
                    if new {
                        session.note_refusing(self.operation_id(), tokens.generation);
                    }
                    return Ok(sent);
                }
                // The token may have died since: of a refresh elsewhere, or of
                // a revocation. Whoever has a newer one by now shares it.
                let asked_at = self.calls.clock.now();
                let renewing = timeout_at(self.deadline, session.renew(tokens.generation));
                let renewed = Box::pin(renewing).await;
                let renewed = renewed.map_err(|_| Failure::Late("a new token came"))?;
                let renewed = renewed.map_err(Failure::Auth)?;
                replayed_with_new = Some(renewed.issued_at >= asked_at);
                if self.request.is_none() {
                    self.trace.unrepeatable = true;
                    return Ok(sent);
                }
                continue;
            }
            self.note_scopes(&bearer, &sent);
            match self.pause_before_the_next(&sent) {
                Some(pause) => {
                    span::note_retry(sent.status(), pause);
                    drop(sent);
                    sleep(pause).await;
                }
                None => return Ok(sent),
            }
        }
    }

    /// One attempt: its token, its turn, and what came of it.
    async fn attempt(&mut self) -> Result<(Bearer<'c>, Sent), Failure> {
        let (bearer, _permit) = self.admitted().await?;
        let now = Instant::now();
        if now >= self.deadline {
            return Err(Failure::Late("its turn came"));
        }
        let under_way = self.start(&bearer, now)?;
        self.trace.attempts += 1;
        let others = self.request.is_some()
            && self.trace.repeatable
            && self.trace.attempts < self.options.number_of_attempts();
        let until = if others {
            now.checked_add(self.options.timeout_of_attempts())
                .map_or(self.deadline, |until| until.min(self.deadline))
        } else {
            self.deadline
        };
        let sent = self.answer_to(under_way, until).await;
        self.trace.may_have_arrived |= !sent.never_left();
        Ok((bearer, sent))
    }

    /// Sends the request, and keeps another for the next attempt unless its
    /// body is one that is read once.
    fn start(
        &mut self,
        bearer: &Bearer<'_>,
        now: Instant,
    ) -> Result<impl Future<Output = reqwest::Result<Response>> + use<'c>, Failure> {
        const NO_REQUEST: Failure = Failure::Invalid("the request was sent already");
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
        if !self.whole {
            // For the body, which is read later.
            *request.timeout_mut() = Some(self.deadline - now);
        }
        Ok(self.http.execute(request))
    }

    /// What came of a request that is under way.
    async fn answer_to(
        &self,
        under_way: impl Future<Output = reqwest::Result<Response>>,
        until: Instant,
    ) -> Sent {
        // One for the head and the body.
        let mut timer = std::pin::pin!(sleep_until(until));
        match before(timer.as_mut(), under_way).await {
            None => Sent::TimedOut,
            Some(Err(error)) => Sent::Nothing {
                // A client of the caller's may have followed a redirect: then
                // something has left.
                unsent: error.is_connect() && error.url().is_none_or(|at| self.was_sent_to(at)),
                // The address may carry health data in its query.
                error: error.without_url(),
            },
            Some(Ok(response)) => {
                // At once, for others are about to send.
                if retry::reason_of(response.status()) == Some(Reason::Throttle) {
                    self.calls.limiter.throttled(self.asked_to_wait(&response));
                }
                if self.whole {
                    read(response, timer).await
                } else {
                    Sent::Answer(response, None)
                }
            }
        }
    }

    /// How long a refusal asks to wait.
    fn asked_to_wait(&self, response: &Response) -> Option<Duration> {
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

    /// Waits for a token, a turn in the limit, and a place among the requests
    /// that are under way.
    async fn admitted(&mut self) -> Result<(Bearer<'c>, SemaphorePermit<'c>), Failure> {
        loop {
            // First, so that those who wait for a token take nobody's turn.
            let mut bearer = Some(self.bearer().await?);
            if self.turn().await? == Turn::Waited {
                bearer = None;
            }
            let permit = match self.calls.in_flight.try_acquire() {
                Ok(permit) => permit,
                Err(_) => {
                    bearer = None;
                    let asked = Instant::now();
                    let acquiring = timeout_at(self.deadline, self.calls.in_flight.acquire());
                    let permit = Box::pin(acquiring).await;
                    let permit = permit.map_err(|_| Failure::Late("its turn came"))?;
                    if asked.elapsed() > LATE {
                        // What was counted then goes only now.
                        self.turn().await?;
                    }
                    permit.map_err(|_| Failure::Late("its turn came"))?
                }
            };
            // Whoever must wait for a token now lets others go first.
            if let Some(bearer) = bearer.or_else(|| self.bearer_at_hand()) {
                return Ok((bearer, permit));
            }
        }
    }

    async fn turn(&mut self) -> Result<Turn, Failure> {
        let lane = match self.credentials {
            Credentials::User(session) => session.user(),
            _ => "",
        };
        let turn = self.calls.limiter.turn(lane, Some(self.deadline)).await;
        turn.map_err(|busy| {
            self.trace.retry_after = Some(busy.wait);
            Failure::Busy
        })
    }

    async fn bearer(&self) -> Result<Bearer<'c>, Failure> {
        if let Some(bearer) = self.bearer_at_hand() {
            return Ok(bearer);
        }
        let Credentials::User(session) = self.credentials else {
            return Err(Failure::Invalid("no access token, give the client one"));
        };
        let tokens = Box::pin(timeout_at(self.deadline, session.tokens())).await;
        let tokens = tokens.map_err(|_| Failure::Late("a token came"))?;
        tokens.map(Bearer::User).map_err(Failure::Auth)
    }

    fn bearer_at_hand(&self) -> Option<Bearer<'c>> {
        match self.credentials {
            Credentials::NotNeeded => Some(Bearer::None),
            Credentials::Missing => None,
            Credentials::Fixed(token) => Some(Bearer::Fixed(token)),
            Credentials::User(session) => session.at_hand().ok().map(Bearer::User),
        }
    }

    fn operation_id(&self) -> &'static str {
        self.operation.map_or("", |operation| operation.id)
    }

    /// How long to wait before the next attempt, if there is to be one; paid
    /// for when this says so.
    fn pause_before_the_next(&mut self, sent: &Sent) -> Option<Duration> {
        let asked = match sent {
            Sent::Answer(response, _) => self.asked_to_wait(response),
            Sent::Nothing { .. } | Sent::TimedOut => None,
        };
        self.trace.retry_after = asked;
        let reason = match sent {
            // A refusal stays a refusal though its body breaks off.
            Sent::Answer(response, Some(Err(Unreadable::Broken(..) | Unreadable::Late(_))))
                if response.status().is_success() =>
            {
                Reason::Failure
            }
            Sent::Answer(response, _) => match retry::reason_of(response.status()) {
                Some(reason) => reason,
                None => {
                    if response.status().is_success() {
                        self.calls.budget.earn();
                    }
                    return None;
                }
            },
            Sent::Nothing { .. } | Sent::TimedOut => Reason::Failure,
        };
        if self.request.is_none()
            || !(self.trace.repeatable || sent.never_left())
            || self.trace.attempts >= self.options.number_of_attempts()
        {
            return None;
        }
        // A connection that the server closed while it was idle tells nothing
        // of the server: the next attempt goes over a new one.
        let stale = self.trace.attempts == 1 && sent.is_stale_connection();
        let pause = if stale {
            Duration::ZERO
        } else {
            asked.unwrap_or_else(|| Backoff::delay(self.trace.attempts))
        };
        let in_time = Instant::now() + pause < self.deadline;
        (in_time && (stale || self.calls.budget.pay(reason))).then_some(pause)
    }

    fn note_scopes(&mut self, bearer: &Bearer<'_>, sent: &Sent) {
        if let (Bearer::User(tokens), Some(operation), Some(StatusCode::FORBIDDEN)) =
            (bearer, self.operation, sent.status())
        {
            self.trace.missing_scopes = missing_scopes(operation.scopes, &tokens.scopes);
        }
    }
}

impl Sent {
    fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Answer(response, _) => Some(response.status()),
            Self::Nothing { .. } | Self::TimedOut => None,
        }
    }

    fn never_left(&self) -> bool {
        matches!(self, Self::Nothing { unsent: true, .. })
    }

    /// Whether the connection ended before a byte of the answer.
    fn is_stale_connection(&self) -> bool {
        let Self::Nothing { error, .. } = self else {
            return false;
        };
        let mut source = std::error::Error::source(error);
        while let Some(cause) = source {
            if let Some(cause) = cause.downcast_ref::<hyper::Error>()
                && (cause.is_incomplete_message() || cause.is_canceled())
            {
                return true;
            }
            if let Some(cause) = cause.downcast_ref::<std::io::Error>() {
                use std::io::ErrorKind::{BrokenPipe, ConnectionReset};
                return matches!(cause.kind(), ConnectionReset | BrokenPipe);
            }
            source = cause.source();
        }
        false
    }
}

/// Reads an answer in the time of its attempt, so that one that breaks off can
/// be asked for again.
async fn read(mut response: Response, mut timer: Pin<&mut Sleep>) -> Sent {
    if !response.status().is_success() {
        // What to do about a refusal is known from its head.
        let until = timer.deadline().min(Instant::now() + REFUSAL);
        timer.as_mut().reset(until);
    }
    let body = read_body(&mut response, Some(timer)).await;
    Sent::Answer(response, Some(body))
}
