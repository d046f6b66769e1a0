//! The error type of calls.

mod advice;
mod create;
mod display;
mod kind;
mod messages;
mod trace;

use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::HeaderMap;

use crate::auth::AuthError;
use crate::operations::{self, Operation};
use crate::transport::retry::refusal_reason;
use crate::value::UnreadableRecord;
pub(crate) use advice::DOWNLOAD;
pub use kind::ErrorKind;
pub(crate) use trace::{RawResponse, Trace, missing_scopes, request_id};

/// A failed call.
///
/// `Display` names the operation, the failure, the status, the request id and what to do next.
/// Neither `Display` nor `Debug` shows a body, an address, a token or patient data.
/// [`Error::body`] returns the response body on demand.
///
/// The [guide to errors](crate::guide::errors) lists all messages with their causes and fixes.
///
/// # Examples
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// # use fullscript::testing::{FakeFullscript, Script};
/// # let fake = FakeFullscript::start().await?;
/// # fake.answer("get_patient", Script::json(404, &serde_json::json!({})));
/// # let client = fake.client();
/// match client.get_patient().id("1").send().await {
///     Ok(response) => println!("{}", response.patient.id),
///     Err(error) if error.is_not_found() => println!("no such patient"),
///     Err(error) if error.needs_reconnect() => println!("reconnect your account"),
///     Err(error) => eprintln!("{error}"),
/// }
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
pub struct Error {
    inner: Box<Inner>,
}

struct Inner {
    cause: Cause,
    operation_id: &'static str,
    page: Option<i64>,
    response: Option<RawResponse>,
    trace: Trace,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

enum Cause {
    /// The request was not sent: an argument is missing or not valid.
    InvalidRequest(String),
    /// The request was not sent: it must name the practitioner or the user that it is for.
    ActingUser(&'static str),
    /// The request was not sent, or not retried, because there was no valid token.
    Auth(AuthError),
    /// The rate limiter had no permit before the deadline.
    NoPermit,
    /// The deadline passed before the request was sent, while waiting for this.
    WaitTimedOut(&'static str),
    /// The deadline passed before the response was complete.
    TimedOut,
    /// The connection could not be established, or was closed before the response was complete.
    Transport,
    /// The server returned a status that is not a success.
    Refused,
    /// The server returned a success status with a body that is not valid for the operation: the
    /// reason, and what the caller can do.
    Decode(String, &'static str),
    /// The response is larger than this limit, in bytes.
    TooLarge(usize),
    /// The server returned a success status without a body, for an operation that returns one.
    EmptySuccess,
    /// A record of a list cannot be read.
    Record(UnreadableRecord),
    /// The pages of a list are inconsistent.
    Pagination(String),
}

impl Error {
    /// Returns the id of the operation, or an empty string for a path without an operation.
    #[must_use]
    pub fn operation_id(&self) -> &'static str {
        self.inner.operation_id
    }

    /// Returns the operation's entry in the [table of operations](crate::operations).
    #[must_use]
    pub fn operation(&self) -> Option<&'static Operation> {
        operations::find(self.inner.operation_id)
    }

    /// Returns the HTTP method, if the operation is in the [table](crate::operations).
    #[must_use]
    pub fn method(&self) -> Option<&'static str> {
        self.operation().map(|operation| operation.method)
    }

    /// Returns the path template, if the operation is in the [table](crate::operations).
    ///
    /// Variables are in braces: `/api/clinic/patients/{id}`.
    #[must_use]
    pub fn path(&self) -> Option<&'static str> {
        self.operation().map(|operation| operation.path)
    }

    /// Returns the number of times the request was sent, 0 if it was never sent.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.inner.trace.attempts
    }

    /// Returns whether the server may have received the request and acted on it.
    ///
    /// Check this before you send a POST again. If it is `false`, the request had no effect.
    #[must_use]
    pub fn may_have_arrived(&self) -> bool {
        self.inner.trace.may_have_arrived
    }

    /// Returns the time to wait before the call is retried.
    ///
    /// The value comes from the server's `Retry-After` header or from the client's rate limiter.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        let from_auth = self.auth_error().and_then(AuthError::retry_after);
        from_auth.or(self.inner.trace.retry_after)
    }

    /// Returns the number of the page that failed, if a stream of pages or items failed.
    ///
    /// Pass it to `page_number` to resume there.
    #[must_use]
    pub fn page(&self) -> Option<i64> {
        self.inner.page
    }

    /// Returns the HTTP status, if the server responded.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        self.inner.response.as_ref().map(|response| response.status)
    }

    /// Returns the response headers, if the server responded.
    #[must_use]
    pub fn headers(&self) -> Option<&HeaderMap> {
        self.inner
            .response
            .as_ref()
            .map(|response| &response.headers)
    }

    /// Returns the raw response body, if the server responded.
    ///
    /// The body may be HTML, incomplete or empty.
    /// It is empty after a pagination error, because the body was already decoded then; see
    /// [`Error::is_pagination`].
    /// It may contain health data: keep it out of logs.
    #[must_use]
    pub fn body(&self) -> Option<&[u8]> {
        self.inner
            .response
            .as_ref()
            .map(|response| response.body.as_ref())
    }

    /// Returns the vendor's id of the request, to quote to the vendor's support.
    ///
    /// It is cut after 128 characters, and before the first character other than letters, digits
    /// and `-_.:@/+=`.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        self.headers().and_then(request_id)
    }

    /// Returns the vendor's error messages in the body, one entry per message.
    ///
    /// Messages are read from `error` (a text, a list, an object, or a list inside a text),
    /// `errors`, `message` and `error_description`. If the server refused the request, a body that
    /// is a plain text of at most 1,024 bytes, a JSON text or a JSON list of texts is read, too.
    /// They may contain health data: keep them out of logs.
    #[must_use]
    pub fn messages(&self) -> Vec<String> {
        let Some(response) = &self.inner.response else {
            return Vec::new();
        };
        let messages = messages::in_fields(&response.body);
        if messages.is_empty() && matches!(self.inner.cause, Cause::Refused) {
            return messages::in_text(response);
        }
        messages
    }

    /// Returns the vendor's error codes in the body, such as `token_expired` or `not_found`, each
    /// once.
    ///
    /// Codes are read from `code` and `error_code` in the body, in `error` and in `errors`, and
    /// from texts in `error` and `errors` that are words joined by `_`. A code has at most 64
    /// letters, digits and `_-.:`. The vendor documents no codes.
    #[must_use]
    pub fn codes(&self) -> Vec<String> {
        self.body().map(messages::codes).unwrap_or_default()
    }

    /// Returns whether the request was not sent because an argument is missing or not valid.
    #[must_use]
    pub fn is_invalid_request(&self) -> bool {
        self.kind() == ErrorKind::InvalidRequest
    }

    /// Returns whether the request was not sent because it must name the practitioner or the user
    /// that it is for.
    ///
    /// A treatment plan of a staff member or a clinic needs a `practitioner_id`, and a session grant
    /// of a clinic needs `user_id` and `user_type` (documented). Let the user choose, for example
    /// among `list_practitioners`, and make the call again.
    #[must_use]
    pub fn needs_acting_user(&self) -> bool {
        matches!(self.inner.cause, Cause::ActingUser(_))
    }

    /// Returns whether the user is disconnected and must reconnect.
    #[must_use]
    pub fn needs_reconnect(&self) -> bool {
        self.auth_error().is_some_and(AuthError::needs_reconnect)
    }

    /// Returns the error that left the call without a valid token, if that is the cause.
    #[must_use]
    pub fn auth_error(&self) -> Option<&AuthError> {
        match &self.inner.cause {
            Cause::Auth(error) => Some(error),
            _ => None,
        }
    }

    /// Returns whether the call is likely to succeed if it is made again later.
    ///
    /// This is the case after a timeout, a connection failure, a rate limit, or a temporary
    /// failure of the server, the token endpoint or the token store.
    /// A transient error does not mean that the request had no effect: check
    /// [`Error::may_have_arrived`].
    #[must_use]
    pub fn is_transient(&self) -> bool {
        let body = self.body().unwrap_or_default();
        match &self.inner.cause {
            Cause::Transport | Cause::TimedOut | Cause::NoPermit | Cause::WaitTimedOut(_) => true,
            Cause::Auth(error) => error.is_transient(),
            Cause::Refused => self
                .status()
                .is_some_and(|status| refusal_reason(status, body).is_some()),
            Cause::InvalidRequest(_)
            | Cause::ActingUser(_)
            | Cause::Decode(..)
            | Cause::TooLarge(_)
            | Cause::Record(_)
            | Cause::EmptySuccess
            | Cause::Pagination(_) => false,
        }
    }

    /// Returns whether the call exceeded a timeout.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        self.kind() == ErrorKind::Timeout
    }

    /// Returns whether no complete response arrived.
    ///
    /// The connection could not be established, was closed, or the deadline passed after the
    /// request was sent.
    #[must_use]
    pub fn is_transport(&self) -> bool {
        matches!(self.inner.cause, Cause::Transport | Cause::TimedOut)
    }

    /// Returns whether the server returned a success status with a body that cannot be decoded.
    #[must_use]
    pub fn is_decode(&self) -> bool {
        self.kind() == ErrorKind::Decode
    }

    /// Returns whether a single record of a list cannot be read, because its own id is missing or
    /// because it is not an object.
    ///
    /// A stream of records continues with the next record. [`Error::unreadable_record`] returns the
    /// index, the id if there is one, and the cause, and [`Error::body`] the record as it was sent.
    #[must_use]
    pub fn is_record_unreadable(&self) -> bool {
        self.kind() == ErrorKind::RecordUnreadable
    }

    /// Returns the record that cannot be read, if [`Error::is_record_unreadable`].
    #[must_use]
    pub fn unreadable_record(&self) -> Option<&UnreadableRecord> {
        match &self.inner.cause {
            Cause::Record(record) => Some(record),
            _ => None,
        }
    }

    /// Returns whether the request succeeded without the response body that the operation returns.
    ///
    /// The status is a success, such as 200 or 204, and the body is empty or `null`. A request that
    /// changes something has taken effect: read the object instead of sending the request again.
    /// A GET with an empty body of the type JSON is retried before, a write never is.
    #[must_use]
    pub fn is_empty_success(&self) -> bool {
        self.kind() == ErrorKind::EmptySuccess
    }

    /// Returns whether the pages of a list are inconsistent.
    ///
    /// The next page is not after the current one, a page repeats an earlier one, or the response
    /// contains no list.
    /// A stream stops at this error instead of requesting pages in an endless loop.
    #[must_use]
    pub fn is_pagination(&self) -> bool {
        self.kind() == ErrorKind::Pagination
    }

    /// Returns whether the object does not exist (404).
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.kind() == ErrorKind::NotFound
    }

    /// Returns whether the server rejected the values (422).
    ///
    /// [`Error::messages`] names the rejected values.
    #[must_use]
    pub fn is_validation(&self) -> bool {
        self.kind() == ErrorKind::Validation
    }

    /// Returns whether a rate limit was exceeded.
    ///
    /// Either the server returned 429, or the client's rate limiter had no permit before the
    /// deadline.
    #[must_use]
    pub fn is_rate_limited(&self) -> bool {
        self.kind() == ErrorKind::RateLimited
    }

    /// Returns whether the access token is missing, expired or revoked (401).
    #[must_use]
    pub fn is_unauthorized(&self) -> bool {
        self.kind() == ErrorKind::Unauthorized
    }

    /// Returns whether a 403 may be caused by the operation's restriction to approved partners.
    ///
    /// This is not the case if the server reports a missing scope.
    #[must_use]
    pub fn needs_approval(&self) -> bool {
        self.refused_with(StatusCode::FORBIDDEN)
            && !self.reports_missing_scope()
            && self
                .operation()
                .is_some_and(|operation| operation.requires_commercial_approval)
    }

    /// Returns whether a 403 or a 401 is caused by a scope that the token lacks.
    ///
    /// This is the case if the known scopes of the operation are not among those that the token
    /// was issued with, or if the server reports it: `insufficient_scope`, or the documented message
    /// ``Must have `catalog` scope enabled for this request``. The vendor's guide names the response
    /// "Unauthorized", and does not document its status.
    #[must_use]
    pub fn is_missing_scope(&self) -> bool {
        (self.refused_with(StatusCode::FORBIDDEN) || self.refused_with(StatusCode::UNAUTHORIZED))
            && (!self.missing_scopes().is_empty() || self.reports_missing_scope())
    }

    /// Returns the scopes that the operation needs and the token lacks, if both are known.
    ///
    /// [`Operation::scopes_confidence`] states how reliable the operation's scopes are.
    #[must_use]
    pub fn missing_scopes(&self) -> &[&'static str] {
        &self.inner.trace.missing_scopes
    }

    /// Returns whether the server reports a missing scope: in `WWW-Authenticate` (RFC 6750, section
    /// 3.1), as a code, or in a message.
    fn reports_missing_scope(&self) -> bool {
        const CODE: &str = "insufficient_scope";
        let challenges = self
            .headers()
            .map(|headers| headers.get_all("www-authenticate"));
        let is_challenged = challenges.into_iter().flatten().any(|challenge| {
            challenge
                .to_str()
                .is_ok_and(|challenge| challenge.contains(CODE))
        });
        is_challenged
            || self.codes().iter().any(|code| code == CODE)
            || self.messages().iter().any(|message| {
                let message = message.to_lowercase();
                message.contains("must have") && message.contains("scope")
            })
    }

    fn refused_with(&self, status: StatusCode) -> bool {
        matches!(self.inner.cause, Cause::Refused) && self.status() == Some(status)
    }
}
