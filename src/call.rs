//! The way of a call: its token, its turn, its attempts.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderName};
use reqwest::{Method, Request, Response, StatusCode};
use tokio::sync::SemaphorePermit;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::auth::TokenSet;
use crate::calls::{CallReport, Calls};
use crate::ending::{Ending, Failure, Outcome, Trace, Unreadable, missing_scopes};
use crate::hooks::{Context, Credentials, authorize};
use crate::operations::Operation;
use crate::options::CallOptions;
use crate::response::read_body;
use crate::retry::{self, Reason};
use crate::retry_after::retry_after;
use crate::span::{self, CallSpan};

/// The header that makes a POST repeatable.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// After so long a wait for a place, a turn in the limit is not worth what it
/// was: the limit counts when a request leaves.
const LATE: Duration = Duration::from_millis(500);

/// One call, from its start to its end.
pub(crate) struct Call<'c> {
    http: &'c reqwest::Client,
    calls: &'c Calls,
    credentials: &'c Credentials,
    options: &'c CallOptions,
    operation: Option<&'static Operation>,
    begun: Instant,
    deadline: Instant,
    trace: Trace,
}

/// What came of sending a request.
enum Sent {
    /// An answer, with its body where that was read.
    Answer(Response, Option<Result<Vec<u8>, Unreadable>>),
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
        http: &'c reqwest::Client,
        context: &'c Context,
        operation: Option<&'static Operation>,
    ) -> Self {
        let begun = Instant::now();
        let authenticated = operation.is_none_or(|operation| operation.authenticated);
        Self {
            http,
            calls: &context.calls,
            credentials: match authenticated {
                true => &context.credentials,
                false => &Credentials::NotNeeded,
            },
            options: &context.options,
            operation,
            begun,
            deadline: begun + context.options.whole_timeout(),
            trace: Trace::default(),
        }
    }

    /// The same call, over by then.
    pub(crate) fn until(mut self, deadline: Instant) -> Self {
        self.deadline = deadline;
        self
    }

    pub(crate) async fn make(mut self, request: Request) -> Response {
        let span = CallSpan::new(self.operation, &request);
        let sent = {
            // Kept in place: what an attempt needs is large to move around.
            let attempts = std::pin::pin!(self.attempts(request));
            span.around(attempts).await
        };
        let (response, outcome) = match sent {
            Ok(Sent::Answer(response, None)) => (Some(response), Outcome::Unread),
            Ok(Sent::Answer(response, Some(body))) => (Some(response), Outcome::Read(body)),
            Ok(Sent::Nothing { error, .. }) => (None, Outcome::Failed(Failure::Transport(error))),
            Ok(Sent::TimedOut) => (None, Outcome::Failed(Failure::Late("an answer came"))),
            Err(failure) => (None, Outcome::Failed(failure)),
        };
        self.calls.tell(&CallReport {
            operation_id: self.operation_id(),
            status: response.as_ref().map(Response::status),
            attempts: self.trace.attempts,
            elapsed: self.begun.elapsed(),
        });
        span.end(response.as_ref(), &outcome, &self.trace);
        let trace = self.trace;
        Ending { trace, outcome }.travel_on(response)
    }

    async fn attempts(&mut self, mut request: Request) -> Result<Sent, Failure> {
        let mut repeatable = retry::is_idempotent(request.method());
        if request.method() == Method::POST
            && let Some(key) = self.options.key_of_a_call()
        {
            let key = key.map_err(Failure::Invalid)?;
            request.headers_mut().insert(IDEMPOTENCY_KEY, key);
            repeatable = true;
        }
        self.trace.repeatable = repeatable;
        // Whether the request was replayed, with a token issued for that.
        let mut replayed_with_new = None;
        loop {
            // None for a body that is read once: such a request is sent once.
            let spare = request.try_clone();
            let (bearer, sent) = self.attempt(request, repeatable).await?;
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
                let renewed = timeout_at(self.deadline, session.renew(tokens.generation)).await;
                let renewed = renewed.map_err(|_| Failure::Late("a new token came"))?;
                let renewed = renewed.map_err(Failure::Auth)?;
                replayed_with_new = Some(renewed.issued_at >= asked_at);
                match spare {
                    Some(spare) => request = spare,
                    None => {
                        self.trace.unrepeatable = true;
                        return Ok(sent);
                    }
                }
                continue;
            }
            self.note_scopes(&bearer, &sent);
            let pause = self.pause_before_the_next(&sent, repeatable);
            match (spare, pause) {
                (Some(spare), Some(pause)) => {
                    span::note_retry(sent.status(), pause);
                    drop(sent);
                    sleep(pause).await;
                    request = spare;
                }
                _ => return Ok(sent),
            }
        }
    }

    /// One attempt: its token, its turn, and what came of it.
    async fn attempt(
        &mut self,
        mut request: Request,
        repeatable: bool,
    ) -> Result<(Bearer<'c>, Sent), Failure> {
        let (bearer, _permit) = self.admitted().await?;
        match &bearer {
            Bearer::User(tokens) => authorize(&mut request, &tokens.access_token)?,
            Bearer::Fixed(token) => authorize(&mut request, token)?,
            Bearer::None => {}
        }
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Failure::Late("its turn came"));
        }
        // For a body that is read later too.
        *request.timeout_mut() = Some(left);
        self.trace.attempts += 1;
        let others = repeatable && self.trace.attempts < self.options.number_of_attempts();
        let sending = send(self.http, request);
        let sent = match others {
            true => timeout(self.options.timeout_of_attempts(), sending)
                .await
                .unwrap_or(Sent::TimedOut),
            false => sending.await,
        };
        self.trace.may_have_arrived |= !sent.never_left();
        Ok((bearer, sent))
    }

    /// Waits for a token, a turn in the limit, and a place among the requests
    /// that are under way.
    async fn admitted(&mut self) -> Result<(Bearer<'c>, SemaphorePermit<'c>), Failure> {
        loop {
            // First, so that those who wait for a token take nobody's turn.
            self.bearer().await?;
            self.turn().await?;
            let asked = Instant::now();
            let permit = timeout_at(self.deadline, self.calls.in_flight.acquire()).await;
            let permit = permit.map_err(|_| Failure::Late("its turn came"))?;
            let permit = permit.map_err(|_| Failure::Late("its turn came"))?;
            if asked.elapsed() > LATE {
                // What was counted then goes only now.
                self.turn().await?;
            }
            // Whoever must wait for a token now lets others go first.
            if let Some(bearer) = self.bearer_at_hand() {
                return Ok((bearer, permit));
            }
        }
    }

    async fn turn(&mut self) -> Result<(), Failure> {
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

    async fn bearer(&self) -> Result<(), Failure> {
        match self.credentials {
            Credentials::NotNeeded | Credentials::Fixed(_) => Ok(()),
            Credentials::Missing => Err(Failure::Invalid("no access token, give the client one")),
            Credentials::User(session) => {
                let tokens = timeout_at(self.deadline, session.tokens()).await;
                let tokens = tokens.map_err(|_| Failure::Late("a token came"))?;
                tokens.map(|_| ()).map_err(Failure::Auth)
            }
        }
    }

    fn bearer_at_hand(&self) -> Option<Bearer<'c>> {
        match self.credentials {
            Credentials::NotNeeded | Credentials::Missing => Some(Bearer::None),
            Credentials::Fixed(token) => Some(Bearer::Fixed(token)),
            Credentials::User(session) => session.at_hand().ok().map(Bearer::User),
        }
    }

    fn operation_id(&self) -> &'static str {
        self.operation.map_or("", |operation| operation.id)
    }

    /// How long to wait before the next attempt, if there is to be one; paid
    /// for when this says so.
    fn pause_before_the_next(&mut self, sent: &Sent, repeatable: bool) -> Option<Duration> {
        let asked = sent.asked_to_wait(self.calls);
        self.trace.retry_after = asked;
        let reason = match sent {
            Sent::Answer(_, Some(Err(Unreadable::Broken(..)))) => Reason::Failure,
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
        if reason == Reason::Throttle {
            self.calls.limiter.throttled(asked);
        }
        if !(repeatable || sent.never_left())
            || self.trace.attempts >= self.options.number_of_attempts()
        {
            return None;
        }
        // A connection that the server closed while it was idle tells nothing
        // of the server: the next attempt goes over a new one.
        let stale = self.trace.attempts == 1 && sent.is_stale_connection();
        let pause = match stale {
            true => Duration::ZERO,
            false => asked.unwrap_or_else(|| retry::pause(self.trace.attempts)),
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

    fn asked_to_wait(&self, calls: &Calls) -> Option<Duration> {
        match self {
            Self::Answer(response, _) if !response.status().is_success() => {
                retry_after(response.headers(), calls.clock.now())
            }
            _ => None,
        }
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

async fn send(http: &reqwest::Client, request: Request) -> Sent {
    let url = request.url().clone();
    match http.execute(request).await {
        Err(error) => Sent::Nothing {
            // A client of the caller's may have followed a redirect: then
            // something has left.
            unsent: error.is_connect() && error.url().is_none_or(|failed| *failed == url),
            // The address may carry health data in its query.
            error: error.without_url(),
        },
        // JSON is read here, so that an answer that breaks off can be asked
        // for again; any other body is the caller's to read as it comes.
        Ok(mut response) if response.status().is_success() && is_json(&response) => {
            let body = read_body(&mut response).await;
            Sent::Answer(response, Some(body))
        }
        Ok(response) => Sent::Answer(response, None),
    }
}

fn is_json(response: &Response) -> bool {
    let content_type = response.headers().get(CONTENT_TYPE);
    content_type
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.to_ascii_lowercase().contains("json"))
}
