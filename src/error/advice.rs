//! Advice in the error message: what the caller can do about a failed call.

use std::time::Duration;

use reqwest::StatusCode;

use super::{Cause, Error};
use crate::transport::retry::whole_seconds;

/// The vendor's contact for approval and failed calls (source: the vendor's API reference).
const SUPPORT: &str = "api-support@fullscript.com";

/// The operation id of downloads.
pub(crate) const DOWNLOAD: &str = "download";

/// The statuses with which file servers refuse an address that has expired: 403 of Amazon S3, 400 or
/// 403 of Cloudflare R2, 404 or 410 of others. Fullscript does not document its own.
const EXPIRED: [StatusCode; 4] = [
    StatusCode::BAD_REQUEST,
    StatusCode::FORBIDDEN,
    StatusCode::NOT_FOUND,
    StatusCode::GONE,
];

impl Error {
    /// Returns the advice that ends the error message.
    pub(super) fn advice(&self) -> Option<String> {
        if self.operation_id() == DOWNLOAD && EXPIRED.iter().any(|it| self.refused_with(*it)) {
            return Some(
                "the address may have expired: request the object that contains it again".into(),
            );
        }
        if self.refused_with(StatusCode::FORBIDDEN) || self.is_missing_scope() {
            return self.forbidden_advice();
        }
        if self.may_have_arrived()
            && matches!(
                self.inner.cause,
                Cause::Transport | Cause::TimedOut | Cause::WaitTimedOut(_)
            )
        {
            let idempotent = self.inner.trace.idempotent;
            return (!idempotent).then(|| {
                "the server may have received the request: check whether it took effect before \
                 you send it again"
                    .into()
            });
        }
        if self.inner.trace.body_not_replayable {
            return Some(
                "the access token was rejected and a streamed body cannot be sent twice: \
                 make the call again, a new token is available"
                    .into(),
            );
        }
        let advice = match (&self.inner.cause, self.status()?) {
            (Cause::Pagination(_), _) => {
                "the stream stops here: set another `page_size`, or fetch single pages with `send`"
            }
            (Cause::Decode(_, advice), _) => advice,
            (Cause::Record(_), _) => {
                "the stream continues with the next record: report the request id"
            }
            (Cause::TooLarge(_), _) => {
                "set a larger `CallOptions::max_response_size`, or request smaller pages"
            }
            (Cause::EmptySuccess, _) if self.method() == Some("GET") => {
                "retry the call, or report the request id"
            }
            (Cause::EmptySuccess, _) => {
                "the request has taken effect: read the object instead of sending it again"
            }
            (Cause::Refused, StatusCode::UNAUTHORIZED) => {
                "the access token is missing, expired or revoked: get a new one"
            }
            (Cause::Refused, StatusCode::NOT_FOUND) => "check the id and the environment",
            (Cause::Refused, StatusCode::UNPROCESSABLE_ENTITY) if self.messages().is_empty() => {
                "the server gave no reason: check the values, or report the request id"
            }
            (Cause::Refused, StatusCode::UNPROCESSABLE_ENTITY) => {
                "correct the values that `messages()` names"
            }
            (Cause::Refused, StatusCode::TOO_MANY_REQUESTS) => {
                return Some(rate_limit_advice(self.retry_after()));
            }
            (Cause::Refused, StatusCode::CONFLICT) if self.is_transient() => {
                "the first request is still in progress: retry later with the same idempotency key"
            }
            (Cause::Refused, _) if self.is_transient() => "retry later",
            _ => return None,
        };
        Some(advice.into())
    }

    /// Returns the possible causes of a 403, the most likely one first.
    fn forbidden_advice(&self) -> Option<String> {
        let approval = self.needs_approval().then(|| {
            format!(
                "the operation requires commercial approval: ask {SUPPORT} whether your app has it"
            )
        });
        let mut advice: Vec<String> = self.scope_advice().into_iter().collect();
        if self.is_missing_scope() {
            advice.extend(approval)
        } else {
            advice.splice(0..0, approval).for_each(drop)
        }
        (!advice.is_empty()).then(|| advice.join("; "))
    }

    fn scope_advice(&self) -> Option<String> {
        let operation = self.operation()?;
        let confidence = operation.scopes_confidence;
        const FIX: &str = "add it in the dashboard, then have the user reconnect";
        if !self.missing_scopes().is_empty() {
            let missing = self.missing_scopes().join(" and ");
            return Some(format!(
                "the token lacks the scope {missing} that the operation needs ({confidence}): {FIX}"
            ));
        }
        let alternatives: Vec<String> = operation
            .scopes
            .iter()
            .map(|scopes| scopes.join(" and "))
            .collect();
        let is_reported = self.reports_missing_scope();
        if alternatives.is_empty() {
            return is_reported
                .then(|| format!("the token lacks a scope that `messages()` names: {FIX}"));
        }
        let alternatives = alternatives.join(" or ");
        let lacks = if is_reported { "lacks" } else { "may lack" };
        Some(format!(
            "the token {lacks} the scope {alternatives} ({confidence}): {FIX}"
        ))
    }
}

fn rate_limit_advice(retry_after: Option<Duration>) -> String {
    let limit = "rate limit exceeded (5,000 requests in 5 minutes)";
    match retry_after {
        Some(wait) => format!("{limit}: retry after {} s", whole_seconds(wait)),
        None => format!("{limit}: wait, then retry"),
    }
}
