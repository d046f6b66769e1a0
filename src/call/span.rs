//! What `tracing` is told of calls: nothing of a patient, a token or a query.
//!
//! The names are those of the OpenTelemetry conventions for HTTP clients.

#[cfg(feature = "tracing")]
pub(crate) use on::{CallSpan, note_retry};

#[cfg(not(feature = "tracing"))]
pub(crate) use off::{CallSpan, note_retry};

#[cfg(feature = "tracing")]
mod on {
    use std::future::Future;
    use std::time::Duration;

    use reqwest::{Request, StatusCode, Url};
    use tracing::field::Empty;
    use tracing::{Instrument, Span};

    use crate::call::outcome::{Ending, Failure, Outcome, Unreadable};
    use crate::error::request_id;
    use crate::operations::Operation;

    /// The span of one call.
    pub(crate) struct CallSpan(Span);

    impl CallSpan {
        pub(crate) fn new(
            operation: Option<&'static Operation>,
            request: Option<&Request>,
        ) -> Self {
            let method = request.map_or("", |request| request.method().as_str());
            let url = request.map(Request::url);
            let span = tracing::info_span!(
                target: "fullscript",
                "HTTP",
                otel.name = Empty,
                otel.kind = "client",
                otel.status_code = Empty,
                http.request.method = method,
                http.request.resend_count = Empty,
                http.response.status_code = Empty,
                url.template = operation.map(|operation| operation.path),
                server.address = url.and_then(Url::host_str),
                server.port = url.and_then(Url::port_or_known_default),
                error.type = Empty,
                fullscript.operation_id = operation.map(|operation| operation.id),
                fullscript.request_id = Empty,
            );
            if !span.is_disabled() {
                let path = operation.map_or("", |operation| operation.path);
                let name = format!("{method} {path}");
                span.record("otel.name", name.trim_end());
            }
            Self(span)
        }

        pub(crate) async fn around<T>(&self, work: impl Future<Output = T>) -> T {
            work.instrument(self.0.clone()).await
        }

        pub(crate) fn end(&self, ending: &Ending) {
            if self.0.is_disabled() {
                return;
            }
            let response = ending.response();
            let attempts = ending.trace.attempts;
            if attempts > 1 {
                self.0.record("http.request.resend_count", attempts - 1);
            }
            if let Some(response) = response {
                self.0
                    .record("http.response.status_code", response.status().as_u16());
                self.0
                    .record("fullscript.request_id", request_id(response.headers()));
            }
            if let Some(error) = error_type(&ending.outcome) {
                self.0.record("error.type", error);
                self.0.record("otel.status_code", "ERROR");
            }
        }
    }

    fn error_type(outcome: &Outcome) -> Option<&'static str> {
        match outcome {
            Outcome::Failed(Failure::Invalid(_)) => Some("invalid_request"),
            Outcome::Failed(Failure::Auth(_)) => Some("auth"),
            Outcome::Failed(Failure::Busy) => Some("rate_limit"),
            Outcome::Failed(Failure::Late(_) | Failure::TimedOut) => Some("timeout"),
            Outcome::Failed(Failure::Transport(error)) if error.is_timeout() => Some("timeout"),
            Outcome::Failed(Failure::Transport(_)) => Some("connection"),
            Outcome::Answered(response, body) => match (response.status(), body) {
                (status, _) if status.is_server_error() => Some("server_error"),
                (status, _) if !status.is_success() => Some("refused"),
                (_, Some(Err(Unreadable::Broken(..)))) => Some("broken_answer"),
                (_, Some(Err(Unreadable::Late(_)))) => Some("timeout"),
                (_, Some(Err(Unreadable::TooLarge(_)))) => Some("answer_too_large"),
                (_, Some(Ok(_)) | None) => None,
            },
        }
    }

    pub(crate) fn note_retry(status: Option<StatusCode>, pause: Duration) {
        tracing::debug!(
            target: "fullscript",
            status = status.map(|status| status.as_u16()),
            pause_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX),
            "trying again"
        );
    }
}

#[cfg(not(feature = "tracing"))]
mod off {
    use std::future::Future;
    use std::time::Duration;

    use reqwest::{Request, StatusCode};

    use crate::call::outcome::Ending;
    use crate::operations::Operation;

    pub(crate) struct CallSpan;

    impl CallSpan {
        pub(crate) fn new(_: Option<&'static Operation>, _: Option<&Request>) -> Self {
            Self
        }

        pub(crate) fn around<T>(&self, work: impl Future<Output = T>) -> impl Future<Output = T> {
            work
        }

        pub(crate) fn end(&self, _: &Ending) {}
    }

    pub(crate) fn note_retry(_: Option<StatusCode>, _: Duration) {}
}
