//! The `tracing` spans of calls.

use std::io::Write;
use std::sync::{Arc, LazyLock, Mutex};

use fullscript::CallOptions;
use fullscript::testing::{FakeFullscript, Script};
use serde_json::json;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::FmtSpan;

/// A log in memory.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// A second subscriber, which records nothing.
///
/// With a single subscriber, `tracing` caches the interest of the first thread that reaches a span.
/// The threads of other tests have no subscriber, so the span would stay disabled.
static SECOND: LazyLock<tracing::Dispatch> =
    LazyLock::new(|| tracing::Dispatch::new(tracing_subscriber::registry()));

/// Records all spans and events of this thread until the guard is dropped.
pub(crate) fn log_all() -> (Log, tracing::subscriber::DefaultGuard) {
    LazyLock::force(&SECOND);
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_span_events(FmtSpan::FULL)
        .with_ansi(false)
        .with_writer(log.clone())
        .finish();
    (log, tracing::subscriber::set_default(subscriber))
}

#[tokio::test]
async fn a_call_is_one_span_with_conventional_field_names() {
    let fake = FakeFullscript::start().await.unwrap();
    let client = fake.client();
    let (log, guard) = log_all();
    fake.answer_times("search_patients", 1, Script::html(503, "busy"));
    let search = client.search_patients().query("somebody");
    search.send().await.unwrap();
    drop(guard);
    let log = log.text();
    let spans: Vec<_> = log
        .lines()
        .filter(|line| line.contains("fullscript: close"))
        .collect();
    assert_eq!(spans.len(), 1, "{log}");
    for field in [
        r#"otel.name="GET /api/clinic/search/patients""#,
        r#"otel.kind="client""#,
        r#"http.request.method="GET""#,
        "http.request.resend_count=1",
        "http.response.status_code=200",
        r#"url.template="/api/clinic/search/patients""#,
        r#"server.address="127.0.0.1""#,
        "server.port=",
        r#"fullscript.operation_id="search_patients""#,
        r#"fullscript.request_id="00000000-0000-4000-8000-000000000002""#,
    ] {
        assert!(spans[0].contains(field), "{field} in {}", spans[0]);
    }
    assert!(!spans[0].contains("error.type"), "{}", spans[0]);
    assert!(
        log.contains("retrying request") && !log.contains("somebody"),
        "{log}"
    );
}

#[tokio::test]
async fn the_span_of_a_failure_has_the_error_type() {
    let fake = FakeFullscript::start().await.unwrap();
    let once = CallOptions::new().max_attempts(1);
    let client = fake.client_builder().options(once).build().unwrap();
    for (script, error_type) in [
        (Script::html(500, ""), "server_error"),
        (Script::html(404, ""), "refused"),
        (Script::html(200, "<html>"), "decode"),
        (Script::json(200, &json!({"clinic": {}})), "decode"),
        (Script::json(200, &json!({"clinic": {"id": {}}})), "decode"),
        (Script::json(200, &json!(null)), "empty_success"),
    ] {
        fake.answer("get_clinic", script);
        let (log, guard) = log_all();
        client.get_clinic().send().await.unwrap_err();
        drop(guard);
        let log = log.text();
        assert!(
            log.contains(&format!("error.type=\"{error_type}\"")),
            "{log}"
        );
        assert!(log.contains(r#"otel.status_code="ERROR""#), "{log}");
    }
    drop(fake);
    let (log, guard) = log_all();
    client.get_clinic().send().await.unwrap_err();
    drop(guard);
    assert!(
        log.text().contains(r#"error.type="connection""#),
        "{}",
        log.text()
    );
}
