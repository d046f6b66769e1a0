//! The constructors of errors, one for each way in which a call can fail.

use progenitor_client::Error as Unread;
use reqwest::StatusCode;
use reqwest::header::HeaderMap;

use super::{Cause, Error, Inner, RawResponse, Trace, messages};
use crate::auth::AuthError;
use crate::value::{DecodeIssue, DecodeIssueKind, UnreadableRecord};

impl Error {
    /// Creates the error for a request that could not be built.
    pub(crate) fn unsent(operation_id: &'static str, error: Unread<()>) -> Self {
        match error {
            Unread::InvalidRequest(reason) | Unread::Custom(reason) => {
                Self::invalid_request(operation_id, reason)
            }
            // The request could not be built. Responses are read by `response.rs`, so a call never
            // returns the errors of responses.
            _ => {
                let reason = "an argument or the body cannot be written as a request";
                Self::invalid_request(operation_id, reason.into())
            }
        }
    }

    pub(crate) fn invalid_request(operation_id: &'static str, reason: String) -> Self {
        Self::new(Cause::InvalidRequest(reason), operation_id, None, None)
    }

    pub(crate) fn lacks_acting_user(operation_id: &'static str, reason: &'static str) -> Self {
        Self::new(Cause::ActingUser(reason), operation_id, None, None)
    }

    pub(crate) fn auth(operation_id: &'static str, error: AuthError) -> Self {
        Self::new(Cause::Auth(error), operation_id, None, None)
    }

    pub(crate) fn transport(operation_id: &'static str, error: reqwest::Error) -> Self {
        // The address may carry health data in its query.
        let source = error.without_url();
        Self::new(Cause::Transport, operation_id, None, Some(Box::new(source)))
    }

    pub(crate) fn no_permit(operation_id: &'static str) -> Self {
        Self::new(Cause::NoPermit, operation_id, None, None)
    }

    /// Creates the error for a deadline that passed while the call waited for `waited_for`.
    pub(crate) fn wait_timed_out(operation_id: &'static str, waited_for: &'static str) -> Self {
        Self::new(Cause::WaitTimedOut(waited_for), operation_id, None, None)
    }

    /// Creates the error for a deadline that passed before the response was complete.
    pub(crate) fn timed_out(operation_id: &'static str, response: Option<RawResponse>) -> Self {
        Self::new(Cause::TimedOut, operation_id, response, None)
    }

    pub(crate) fn refused(operation_id: &'static str, response: RawResponse) -> Self {
        Self::new(Cause::Refused, operation_id, Some(response), None)
    }

    /// Creates the error for a record of a page that cannot be read.
    pub(crate) fn record_unreadable(
        operation_id: &'static str,
        record: UnreadableRecord,
        (status, headers): (StatusCode, &HeaderMap),
        attempts: u32,
    ) -> Self {
        let response = RawResponse {
            status,
            headers: headers.clone(),
            body: bytes::Bytes::copy_from_slice(record.body()),
        };
        let trace = Trace {
            attempts,
            may_have_arrived: true,
            ..Trace::default()
        };
        Self::new(Cause::Record(record), operation_id, Some(response), None).traced(trace)
    }

    /// Creates the error for a success without the body that the operation returns.
    pub(crate) fn empty_success(operation_id: &'static str, response: RawResponse) -> Self {
        Self::new(Cause::EmptySuccess, operation_id, Some(response), None)
    }

    pub(crate) fn decode(
        operation_id: &'static str,
        response: RawResponse,
        cause: Option<DecodeIssue>,
        error: &serde_json::Error,
    ) -> Self {
        const NO_JSON: &str = "a proxy or a maintenance page may have responded: retry later, or \
                               report the request id";
        // The decoder's own message may quote the value.
        let (what, advice) = match error.classify() {
            _ if matches!(&cause, Some(issue) if issue.kind == DecodeIssueKind::Missing) => {
                ("is missing", "update this crate, or report the request id")
            }
            serde_json::error::Category::Data => (
                "does not have the expected type",
                "update this crate, or report the request id",
            ),
            _ if messages::is_html(&response) => ("is HTML, not JSON", NO_JSON),
            serde_json::error::Category::Eof => (
                "is truncated by the server",
                "retry a call that changes nothing, or report the request id",
            ),
            _ => ("is not valid JSON", NO_JSON),
        };
        let place = cause.map(|issue| issue.path);
        let place = place.filter(|place| !place.is_empty());
        let subject = place.map_or_else(|| "the response".into(), |place| format!("`{place}`"));
        let cause = Cause::Decode(format!("decode error: {subject} {what}"), advice);
        Self::new(cause, operation_id, Some(response), None)
    }

    /// Creates the error for a connection that was closed before the response was complete.
    pub(crate) fn incomplete(
        operation_id: &'static str,
        response: RawResponse,
        error: Option<reqwest::Error>,
    ) -> Self {
        let source = error.map(|error| Box::new(error.without_url()).into());
        Self::new(Cause::Transport, operation_id, Some(response), source)
    }

    pub(crate) fn not_as_expected(
        operation_id: &'static str,
        response: RawResponse,
        reason: String,
        advice: &'static str,
    ) -> Self {
        let cause = Cause::Decode(reason, advice);
        Self::new(cause, operation_id, Some(response), None)
    }

    pub(crate) fn too_large(
        operation_id: &'static str,
        response: RawResponse,
        limit: usize,
    ) -> Self {
        let cause = Cause::TooLarge(limit);
        Self::new(cause, operation_id, Some(response), None)
    }

    /// Adds the facts about the call.
    pub(crate) fn traced(mut self, trace: Trace) -> Self {
        self.inner.trace = trace;
        self
    }

    /// Creates the error for a page that was decoded and is inconsistent with the list.
    pub(crate) fn pagination(
        operation_id: &'static str,
        reason: String,
        response: RawResponse,
    ) -> Self {
        Self::new(
            Cause::Pagination(reason),
            operation_id,
            Some(response),
            None,
        )
    }

    /// Adds the number of the page that failed.
    pub(crate) fn on_page(mut self, number: i64) -> Self {
        self.inner.page = Some(number);
        self
    }

    fn new(
        cause: Cause,
        operation_id: &'static str,
        response: Option<RawResponse>,
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self {
            inner: Box::new(Inner {
                cause,
                operation_id,
                page: None,
                response,
                trace: Trace::default(),
                source,
            }),
        }
    }
}
