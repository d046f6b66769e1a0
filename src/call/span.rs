//! The `tracing` spans and events of calls, without patient data, tokens or queries.
//!
//! The field names are those of the OpenTelemetry semantic conventions for HTTP clients.

#[cfg(feature = "tracing")]
pub(crate) use on::{CallSpan, log_retry};

#[cfg(not(feature = "tracing"))]
pub(crate) use off::{CallSpan, log_retry};

#[cfg(feature = "tracing")]
mod on {
    use std::future::Future;
    use std::time::Duration;

    use reqwest::{Request, StatusCode, Url};
    use tracing::field::Empty;
    use tracing::{Instrument, Span};

    use crate::call::outcome::Ending;
    use crate::error::{Error, request_id};
    use crate::operations::Operation;
    use crate::transport::CallOutcome;

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

        /// Records the facts about the response.
        pub(crate) fn respond(&self, ending: &Ending) {
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
        }

        /// Logs the failure of the call, if it failed.
        pub(crate) fn end(self, failed: Option<&Error>, user: &str) {
            let Some(error) = failed else {
                return;
            };
            let outcome = error.outcome();
            self.0.record("error.type", outcome.as_str());
            self.0.record("otel.status_code", "ERROR");
            self.0.in_scope(|| log_failure(error, outcome, user));
        }
    }

    /// Logs a failed call: at the level INFO if the server refused the request, which may be the
    /// fault of its arguments, and otherwise at WARN.
    fn log_failure(error: &Error, outcome: CallOutcome, user: &str) {
        macro_rules! log {
            ($level:ident) => {
                tracing::$level!(
                    target: "fullscript",
                    {
                        error.type = outcome.as_str(),
                        http.response.status_code = error.status().map(|it| it.as_u16()),
                        http.request.resend_count = error.attempts().saturating_sub(1),
                        fullscript.operation_id = error.operation_id(),
                        fullscript.request_id = error.request_id(),
                        fullscript.user = Some(user).filter(|user| !user.is_empty()),
                    },
                    "call failed"
                )
            };
        }
        if outcome == CallOutcome::Refused && !error.is_rate_limited() {
            log!(info);
        } else {
            log!(warn);
        }
    }

    /// Logs a retry, with the status that caused it and the delay before it.
    pub(crate) fn log_retry(status: Option<StatusCode>, delay: Duration) {
        tracing::debug!(
            target: "fullscript",
            {
                http.response.status_code = status.map(|status| status.as_u16()),
                fullscript.retry_delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX),
            },
            "retrying request"
        );
    }
}

#[cfg(not(feature = "tracing"))]
mod off {
    use std::future::Future;
    use std::time::Duration;

    use reqwest::{Request, StatusCode};

    use crate::call::outcome::Ending;
    use crate::error::Error;
    use crate::operations::Operation;

    pub(crate) struct CallSpan;

    impl CallSpan {
        pub(crate) fn new(_: Option<&'static Operation>, _: Option<&Request>) -> Self {
            Self
        }

        pub(crate) fn around<T>(&self, work: impl Future<Output = T>) -> impl Future<Output = T> {
            work
        }

        pub(crate) fn respond(&self, _: &Ending) {}

        pub(crate) fn end(self, _: Option<&Error>, _: &str) {}
    }

    pub(crate) fn log_retry(_: Option<StatusCode>, _: Duration) {}
}
