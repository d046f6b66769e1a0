//! Log events at the level INFO and above: one for each fact, with documented fields.

use std::time::Duration;

use fullscript::testing::{FakeFullscript, Fault, Script};
use fullscript::{CallOptions, Client, RateLimit};
use serde_json::json;

use super::spans::{Log, log_all};
use crate::support::{Connected, connect};

/// Returns the lines of events, without spans, at the level INFO and above.
fn events(log: &Log) -> Vec<String> {
    let text = log.text();
    let lines = text.lines().map(|line| line.trim_start().to_owned());
    let of_level = |line: &String| ["INFO", "WARN", "ERROR"].iter().any(|it| line.contains(it));
    let of_span = |line: &String| {
        [": new", ": enter", ": exit", ": close"]
            .iter()
            .any(|it| line.contains(it))
    };
    lines
        .filter(of_level)
        .filter(|line| !of_span(line))
        .collect()
}

#[track_caller]
fn check(log: &Log, expected: &[&[&str]]) {
    let events = events(log);
    assert_eq!(events.len(), expected.len(), "{events:#?}");
    for (event, parts) in events.iter().zip(expected) {
        for part in *parts {
            assert!(event.contains(part), "{part} in {event}");
        }
    }
}

#[tokio::test]
async fn a_failed_call_is_one_event_and_a_retry_or_a_success_none() {
    let fake = FakeFullscript::start().await.unwrap();
    let client = fake.client();
    let (log, guard) = log_all();
    fake.fault_times("get_clinic", 2, Fault::status(503));
    client.get_clinic().await.unwrap();
    check(&log, &[]);
    drop(guard);
    assert_eq!(log.text().matches("retrying request").count(), 2);

    let once = client.with_options(CallOptions::new().max_attempts(2));
    for (script, level, error_type, status) in [
        (Script::html(500, ""), "WARN", "server_error", 500),
        (Script::html(404, ""), "INFO", "refused", 404),
        (Script::html(422, ""), "INFO", "refused", 422),
        (Script::html(200, "<html>"), "WARN", "decode", 200),
    ] {
        fake.answer("get_clinic", script);
        let (log, guard) = log_all();
        once.get_clinic().await.unwrap_err();
        drop(guard);
        let error_type = format!("error.type=\"{error_type}\"");
        let status = format!("http.response.status_code={status}");
        check(
            &log,
            &[&[
                level,
                "call failed",
                &error_type,
                &status,
                "http.request.resend_count=",
                "fullscript.operation_id=\"get_clinic\"",
                "fullscript.request_id=\"00000000-",
            ]],
        );
    }
    drop(fake);
    let (log, guard) = log_all();
    once.get_clinic().await.unwrap_err();
    drop(guard);
    check(
        &log,
        &[&["WARN", "call failed", "error.type=\"connection\""]],
    );
}

#[tokio::test]
async fn a_429_pauses_the_limiter_with_one_event() {
    let fake = FakeFullscript::start().await.unwrap();
    let once = CallOptions::new().max_attempts(1);
    let client: Client = fake.client_builder().options(once).build().unwrap();
    fake.fault("get_clinic", Fault::rate_limited(Duration::from_secs(30)));
    let (log, guard) = log_all();
    client.get_clinic().await.unwrap_err();
    drop(guard);
    check(
        &log,
        &[
            &[
                "WARN",
                "rate limit: paused after a 429",
                "fullscript.paused=\"user\"",
                "fullscript.retry_after_ms=30000",
            ],
            &["WARN", "call failed", "http.response.status_code=429"],
        ],
    );
}

#[tokio::test(start_paused = true)]
async fn a_refresh_failure_an_open_breaker_and_a_needed_reconnect_are_one_event_each() {
    let connected = Connected::unlimited().await;
    let (fake, app) = (&connected.fake, &connected.app);
    for user in ["user-1", "user-2"] {
        connect(fake, app, user).await;
    }
    connected.expire();
    fake.fault("create_oauth_token", Fault::status(503));
    let (log, guard) = log_all();
    app.client("user-1").get_clinic().await.unwrap_err();
    app.client("user-2").get_clinic().await.unwrap_err();
    drop(guard);
    let failed = |user| {
        format!(
            "WARN fullscript: token refresh failed, it is repeated \
             fullscript.event=\"refresh_failed\" fullscript.user=\"Practitioner/{user}\" \
             fullscript.cause=\"unreachable\" fullscript.attempt=1"
        )
    };
    let text = events(&log).join("\n");
    for (event, times) in [
        (&*failed("user-1"), 1),
        (&*failed("user-2"), 1),
        ("circuit breaker opened", 1),
        ("call failed error.type=\"auth\"", 2),
        ("fullscript.failures=5", 1),
        ("\n", 4),
    ] {
        assert_eq!(text.matches(event).count(), times, "{event} in {text}");
    }
    // Refused without a request.
    let (log, guard) = log_all();
    app.client("practitioner").get_clinic().await.unwrap_err();
    drop(guard);
    check(&log, &[&["WARN", "call failed", "error.type=\"auth\""]]);
    // The endpoint works again.
    fake.end_faults();
    tokio::time::advance(Duration::from_secs(60)).await;
    let (log, guard) = log_all();
    app.client("practitioner").get_clinic().await.unwrap();
    drop(guard);
    let text = events(&log).join("\n");
    assert_eq!(text.matches("circuit breaker closed").count(), 1, "{text}");

    fake.end_connection("practitioner");
    connected.expire();
    let (log, guard) = log_all();
    app.client("practitioner").get_clinic().await.unwrap_err();
    app.client("practitioner").get_clinic().await.unwrap_err();
    drop(guard);
    let text = events(&log).join("\n");
    let reconnect = "the user must reconnect fullscript.event=\"needs_reconnect\" \
                     fullscript.user=\"Practitioner/practitioner\"";
    assert_eq!(text.matches(reconnect).count(), 1, "{text}");
    assert_eq!(text.matches("call failed").count(), 2, "{text}");
}

#[tokio::test]
async fn no_event_contains_what_a_caller_or_the_server_sent() {
    let fake = FakeFullscript::start().await.unwrap();
    let client = fake
        .client_builder()
        .rate_limit(RateLimit::off())
        .build()
        .unwrap();
    let planted = json!({"error": "PLANTED", "errors": [{"message": "PLANTED"}]});
    let (log, guard) = log_all();
    for status in [400, 401, 403, 404, 409, 422, 429, 500] {
        fake.answer("search_patients", Script::json(status, &planted));
        let once = client.with_options(CallOptions::new().max_attempts(1));
        once.search_patients().query("PLANTED").await.unwrap_err();
        fake.answer("get_patient", Script::json(status, &planted));
        once.get_patient().id("PLANTED-1").await.unwrap_err();
    }
    drop(guard);
    assert_eq!(events(&log).len(), 16);
    assert!(!log.text().contains("PLANTED"), "{}", log.text());
}
