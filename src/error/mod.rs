//! The one error of calls.

mod advice;
mod kind;
mod messages;
mod trace;

use std::fmt;
use std::time::Duration;

use progenitor_client::Error as Unread;
use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use serde_json::Value;

use crate::auth::AuthError;
use crate::operations::{self, Operation};
use crate::transport::retry::reason_of;
pub use kind::ErrorKind;
pub(crate) use trace::{Answer, Trace, missing_scopes, request_id};

/// A call that did not succeed.
///
/// `Display` names the operation, the status and the request id, and what to
/// do next. Neither it nor `Debug` shows a body, an address, a token, or
/// anything of a patient; [`Error::body`] gives the body on demand.
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// # use fullscript::testing::{FakeFullscript, Script};
/// # let fake = FakeFullscript::start().await?;
/// # fake.answer("get_patient", Script::json(404, &serde_json::json!({})));
/// # let client = fake.client();
/// # let id = fullscript::types::PatientId::new("1")?;
/// match client.get_patient().id(id).send().await {
///     Ok(answer) => println!("{}", answer.patient.id),
///     Err(error) if error.is_not_found() => println!("no such patient"),
///     Err(error) if error.needs_reconnect() => println!("connect again"),
///     Err(error) => eprintln!("{error}"),
/// }
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
///
/// The [guide to errors](crate::guide::errors) lists what there is to see, why,
/// and what to do.
pub struct Error {
    inner: Box<Inner>,
}

struct Inner {
    cause: Cause,
    operation_id: &'static str,
    page: Option<i64>,
    answer: Option<Answer>,
    trace: Trace,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

enum Cause {
    /// The call was not made: an argument is missing or not acceptable.
    InvalidRequest(String),
    /// The call was not made, or not again, for want of a token.
    Auth(AuthError),
    /// The limit of requests leaves no room before the call's time is over.
    Busy,
    /// The call's time was over before the request was sent.
    Late(&'static str),
    /// The call's time was over before the answer came, or all of it.
    TimedOut,
    /// No answer: the connection could not be made, or broke.
    Transport,
    /// The server answered with another status than success.
    Refused,
    /// A success whose body is not what the operation answers.
    Decode(String),
    /// A page of a list that leads nowhere.
    Pagination(String),
}

impl Error {
    /// The operation that was called, empty where it was none.
    #[must_use]
    pub fn operation_id(&self) -> &'static str {
        self.inner.operation_id
    }

    /// The table's entry for the operation.
    #[must_use]
    pub fn operation(&self) -> Option<&'static Operation> {
        operations::find(self.inner.operation_id)
    }

    /// The HTTP method, if the operation is one of the table's.
    #[must_use]
    pub fn method(&self) -> Option<&'static str> {
        self.operation().map(|operation| operation.method)
    }

    /// The path with its variables in braces, if the operation is one of the
    /// table's.
    #[must_use]
    pub fn path(&self) -> Option<&'static str> {
        self.operation().map(|operation| operation.path)
    }

    /// How often the request was sent: 0 if it never was.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.inner.trace.attempts
    }

    /// Whether the server may have received the request, and so may have done
    /// what it asks for.
    ///
    /// Look at this before sending a POST again: where it is false, nothing
    /// has happened.
    #[must_use]
    pub fn may_have_arrived(&self) -> bool {
        self.inner.trace.may_have_arrived
    }

    /// How long to wait before the call is made again, if the server's
    /// `Retry-After` or the limit of requests says so.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        let of_auth = self.auth_error().and_then(AuthError::retry_after);
        of_auth.or(self.inner.trace.retry_after)
    }

    /// The page of a list that failed, where a stream of pages or items did:
    /// give it to `page_number` to resume there.
    #[must_use]
    pub fn page(&self) -> Option<i64> {
        self.inner.page
    }

    /// The HTTP status, if the server answered.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        self.inner.answer.as_ref().map(|answer| answer.status)
    }

    /// The answer's headers, if the server answered.
    #[must_use]
    pub fn headers(&self) -> Option<&HeaderMap> {
        self.inner.answer.as_ref().map(|answer| &answer.headers)
    }

    /// The answer's body as it came, which may be HTML or nothing; nothing too
    /// where it was read, see [`Error::is_pagination`]. It may hold health
    /// data: keep it out of logs.
    #[must_use]
    pub fn body(&self) -> Option<&[u8]> {
        self.inner
            .answer
            .as_ref()
            .map(|answer| answer.body.as_ref())
    }

    /// The vendor's name for this call; quote it to their support.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        self.headers().and_then(request_id)
    }

    /// What the vendor says went wrong, message by message: from `error` as a
    /// text, a list, an object or a list inside a text, from `errors`,
    /// `message` and `error_description`.
    #[must_use]
    pub fn messages(&self) -> Vec<String> {
        let body = self
            .body()
            .and_then(|body| serde_json::from_slice::<Value>(body).ok());
        let mut messages = Vec::new();
        for key in ["error", "errors", "message", "error_description"] {
            if let Some(value) = body.as_ref().and_then(|body| body.get(key)) {
                messages::collect(value, None, &mut messages);
            }
        }
        messages
    }

    /// Whether the call was not made since an argument was not acceptable.
    #[must_use]
    pub fn is_invalid_request(&self) -> bool {
        matches!(self.inner.cause, Cause::InvalidRequest(_))
    }

    /// Whether the user's connection has ended: they must connect again.
    #[must_use]
    pub fn needs_reconnect(&self) -> bool {
        self.auth_error().is_some_and(AuthError::needs_reconnect)
    }

    /// Why there was no token for the call, where that is what failed.
    #[must_use]
    pub fn auth_error(&self) -> Option<&AuthError> {
        match &self.inner.cause {
            Cause::Auth(error) => Some(error),
            _ => None,
        }
    }

    /// Whether the call may well succeed when it is made again later: the
    /// connection, the server or the token endpoint was in trouble, or there
    /// were too many calls.
    ///
    /// That it failed need not mean that nothing was done:
    /// [`Error::may_have_arrived`].
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match &self.inner.cause {
            Cause::Transport | Cause::TimedOut | Cause::Busy | Cause::Late(_) => true,
            Cause::Auth(error) => error.is_transient(),
            Cause::Refused => self
                .status()
                .is_some_and(|status| reason_of(status).is_some()),
            Cause::InvalidRequest(_) | Cause::Decode(_) | Cause::Pagination(_) => false,
        }
    }

    /// Whether the call took longer than it was given.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        let source = self.inner.source.as_ref();
        let transport = source.and_then(|source| source.downcast_ref::<reqwest::Error>());
        matches!(self.inner.cause, Cause::TimedOut | Cause::Late(_))
            || transport.is_some_and(reqwest::Error::is_timeout)
    }

    /// Whether no answer came: no connection, a time-out, a broken one.
    #[must_use]
    pub fn is_transport(&self) -> bool {
        matches!(self.inner.cause, Cause::Transport | Cause::TimedOut)
    }

    /// Whether the call succeeded and its answer could not be read.
    #[must_use]
    pub fn is_decode(&self) -> bool {
        matches!(self.inner.cause, Cause::Decode(_))
    }

    /// Whether a list's answers lead nowhere: the next page is not after this
    /// one, a page repeats those before it, or no list is there at all. A
    /// stream stops at it instead of going round in circles.
    #[must_use]
    pub fn is_pagination(&self) -> bool {
        matches!(self.inner.cause, Cause::Pagination(_))
    }

    /// Whether there is no such object (404).
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.refused_with(StatusCode::NOT_FOUND)
    }

    /// Whether the server refused the values (422); [`Error::messages`] says
    /// which.
    #[must_use]
    pub fn is_validation(&self) -> bool {
        self.refused_with(StatusCode::UNPROCESSABLE_ENTITY)
    }

    /// Whether too many calls were made: the server says so (429), or our own
    /// limit leaves no room before the call's time is over.
    #[must_use]
    pub fn is_rate_limited(&self) -> bool {
        match &self.inner.cause {
            Cause::Busy => true,
            Cause::Auth(error) => error.retry_after().is_some(),
            _ => self.refused_with(StatusCode::TOO_MANY_REQUESTS),
        }
    }

    /// Whether the token is missing, expired or revoked (401).
    #[must_use]
    pub fn is_unauthorized(&self) -> bool {
        self.refused_with(StatusCode::UNAUTHORIZED)
    }

    /// Whether the refusal (403) may come of the operation's restriction to
    /// approved partners.
    #[must_use]
    pub fn needs_approval(&self) -> bool {
        self.refused_with(StatusCode::FORBIDDEN)
            && self
                .operation()
                .is_some_and(|operation| operation.requires_commercial_approval)
    }

    /// Whether the refusal (403) comes of a scope that the token lacks: by the
    /// scopes that the operation needs, as far as they are known, and those
    /// that the token was issued with; or by the server's own word.
    #[must_use]
    pub fn is_missing_scope(&self) -> bool {
        self.refused_with(StatusCode::FORBIDDEN)
            && (!self.missing_scopes().is_empty() || self.says_insufficient_scope())
    }

    /// The scopes that the operation needs and the token lacks, as far as both
    /// are known; [`Operation::scopes_confidence`] says how sure the first is.
    #[must_use]
    pub fn missing_scopes(&self) -> &[&'static str] {
        &self.inner.trace.missing_scopes
    }

    /// What the server's `WWW-Authenticate` says (RFC 6750, section 3.1).
    fn says_insufficient_scope(&self) -> bool {
        let challenges = self
            .headers()
            .map(|headers| headers.get_all("www-authenticate"));
        challenges.into_iter().flatten().any(|challenge| {
            challenge
                .to_str()
                .is_ok_and(|challenge| challenge.contains("insufficient_scope"))
        })
    }

    fn refused_with(&self, status: StatusCode) -> bool {
        matches!(self.inner.cause, Cause::Refused) && self.status() == Some(status)
    }

    pub(crate) fn unsent(operation_id: &'static str, error: Unread<()>) -> Self {
        match error {
            Unread::InvalidRequest(reason) | Unread::Custom(reason) => {
                Self::invalid_request(operation_id, reason)
            }
            Unread::CommunicationError(error)
            | Unread::InvalidUpgrade(error)
            | Unread::ResponseBodyError(error) => Self::transport(operation_id, error),
            // Answers are read by `response.rs`, so these never come of a call.
            Unread::ErrorResponse(_)
            | Unread::InvalidResponsePayload(..)
            | Unread::UnexpectedResponse(_) => {
                Self::invalid_request(operation_id, "the call ended in an unknown way".into())
            }
        }
    }

    pub(crate) fn invalid_request(operation_id: &'static str, reason: String) -> Self {
        Self::new(Cause::InvalidRequest(reason), operation_id, None, None)
    }

    pub(crate) fn auth(operation_id: &'static str, error: AuthError) -> Self {
        Self::new(Cause::Auth(error), operation_id, None, None)
    }

    pub(crate) fn transport(operation_id: &'static str, error: reqwest::Error) -> Self {
        // The address may carry health data in its query.
        let source = error.without_url();
        Self::new(Cause::Transport, operation_id, None, Some(Box::new(source)))
    }

    pub(crate) fn busy(operation_id: &'static str) -> Self {
        Self::new(Cause::Busy, operation_id, None, None)
    }

    /// The call's time was over before this happened.
    pub(crate) fn late(operation_id: &'static str, what: &'static str) -> Self {
        Self::new(Cause::Late(what), operation_id, None, None)
    }

    /// The call's time was over before the answer came, or all of it.
    pub(crate) fn timed_out(operation_id: &'static str, answer: Option<Answer>) -> Self {
        Self::new(Cause::TimedOut, operation_id, answer, None)
    }

    pub(crate) fn refused(operation_id: &'static str, answer: Answer) -> Self {
        Self::new(Cause::Refused, operation_id, Some(answer), None)
    }

    pub(crate) fn decode(
        operation_id: &'static str,
        answer: Answer,
        place: Option<String>,
        error: &serde_json::Error,
    ) -> Self {
        // The decoder's own message may quote the value that it did not like.
        let what = match error.classify() {
            serde_json::error::Category::Data => "is not of the expected type",
            serde_json::error::Category::Eof => "breaks off",
            _ => "is not JSON",
        };
        let subject = place.map_or_else(|| "the answer".into(), |place| format!("`{place}`"));
        let cause = Cause::Decode(format!("{subject} {what}"));
        Self::new(cause, operation_id, Some(answer), None)
    }

    pub(crate) fn broken(
        operation_id: &'static str,
        answer: Answer,
        error: reqwest::Error,
    ) -> Self {
        let source = Box::new(error.without_url());
        Self::new(Cause::Transport, operation_id, Some(answer), Some(source))
    }

    pub(crate) fn not_as_expected(
        operation_id: &'static str,
        answer: Answer,
        reason: String,
    ) -> Self {
        Self::new(Cause::Decode(reason), operation_id, Some(answer), None)
    }

    pub(crate) fn too_large(operation_id: &'static str, answer: Answer, limit: usize) -> Self {
        let reason = format!("the answer is larger than {limit} bytes");
        Self::not_as_expected(operation_id, answer, reason)
    }

    /// Adds what is known of the call.
    pub(crate) fn traced(mut self, trace: Trace) -> Self {
        self.inner.trace = trace;
        self
    }

    /// An answer that was read and leads nowhere.
    pub(crate) fn pagination(operation_id: &'static str, reason: String, answer: Answer) -> Self {
        Self::new(Cause::Pagination(reason), operation_id, Some(answer), None)
    }

    /// Names the page of a list that failed.
    pub(crate) fn on_page(mut self, number: i64) -> Self {
        self.inner.page = Some(number);
        self
    }

    fn new(
        cause: Cause,
        operation_id: &'static str,
        answer: Option<Answer>,
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self {
            inner: Box::new(Inner {
                cause,
                operation_id,
                page: None,
                answer,
                trace: Trace::default(),
                source,
            }),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.inner.operation_id.is_empty() {
            write!(f, "{}: ", self.inner.operation_id)?;
        }
        if let Some(page) = self.inner.page {
            write!(f, "page {page}: ")?;
        }
        match (&self.inner.cause, self.status()) {
            (Cause::InvalidRequest(reason), _) => write!(f, "not sent, {reason}")?,
            (Cause::Auth(error), _) if self.attempts() > 0 => {
                write!(f, "no good token for another attempt, {error}")?;
            }
            (Cause::Auth(error), _) => write!(f, "not sent, {error}")?,
            (Cause::Busy, _) => {
                f.write_str("the limit of requests leaves no room before the call's time is over")?;
            }
            (Cause::Late(what), _) => write!(f, "the call's time was over before {what}")?,
            (Cause::TimedOut, None) => {
                f.write_str("the call's time was over before an answer came")?
            }
            (Cause::TimedOut, Some(status)) => {
                write!(
                    f,
                    "the call's time was over within the answer (status {status})"
                )?;
            }
            (Cause::Transport, None) => f.write_str("no answer from the server")?,
            (Cause::Transport, Some(status)) => {
                write!(f, "the answer broke off (status {status})")?
            }
            (Cause::Refused, Some(status)) => write!(f, "the server answered {status}")?,
            (Cause::Refused, None) => f.write_str("the server refused")?,
            (Cause::Decode(reason) | Cause::Pagination(reason), Some(status)) => {
                write!(f, "{reason} (status {status})")?;
            }
            (Cause::Decode(reason) | Cause::Pagination(reason), None) => f.write_str(reason)?,
        }
        if let Some(request_id) = self.request_id() {
            write!(f, ", request id {request_id}")?;
        }
        if self.attempts() > 1 {
            write!(f, ", after {} attempts", self.attempts())?;
        }
        match self.advice() {
            Some(advice) => write!(f, "; {advice}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("message", &format_args!("{self}"))
            .field("source", &self.inner.source)
            .finish_non_exhaustive()
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.inner.cause {
            // Said already; what lies below it is not.
            Cause::Auth(error) => error.source(),
            _ => self.inner.source.as_deref().map(|source| source as _),
        }
    }
}
