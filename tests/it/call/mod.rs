//! Retries: failures before a successful response, and requests that are not repeated.

mod acting_user;
mod answers;
mod below;
mod download;
mod drift;
mod frozen;
mod limits;
mod logs;
mod proxy;
mod query;
mod redaction;
mod reports;
mod requests;
mod retries;
mod sizes;
pub(crate) mod spans;
mod tls;
mod wire;

use std::time::Duration;

use fullscript::testing::{FakeFullscript, FakeRequest, Script};
use fullscript::types::CreateStaffMemberRequest;
use fullscript::{CallOptions, Client, Error};
use httpmock::Then;
use httpmock::prelude::*;
use serde_json::json;

use crate::support::{Act, Closed, Misbehaving, answer, any_request, builder, client};

const CLINIC: &str = r#"{"clinic":{"id":"1","name":"A clinic"},"staff":{"id":"2"}}"#;

fn good() -> Act {
    Act::Answer(answer(200, "application/json", CLINIC))
}

/// Responds with a clinic.
fn clinic(then: Then) -> Then {
    then.status(200).body(CLINIC)
}

fn status(status: u16) -> Act {
    Act::Answer(answer(status, "text/html", "<html>sorry</html>"))
}

async fn post(client: &Client) -> Result<(), Error> {
    let member = CreateStaffMemberRequest::new("staff@example.com", "A", "B");
    let answer = client.create_staff_member().body(member).send().await;
    answer.map(|_| ())
}

/// The failures that precede a successful response.
fn failures() -> Vec<(&'static str, Act)> {
    let whole = answer(200, "application/json", CLINIC);
    let cut = whole[..whole.len() - 10].to_string();
    [
        (
            "closed before the answer",
            Act::AnswerAndClose(String::new()),
        ),
        (
            "reset before the answer",
            Act::AnswerAndReset(String::new()),
        ),
        (
            "closed within the head",
            Act::AnswerAndClose("HTTP/1.1 200 OK\r\ncont".into()),
        ),
        ("closed within the body", Act::AnswerAndClose(cut.clone())),
        ("reset within the body", Act::AnswerAndReset(cut)),
        ("silent", Act::Silence),
        (
            "slow",
            Act::Slow(
                whole.replace(CLINIC, ""),
                CLINIC.into(),
                Duration::from_millis(100),
            ),
        ),
    ]
    .into_iter()
    .chain(cut_bodies().map(|act| ("cut without a length", act)))
    .chain(TRANSIENT.map(|code| ("transient status", status(code))))
    .collect()
}

/// The statuses that a retry may cure.
const TRANSIENT: [u16; 20] = [
    408, 425, 429, 500, 502, 503, 504, 507, 520, 521, 522, 523, 524, 525, 526, 527, 529, 530, 598,
    599,
];

/// Responses without `Content-Length` whose connection was lost: in chunks, and with a body that
/// ends where the connection does.
fn cut_bodies() -> impl Iterator<Item = Act> {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n";
    let part = &CLINIC[..20];
    let chunk = format!("{:x}\r\n{part}\r\n", part.len());
    let chunked = format!("{head}transfer-encoding: chunked\r\n\r\n");
    let whole = CLINIC.len();
    [
        format!("{chunked}{chunk}"),
        format!("{chunked}{whole:x}\r\n{part}"),
        chunked.clone(),
        // A proxy that lost its own connection may end the chunks as if the body were complete.
        format!("{chunked}{chunk}0\r\n\r\n"),
        format!("{head}\r\n{part}"),
        format!("{head}\r\n{}", &CLINIC[..whole - 1]),
        format!("{head}connection: close\r\n\r\n{{"),
        format!("{head}\r\n"),
        format!("HTTP/1.0 200 OK\r\ncontent-type: application/json\r\n\r\n{part}"),
    ]
    .into_iter()
    .map(Act::AnswerAndClose)
}

#[tokio::test(start_paused = true)]
async fn a_get_is_retried_after_two_failures_of_any_kind() {
    for (name, act) in failures() {
        let server = Misbehaving::start([act.clone(), act, good()]).await;
        let options = CallOptions::new().attempt_timeout(Duration::from_millis(300));
        let client = builder(&server.url()).options(options).build().unwrap();
        let clinic = client.get_clinic().send().await;
        let clinic = clinic.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(clinic.clinic.name.as_deref(), Some("A clinic"));
        assert_eq!(clinic.attempts(), 3, "{name}");
        assert_eq!(server.requests().len(), 3, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_post_is_sent_once_and_its_error_says_that_it_may_have_arrived() {
    for (name, act) in failures() {
        let server = Misbehaving::start([act, good()]).await;
        let options = CallOptions::new().timeout(Duration::from_millis(500));
        let client = builder(&server.url()).options(options).build().unwrap();
        let error = post(&client).await.unwrap_err();
        assert_eq!(server.requests().len(), 1, "{name}");
        assert!(error.may_have_arrived(), "{name}: {error}");
        assert_eq!(error.attempts(), 1, "{name}");
        // A success without a body has taken effect.
        let is_done = error.is_empty_success();
        assert_eq!(error.is_transient(), !is_done, "{name}: {error}");
        if error.is_transport() {
            assert!(
                error.to_string().contains("may have received the request"),
                "{error}"
            );
        }
    }
}

#[tokio::test]
async fn a_post_with_a_response_or_a_closed_connection_is_not_retried() {
    for act in [
        Act::Answer(answer(200, "text/html", "<html>")),
        Act::Answer(answer(200, "application/json", "{")),
        Act::Large(128 << 20),
    ] {
        let server = Misbehaving::start([act]).await;
        let error = post(&client(&server.url())).await.unwrap_err();
        assert!(error.is_decode() && error.may_have_arrived(), "{error}");
        assert_eq!(server.requests().len(), 1);
    }
    let server = Misbehaving::start([Act::Silence, good()]).await;
    let client = client(&server.url());
    let dropped = tokio::time::timeout(Duration::from_millis(200), post(&client)).await;
    assert!(dropped.is_err());
    client.get_clinic().send().await.unwrap();
    let posts = |request: &&String| request.starts_with("POST");
    assert_eq!(server.requests().iter().filter(posts).count(), 1);
}

#[tokio::test]
async fn a_post_with_an_idempotency_key_is_retried_with_the_same_key() {
    for options in [
        CallOptions::new().idempotency_key("visit-42"),
        CallOptions::new().random_idempotency_keys(),
    ] {
        let fake = FakeFullscript::start().await.unwrap();
        fake.answer("create_staff_member", created());
        fake.answer_times("create_staff_member", 2, Script::html(503, ""));
        let client = fake.client().with_options(options);
        post(&client).await.unwrap();
        post(&client).await.unwrap();
        let requests = fake.requests();
        let keys: Vec<_> = requests
            .iter()
            .map(|request| key_of(request).unwrap())
            .collect();
        assert_eq!(keys.len(), 4);
        assert!(keys[0].len() >= 8 && keys[..3].iter().all(|key| *key == keys[0]));
    }
}

fn created() -> Script {
    Script::json(200, &json!({"staff": {"id": "2"}}))
}

fn key_of(request: &FakeRequest) -> Option<&str> {
    let mut headers = request.headers.iter();
    let (_, key) = headers.find(|(name, _)| name == "idempotency-key")?;
    Some(key)
}

#[tokio::test]
async fn a_key_of_the_call_overrides_the_options_and_is_retried() {
    let patient = fullscript::types::PatientId::new("1");
    let plan = || fullscript::types::CreateTreatmentPlanRequest::draft(vec![]);
    for options in [
        CallOptions::new(),
        CallOptions::new().random_idempotency_keys(),
    ] {
        let server = MockServer::start_async().await;
        let mut mocks = vec![];
        for status in [503, 201] {
            let mock = server.mock_async(|when, then| {
                when.method(POST)
                    .path("/api/clinic/patients/1/treatment_plans")
                    .header("idempotency-key", "visit-42");
                then.status(status)
                    .json_body(json!({"treatment_plan": {"id": "7"}}))
                    .up_to_n_times(1);
            });
            mocks.push(mock.await);
        }
        let client = client(&server.base_url()).with_options(options);
        let call = client
            .create_treatment_plan()
            .patient_id(patient.clone())
            .idempotency_key("visit-42")
            .body(plan());
        assert_eq!(call.send().await.unwrap().attempts(), 2);
        for mock in mocks {
            mock.assert_async().await;
        }
    }
    // An invalid key is rejected here, as in the options.
    let server = MockServer::start_async().await;
    let requests = any_request(&server).await;
    let call = client(&server.base_url());
    let call = call.create_treatment_plan().patient_id(patient);
    let error = call.idempotency_key("").body(plan()).send().await;
    assert!(error.unwrap_err().is_invalid_request());
    requests.assert_calls_async(0).await;
}

#[tokio::test]
async fn random_keys_differ_and_an_invalid_key_is_not_sent() {
    let fake = FakeFullscript::start().await.unwrap();
    fake.answer("create_staff_member", created());
    let client = fake.client();
    let random = client.with_options(CallOptions::new().random_idempotency_keys());
    post(&random).await.unwrap();
    post(&random).await.unwrap();
    random.get_clinic().send().await.unwrap();
    let requests = fake.requests();
    assert_ne!(key_of(&requests[0]).unwrap(), key_of(&requests[1]).unwrap());
    assert_eq!(key_of(&requests[2]), None, "only a POST has a key");
    for bad in ["", "with space", "ümlaut", &"x".repeat(256)] {
        let client = client.with_options(CallOptions::new().idempotency_key(bad));
        let error = post(&client).await.unwrap_err();
        assert!(
            error.is_invalid_request() && !error.may_have_arrived(),
            "{error}"
        );
    }
    assert_eq!(fake.requests().len(), 3);
}

#[tokio::test]
async fn a_get_on_a_connection_closed_while_idle_is_retried() {
    let server = Misbehaving::start([
        Act::AnswerThenHangUp(answer(200, "application/json", CLINIC)),
        good(),
    ])
    .await;
    let client = client(&server.url());
    client.get_clinic().send().await.unwrap();
    let started = std::time::Instant::now();
    client.get_clinic().send().await.unwrap();
    assert_eq!(server.requests().len(), 3);
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_refused_connection_is_retried_even_for_a_post() {
    let closed = Closed::new();
    let options = CallOptions::new().max_attempts(3);
    let client = builder(&closed.url()).options(options).build().unwrap();
    let error = post(&client).await.unwrap_err();
    assert!(error.is_transport() && !error.may_have_arrived(), "{error}");
    assert_eq!(error.attempts(), 3);
    assert!(!error.to_string().contains("may have received"), "{error}");
}

#[tokio::test]
async fn retries_bridge_an_outage_of_five_seconds() {
    let closed = Closed::new();
    let options = CallOptions::new().max_attempts(30);
    let client = builder(&closed.url()).options(options).build().unwrap();
    let calls = tokio::spawn(async move {
        let got = client.get_clinic().send().await.map(|_| ());
        got.and(post(&client).await)
    });
    // Real time: the test shows that retries bridge an outage of five seconds.
    tokio::time::sleep(Duration::from_secs(5)).await;
    let server = closed.open([good()]);
    calls.await.unwrap().unwrap();
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn an_unknown_host_and_a_server_without_tls_are_clear_errors() {
    let server = MockServer::start_async().await;
    let requests = any_request(&server).await;
    // A mock server has no TLS, so the handshake fails.
    let plain = server.base_url().replace("http://", "https://");
    for url in ["https://no-such-host.invalid", &plain] {
        let options = CallOptions::new().max_attempts(2);
        let client = builder(url).options(options).build().unwrap();
        let error = post(&client).await.unwrap_err();
        assert!(error.is_transport() && !error.may_have_arrived(), "{error}");
        assert_eq!(error.operation_id(), "create_staff_member");
    }
    requests.assert_calls_async(0).await;
}

#[tokio::test]
async fn dropped_calls_leave_the_client_usable() {
    let server = Misbehaving::start([Act::Silence, Act::Silence, Act::Silence, good()]).await;
    let client = builder(&server.url()).concurrency(1).build().unwrap();
    for _ in 0..3 {
        let call = client.get_clinic().send();
        let dropped = tokio::time::timeout(Duration::from_millis(100), call).await;
        assert!(dropped.is_err());
    }
    client.get_clinic().send().await.unwrap();
    assert_eq!(server.requests().len(), 4);
}
