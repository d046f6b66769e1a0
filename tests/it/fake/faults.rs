//! Faults in transit, and how the client reports them.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use fullscript::testing::{FakeFullscript, Fault, Script};
use fullscript::types::CreateStaffMemberRequest;
use fullscript::{CallOptions, Client, Error, RateLimit};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{Connected, MODES, connect, consent};

const SECOND: Duration = Duration::from_secs(1);

fn once(fake: &FakeFullscript) -> Client {
    fake.client()
        .with_options(CallOptions::new().max_attempts(1).timeout(SECOND))
}

async fn failure(fault: Fault) -> Error {
    let fake = FakeFullscript::start().await.unwrap();
    fake.fault_times("list_patients", 1, fault);
    let error = once(&fake).list_patients().send().await.unwrap_err();
    assert_eq!(fake.count("list_patients"), 1);
    error
}

#[tokio::test]
async fn a_broken_connection_is_a_failure_in_transport() {
    for fault in [
        Fault::reset_before_headers(),
        Fault::reset_before_headers().after_effect(),
        Fault::reset_within_body(),
        Fault::truncated_body(),
    ] {
        let error = failure(fault.clone()).await;
        assert!(
            error.is_transport() && error.is_transient(),
            "{fault:?}: {error}"
        );
        assert!(
            error.may_have_arrived() && !error.is_timeout(),
            "{fault:?}: {error}"
        );
    }
}

/// Returns what a socket reads until its end, and how it ends.
async fn read(fault: Fault) -> (String, std::io::Result<()>) {
    let fake = FakeFullscript::start().await.unwrap();
    fake.fault("list_patients", fault);
    let mut socket = TcpStream::connect(&fake.url()["http://".len()..])
        .await
        .unwrap();
    let request = b"GET /api/clinic/patients HTTP/1.1\r\nhost: fake\r\nauthorization: Bearer fake-access-token\r\n\r\n";
    socket.write_all(request).await.unwrap();
    let mut bytes = Vec::new();
    let ended = socket.read_to_end(&mut bytes).await.map(|_| ());
    (String::from_utf8(bytes).unwrap(), ended)
}

#[tokio::test]
async fn a_reset_is_a_socket_reset_and_a_truncated_body_a_normal_close() {
    let reset = |ended: std::io::Result<()>| {
        ended.is_err_and(|error| error.kind() == ErrorKind::ConnectionReset)
    };
    let (text, ended) = read(Fault::reset_before_headers()).await;
    assert!(text.is_empty() && reset(ended));
    let (within, ended) = read(Fault::reset_within_body()).await;
    assert!(within.starts_with("HTTP/1.1 200 OK") && reset(ended));
    let (truncated, ended) = read(Fault::truncated_body()).await;
    assert!(ended.is_ok());
    for text in [within, truncated] {
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let mut lines = head.lines();
        let length = lines.find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.unwrap().parse().unwrap();
        assert_eq!(body.len(), length / 2);
        assert!(!body.is_empty());
    }
}

#[tokio::test]
#[should_panic(expected = "unknown operation id `list_patient`")]
async fn a_fault_of_no_operation_is_a_mistake_of_the_test() {
    let fake = FakeFullscript::start().await.unwrap();
    fake.fault("list_patient", Fault::html());
}

#[tokio::test]
async fn a_slow_answer_is_a_time_out() {
    for fault in [
        Fault::silence(),
        Fault::delay(2 * SECOND),
        Fault::slow_body(2 * SECOND),
    ] {
        let error = failure(fault.clone()).await;
        assert!(
            error.is_timeout() && error.is_transient(),
            "{fault:?}: {error}"
        );
    }
}

#[tokio::test]
async fn a_refusal_has_its_status() {
    let error = failure(Fault::expired_token()).await;
    assert!(error.is_unauthorized(), "{error}");
    let reason = error.headers().unwrap()["www-authenticate"]
        .to_str()
        .unwrap();
    assert!(reason.contains("The access token expired"), "{reason}");
    for status in [500, 502, 503, 504] {
        let error = failure(Fault::status(status)).await;
        assert_eq!(error.status().unwrap(), status);
        assert!(error.is_transient(), "{error}");
    }
    let error = failure(Fault::rate_limited(Duration::from_millis(29_001))).await;
    assert!(error.is_rate_limited() && error.is_transient(), "{error}");
    assert_eq!(error.retry_after(), Some(30 * SECOND));
    let error = failure(Fault::html()).await;
    assert!(error.is_decode() && !error.is_transient(), "{error}");
    assert_eq!(error.status().unwrap(), 200);
}

#[tokio::test]
async fn a_read_survives_two_of_each_fault() {
    for fault in [
        Fault::reset_before_headers(),
        Fault::reset_within_body(),
        Fault::truncated_body(),
        Fault::status(503),
        Fault::rate_limited(Duration::ZERO),
        Fault::silence(),
    ] {
        let fake = FakeFullscript::start().await.unwrap();
        fake.fault_times("list_patients", 2, fault.clone());
        let options = CallOptions::new().attempt_timeout(SECOND / 2);
        let client = fake.client().with_options(options);
        let patients = client.list_patients().send().await;
        let patients = patients.unwrap_or_else(|error| panic!("{fault:?}: {error}"));
        assert!(!patients.patients.is_empty());
        assert_eq!((patients.attempts(), fake.count("list_patients")), (3, 3));
    }
}

#[tokio::test]
async fn a_slow_body_is_complete_after_its_time() {
    let fake = FakeFullscript::start().await.unwrap();
    for fault in [Fault::slow_body(SECOND / 2), Fault::delay(SECOND / 2)] {
        fake.fault_times("list_patients", 1, fault);
        let begin = Instant::now();
        let patients = fake.client().list_patients().send().await.unwrap();
        assert!(!patients.patients.is_empty());
        assert_eq!(patients.attempts(), 1);
        assert!(
            begin.elapsed() >= SECOND * 45 / 100,
            "{:?}",
            begin.elapsed()
        );
    }
}

#[tokio::test]
async fn faults_apply_to_the_counted_requests() {
    let fake = FakeFullscript::start().await.unwrap();
    let client = once(&fake);
    fake.fault_times("get_clinic", 2, Fault::none());
    fake.fault_times("get_clinic", 1, Fault::status(503));
    let mut statuses = Vec::new();
    for _ in 0..4 {
        let answer = client.get_clinic().send().await;
        statuses.push(match answer {
            Ok(good) => good.status().as_u16(),
            Err(error) => error.status().unwrap().as_u16(),
        });
    }
    assert_eq!(statuses, [200, 200, 503, 200]);
    fake.fault("get_clinic", Fault::status(500));
    // A scripted response stays queued until the faults end.
    fake.answer_times(
        "get_clinic",
        1,
        Script::json(200, &json!({"clinic": {"id": "mine"}})),
    );
    for _ in 0..2 {
        assert_eq!(
            client
                .get_clinic()
                .send()
                .await
                .unwrap_err()
                .status()
                .unwrap(),
            500
        );
    }
    client.list_patients().send().await.unwrap();
    fake.end_faults();
    let clinic = client.get_clinic().send().await.unwrap();
    assert_eq!(clinic.clinic.id.to_string(), "mine");
}

#[tokio::test]
async fn a_token_that_is_called_expired_is_refreshed_once_and_the_call_replayed() {
    let connected = Connected::new().await;
    connected
        .fake
        .fault_times("get_clinic", 1, Fault::expired_token());
    let client = connected.app.client("practitioner");
    client.get_clinic().send().await.unwrap();
    assert_eq!(connected.refreshes(), 1);
    assert_eq!(connected.fake.count("get_clinic"), 2);
}

#[tokio::test]
async fn an_invalid_grant_ends_a_code_and_a_connection() {
    let fake = FakeFullscript::start().await.unwrap();
    let app = fake.app_builder().build().unwrap();
    fake.fault_times("create_oauth_token", 1, Fault::invalid_grant());
    let code = consent(&fake, &app, "practitioner");
    let error = app.exchange(code).await.unwrap_err();
    assert!(error.is_code_expired(), "{error}");
    let user = connect(&fake, &app, "practitioner").await;
    fake.fault_times("create_oauth_token", 1, Fault::invalid_grant());
    fake.expire_access_tokens();
    let error = app.client(user.id()).get_clinic().send().await.unwrap_err();
    assert!(error.needs_reconnect(), "{error}");
    assert_eq!(fake.count("create_oauth_token"), 3);
}

/// Faults of a refresh that do not affect the connection.
fn unclear() -> Vec<Fault> {
    vec![
        Fault::reset_before_headers(),
        Fault::reset_within_body(),
        Fault::truncated_body(),
        Fault::status(503),
        Fault::rate_limited(Duration::ZERO),
        Fault::html(),
    ]
}

#[tokio::test]
async fn a_lost_refresh_response_is_retried_with_the_old_token() {
    for fault in unclear() {
        let connected = Connected::new().await;
        let client = connected.app.client("practitioner");
        connected.expire();
        let lost = fault.clone().after_effect();
        connected.fake.fault_times("create_oauth_token", 1, lost);
        let clinic = client.get_clinic().send().await;
        clinic.unwrap_or_else(|error| panic!("{fault:?}: {error}"));
        assert_eq!(connected.refreshes(), 2, "{fault:?}");
    }
}

#[tokio::test]
async fn a_refresh_that_never_took_effect_is_repeated_in_every_mode() {
    for mode in MODES {
        let connected = Connected::new().await;
        connected.fake.refresh_mode(mode);
        connected.expire();
        connected
            .fake
            .fault_times("create_oauth_token", 1, Fault::reset_before_headers());
        let client = connected.app.client("practitioner");
        client.get_clinic().send().await.unwrap();
        assert_eq!(connected.refreshes(), 2, "{mode:?}");
    }
}

#[tokio::test]
async fn a_lost_refresh_response_disconnects_if_the_old_token_is_revoked_immediately() {
    let connected = Connected::new().await;
    connected
        .fake
        .refresh_mode(fullscript::testing::RefreshMode::RevokeAtOnce);
    connected.expire();
    let lost = Fault::reset_before_headers().after_effect();
    connected.fake.fault_times("create_oauth_token", 1, lost);
    let client = connected.app.client("practitioner");
    let error = client.get_clinic().send().await.unwrap_err();
    assert!(error.needs_reconnect(), "{error}");
}

#[tokio::test]
async fn a_post_that_is_reset_is_sent_once_and_says_that_it_may_have_arrived() {
    let fake = FakeFullscript::start().await.unwrap();
    fake.fault_times("create_staff_member", 1, Fault::reset_before_headers());
    let member = CreateStaffMemberRequest::new("staff@example.com", "A", "B");
    let client = fake.client();
    let call = client.create_staff_member().body(member).send();
    let error = call.await.unwrap_err();
    assert!(error.is_transport() && error.may_have_arrived(), "{error}");
    assert_eq!(fake.count("create_staff_member"), 1);
}

#[tokio::test]
async fn the_limit_of_the_fake_rolls_with_its_clock_and_counts_every_operation() {
    let fake = FakeFullscript::start().await.unwrap();
    // A new client each time, because a rate-limited client waits before its next request.
    let clinic = async || once(&fake).get_clinic().send().await;
    fake.clock().stop();
    fake.rate_limit(RateLimit::new(2, 300 * SECOND));
    clinic().await.unwrap();
    fake.advance(100 * SECOND).await;
    once(&fake).list_patients().send().await.unwrap();
    for left in [200, 150] {
        let error = clinic().await.unwrap_err();
        assert!(error.is_rate_limited(), "{error}");
        assert_eq!(error.retry_after(), Some(left * SECOND));
        fake.advance(50 * SECOND).await;
    }
    fake.advance(100 * SECOND).await;
    // The first request has left the window. A rejected request does not count.
    clinic().await.unwrap();
    clinic().await.unwrap_err();
    fake.rate_limit(RateLimit::off());
    clinic().await.unwrap();
}

#[tokio::test]
async fn the_client_waits_as_long_as_the_limit_of_the_fake_says() {
    let fake = FakeFullscript::start().await.unwrap();
    fake.rate_limit(RateLimit::new(1, 2 * SECOND));
    let begin = Instant::now();
    for attempts in [1, 2] {
        let clinic = fake.client().get_clinic().send().await.unwrap();
        assert_eq!(clinic.attempts(), attempts);
    }
    assert!(begin.elapsed() >= 2 * SECOND);
}

#[tokio::test]
async fn a_fault_shows_no_more_than_its_name() {
    let shown = format!("{:?} {:?}", Fault::truncated_body(), Fault::delay(SECOND));
    assert_eq!(shown, "Fault(truncated_body) Fault(delay, 1s)");
    assert_eq!(format!("{:?}", Fault::html()), "Fault(status 200)");
}
