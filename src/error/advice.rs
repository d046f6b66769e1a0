//! What a caller can do about a call that did not succeed.

use reqwest::StatusCode;

use super::{Cause, Error};

/// Whom to ask for approval and about failed calls, as the vendor's reference
/// names it.
const SUPPORT: &str = "api-support@fullscript.com";

impl Error {
    /// What the caller can do about it.
    pub(super) fn advice(&self) -> Option<String> {
        if self.refused_with(StatusCode::FORBIDDEN) {
            return self.advice_on_a_refusal();
        }
        if self.may_have_arrived()
            && matches!(
                self.inner.cause,
                Cause::Transport | Cause::TimedOut | Cause::Late(_)
            )
        {
            let repeatable = self.inner.trace.repeatable;
            return (!repeatable).then(|| {
                "it may have arrived: look whether it was done before you send it again".into()
            });
        }
        if self.inner.trace.unrepeatable {
            return Some(
                "the token was refused, and a body that is a stream can't be sent twice: \
                 make the call again, there is a new token"
                    .into(),
            );
        }
        let advice = match (&self.inner.cause, self.status()?) {
            (Cause::Pagination(_), _) => {
                "the list ends here: set another `page_size`, or take one page with `send`"
            }
            (Cause::Decode(_), _) => "update this crate, or report it with the request id",
            (Cause::Refused, StatusCode::UNAUTHORIZED) => {
                "the token is missing, expired or revoked: get a new one"
            }
            (Cause::Refused, StatusCode::NOT_FOUND) => "check the id and the environment",
            (Cause::Refused, StatusCode::UNPROCESSABLE_ENTITY) => {
                "correct the values that `messages()` names"
            }
            (Cause::Refused, StatusCode::TOO_MANY_REQUESTS) => {
                "the limit is 5,000 requests in 5 minutes: wait and try again"
            }
            (Cause::Refused, status) if status.is_server_error() => "try again later",
            _ => return None,
        };
        Some(advice.into())
    }

    /// What a 403 may mean, the likelier first.
    fn advice_on_a_refusal(&self) -> Option<String> {
        let approval = self.needs_approval().then(|| {
            format!(
                "the operation requires commercial approval, ask {SUPPORT} whether your app has it"
            )
        });
        let mut advice: Vec<String> = self.advice_on_scopes().into_iter().collect();
        if self.is_missing_scope() {
            advice.extend(approval)
        } else {
            advice.splice(0..0, approval).for_each(drop)
        }
        (!advice.is_empty()).then(|| advice.join("; "))
    }

    fn advice_on_scopes(&self) -> Option<String> {
        let operation = self.operation()?;
        let confidence = operation.scopes_confidence;
        const THEN: &str = "add it in the dashboard, then have the user connect again";
        if !self.missing_scopes().is_empty() {
            let missing = self.missing_scopes().join(" and ");
            return Some(format!(
                "the token lacks the scope {missing} that the operation needs ({confidence}): {THEN}"
            ));
        }
        let alternatives: Vec<String> = operation
            .scopes
            .iter()
            .map(|scopes| scopes.join(" and "))
            .collect();
        if alternatives.is_empty() {
            return None;
        }
        let alternatives = alternatives.join(" or ");
        Some(format!(
            "the token may lack the scope {alternatives} ({confidence}): {THEN}"
        ))
    }
}
