//! Calls that meet trouble on the way.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use fullscript::http::Method;
use fullscript::types::CreateStaffMemberRequest;
use fullscript::{AccessToken, CallOptions, CallReport, Client, ClientBuilder, Environment, Error};
use fullscript::{RateLimit, testing};
use serde_json::{Value, json};

use crate::support::{Act, Closed, Misbehaving, answer, answer_with};

const CLINIC: &str = r#"{"clinic":{"id":"1","name":"A clinic"},"staff":{"id":"2"}}"#;

fn good() -> Act {
    Act::Answer(answer(200, "application/json", CLINIC))
}

fn status(status: u16) -> Act {
    Act::Answer(answer(status, "text/html", "<html>sorry</html>"))
}

fn builder(url: &str) -> ClientBuilder {
    Client::builder(Environment::UsSandbox)
        .base_url(url)
        .access_token(AccessToken::new("token"))
}

fn client(url: &str) -> Client {
    builder(url).build().unwrap()
}

async fn post(client: &Client) -> Result<(), Error> {
    let member = CreateStaffMemberRequest::builder()
        .email("staff@example.com")
        .first_name("A")
        .last_name("B");
    let answer = client.create_staff_member().body(member).send().await;
    answer.map(|_| ())
}

/// What happens before an answer that is good.
fn troubles() -> Vec<(&'static str, Act)> {
    let whole = answer(200, "application/json", CLINIC);
    let cut = whole[..whole.len() - 10].to_string();
    vec![
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
        ("408", status(408)),
        ("425", status(425)),
        ("429", status(429)),
        ("500", status(500)),
        ("502", status(502)),
        ("503", status(503)),
        ("504", status(504)),
    ]
}

#[tokio::test]
async fn a_get_survives_two_troubles_of_any_kind() {
    for (name, act) in troubles() {
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

#[tokio::test]
async fn a_post_is_sent_once_whatever_happens_and_says_that_it_may_have_arrived() {
    for (name, act) in troubles() {
        let server = Misbehaving::start([act, good()]).await;
        let options = CallOptions::new().timeout(Duration::from_millis(500));
        let client = builder(&server.url()).options(options).build().unwrap();
        let error = post(&client).await.unwrap_err();
        assert_eq!(server.requests().len(), 1, "{name}");
        assert!(error.may_have_arrived(), "{name}: {error}");
        assert_eq!(error.attempts(), 1, "{name}");
        assert!(error.is_transient(), "{name}: {error}");
        if error.is_transport() {
            assert!(error.to_string().contains("it may have arrived"), "{error}");
        }
    }
}

#[tokio::test]
async fn a_post_that_was_answered_or_dropped_is_not_sent_again() {
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
async fn a_post_with_a_key_is_repeated_with_the_same_key() {
    for options in [
        CallOptions::new().idempotency_key("visit-42"),
        CallOptions::new().random_idempotency_keys(),
    ] {
        let server = Misbehaving::start([status(503), status(503), good()]).await;
        let client = client(&server.url()).with_options(options);
        post(&client).await.unwrap();
        post(&client).await.unwrap();
        let keys: Vec<_> = server
            .requests()
            .iter()
            .map(|request| key_of(request))
            .collect();
        assert_eq!(keys.len(), 4);
        assert!(keys[0].len() >= 8 && keys[..3].iter().all(|key| *key == keys[0]));
    }
}

fn key_of(request: &str) -> String {
    let mut lines = request.lines();
    let key = lines.find_map(|line| line.strip_prefix("idempotency-key: "));
    key.expect("a key").into()
}

#[tokio::test]
async fn random_keys_differ_and_a_bad_key_is_not_sent() {
    let server = Misbehaving::start([good()]).await;
    let client = client(&server.url());
    let random = client.with_options(CallOptions::new().random_idempotency_keys());
    post(&random).await.unwrap();
    post(&random).await.unwrap();
    random.get_clinic().send().await.unwrap();
    let requests = server.requests();
    assert_ne!(key_of(&requests[0]), key_of(&requests[1]));
    assert!(
        !requests[2].contains("idempotency-key"),
        "only a POST has a key"
    );
    for bad in ["", "with space", "ümlaut", &"x".repeat(256)] {
        let client = client.with_options(CallOptions::new().idempotency_key(bad));
        let error = post(&client).await.unwrap_err();
        assert!(
            error.is_invalid_request() && !error.may_have_arrived(),
            "{error}"
        );
    }
    assert_eq!(server.requests().len(), 3);
}

#[tokio::test]
async fn a_connection_closed_while_idle_costs_a_get_nothing() {
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
async fn what_never_left_this_machine_is_sent_again_even_a_post() {
    let closed = Closed::new();
    let options = CallOptions::new().attempts(3);
    let client = builder(&closed.url()).options(options).build().unwrap();
    let error = post(&client).await.unwrap_err();
    assert!(error.is_transport() && !error.may_have_arrived(), "{error}");
    assert_eq!(error.attempts(), 3);
    assert!(!error.to_string().contains("may have arrived"), "{error}");
}

#[tokio::test]
async fn a_server_that_is_gone_for_five_seconds_is_waited_for() {
    let closed = Closed::new();
    let options = CallOptions::new().attempts(30);
    let client = builder(&closed.url()).options(options).build().unwrap();
    let calls = tokio::spawn(async move {
        let got = client.get_clinic().send().await.map(|_| ());
        got.and(post(&client).await)
    });
    // The five seconds are the point.
    tokio::time::sleep(Duration::from_secs(5)).await;
    let server = closed.open([good()]);
    calls.await.unwrap().unwrap();
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn a_name_that_is_none_and_a_server_without_tls_are_clear_errors() {
    let server = Misbehaving::start([good()]).await;
    let plain = server.url().replace("http://", "https://");
    for url in ["https://no-such-host.invalid", &plain] {
        let options = CallOptions::new().attempts(2);
        let client = builder(url).options(options).build().unwrap();
        let error = post(&client).await.unwrap_err();
        assert!(error.is_transport() && !error.may_have_arrived(), "{error}");
        assert_eq!(error.operation_id(), "create_staff_member");
    }
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn a_wrong_length_is_no_answer() {
    let length = CLINIC.len();
    let long = answer(200, "application/json", CLINIC).replace(
        &format!("content-length: {length}"),
        &format!("content-length: {}", length + 10),
    );
    let server = Misbehaving::start([Act::AnswerAndClose(long)]).await;
    let client = client(&server.url()).with_options(CallOptions::new().attempts(2));
    let error = client.get_clinic().send().await.unwrap_err();
    assert!(error.is_transport(), "{error}");
    assert_eq!(error.status().unwrap(), 200);
    assert_eq!(error.body().unwrap(), CLINIC.as_bytes());
    assert_eq!(server.requests().len(), 2);
    // More than was announced: the rest is not part of the answer, and of no
    // other either.
    let short = answer(200, "application/json", CLINIC) + "HTTP/1.1 200 OK\r\n\r\n{}";
    let server = Misbehaving::start([Act::Answer(short), good()]).await;
    let client = self::client(&server.url());
    for _ in 0..3 {
        let clinic = client.get_clinic().send().await.unwrap();
        assert_eq!(clinic.clinic.name.as_deref(), Some("A clinic"));
    }
}

#[tokio::test]
async fn html_where_json_was_expected_is_a_decode_error_and_not_repeated() {
    let server =
        Misbehaving::start([Act::Answer(answer(200, "text/html", "<html>")), good()]).await;
    let error = client(&server.url()).get_clinic().send().await.unwrap_err();
    assert!(error.is_decode() && !error.is_transient(), "{error}");
    assert_eq!(error.body().unwrap(), b"<html>");
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn the_time_of_a_call_holds_for_all_attempts() {
    let server = Misbehaving::start([Act::Silence]).await;
    let options = CallOptions::new()
        .timeout(Duration::from_millis(600))
        .attempt_timeout(Duration::from_millis(100));
    let client = client(&server.url()).with_options(options);
    let started = std::time::Instant::now();
    let error = client.get_clinic().send().await.unwrap_err();
    assert!(error.is_timeout() && error.is_transient(), "{error}");
    assert!(started.elapsed() < Duration::from_secs(3));
    assert!(server.requests().len() >= 2);
}

#[tokio::test]
async fn retry_after_is_heeded_where_there_is_time_for_it() {
    let wait =
        |seconds: &str| Act::Answer(answer_with(429, &format!("retry-after: {seconds}\r\n"), ""));
    let server = Misbehaving::start([wait("1"), good()]).await;
    let started = std::time::Instant::now();
    let client = client(&server.url());
    assert_eq!(client.get_clinic().send().await.unwrap().attempts(), 2);
    assert!(started.elapsed() >= Duration::from_secs(1));
    // Longer than the call may take: told at once.
    let server = Misbehaving::start([wait("120"), good()]).await;
    let client = self::client(&server.url());
    let error = client.get_clinic().send().await.unwrap_err();
    assert!(error.is_rate_limited() && error.is_transient(), "{error}");
    assert_eq!(error.retry_after(), Some(Duration::from_secs(120)));
    assert_eq!(server.requests().len(), 1);
    // Whoever calls now would wait for the limit, and is told so too.
    let error = client.get_clinic().send().await.unwrap_err();
    assert!(
        error.is_rate_limited() && !error.may_have_arrived(),
        "{error}"
    );
    assert!(error.retry_after().unwrap() > Duration::from_secs(60));
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn no_number_of_a_server_or_a_caller_is_too_large() {
    let forever = Act::Answer(answer_with(
        503,
        "retry-after: 18446744073709551615\r\n",
        "",
    ));
    let server = Misbehaving::start([forever, good()]).await;
    let options = CallOptions::new()
        .timeout(Duration::MAX)
        .attempt_timeout(Duration::MAX);
    let client = builder(&server.url()).options(options).build().unwrap();
    let error = client.get_clinic().send().await.unwrap_err();
    assert_eq!(error.retry_after(), Some(Duration::from_secs(86_400)));
    client.get_clinic().send().await.unwrap();
}

#[tokio::test]
async fn a_body_that_breaks_off_while_it_is_read_is_an_answer_all_the_same() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/pdf\r\ncontent-length: 100\r\n\r\n";
    let server = Misbehaving::start([Act::AnswerAndClose(format!("{head}%PDF"))]).await;
    let client = client(&server.url());
    let request = client.request(Method::POST, "/api/clinic/new");
    let mut body = request.send_bytes().await.unwrap().into_inner();
    let error = loop {
        match body.chunk().await {
            Ok(chunk) => assert!(chunk.is_some()),
            Err(error) => break error,
        }
    };
    assert!(error.may_have_arrived() && error.is_transport(), "{error}");
    assert_eq!(
        (error.attempts(), error.status().unwrap().as_u16()),
        (1, 200)
    );
}

#[tokio::test]
async fn a_storm_of_429_ends_with_the_budget() {
    let refuse = Act::Answer(answer_with(429, "retry-after: 0\r\n", ""));
    let server = Misbehaving::start([refuse]).await;
    let client = builder(&server.url())
        .rate_limit(RateLimit::off())
        .build()
        .unwrap();
    for _ in 0..200 {
        let error = client.get_clinic().send().await.unwrap_err();
        assert!(error.is_rate_limited());
    }
    // 500 tokens at 5 a retry: 100 retries besides the 200 calls.
    assert_eq!(server.requests().len(), 300);
}

#[tokio::test]
async fn the_limit_of_requests_holds_and_can_be_turned_off() {
    let server = Misbehaving::start([good()]).await;
    let limit = RateLimit::new(3, Duration::from_secs(3_600));
    let options = CallOptions::new().timeout(Duration::from_millis(200));
    let client = builder(&server.url())
        .rate_limit(limit)
        .options(options)
        .build()
        .unwrap();
    let mut sent = 0;
    let error = loop {
        match client.get_clinic().send().await {
            Ok(_) => sent += 1,
            Err(error) => break error,
        }
    };
    assert!((1..=3).contains(&sent), "{sent}");
    assert!(
        error.is_rate_limited() && !error.may_have_arrived(),
        "{error}"
    );
    assert_eq!(error.attempts(), 0);
    assert!(error.retry_after().is_some());
    assert_eq!(server.requests().len(), sent);
}

#[tokio::test]
async fn reports_tell_what_happened_and_nothing_else() {
    let reports: Arc<Mutex<Vec<CallReport>>> = Arc::default();
    let told = Arc::clone(&reports);
    let server = Misbehaving::start([status(503), good(), status(404)]).await;
    let client = builder(&server.url())
        .on_call(move |report| told.lock().unwrap().push(report.clone()))
        .build()
        .unwrap();
    client.get_clinic().send().await.unwrap();
    client.get_clinic().send().await.unwrap_err();
    client.get_patient().id("").send().await.unwrap_err();
    let reports = reports.lock().unwrap();
    let seen: Vec<_> = reports
        .iter()
        .map(|report| {
            let status = report.status.map(|status| status.as_u16());
            (report.operation_id, status, report.attempts)
        })
        .collect();
    assert_eq!(
        seen,
        [("get_clinic", Some(200), 2), ("get_clinic", Some(404), 1)]
    );
}

#[tokio::test]
async fn a_path_without_a_binding_is_called_like_any_other() {
    let fake = testing::FakeFullscript::start().await.unwrap();
    let client = fake.client();
    let answer: fullscript::Response<Value> = client
        .request(Method::GET, "/api/clinic")
        .query("page[size]", "1 & 2")
        .send()
        .await
        .unwrap();
    assert!(answer["clinic"]["id"].is_string() && answer.request_id().is_some());
    let request = &fake.requests()[0];
    assert_eq!(request.target, "/api/clinic?page%5Bsize%5D=1+%26+2");
    assert!(
        request
            .headers
            .iter()
            .any(|(name, _)| name == "authorization")
    );
    let error = client
        .request(Method::POST, "/api/new")
        .json(&json!({"a": 1}))
        .send::<Value>()
        .await
        .unwrap_err();
    assert!(
        error.is_not_found() && error.operation_id().is_empty(),
        "{error}"
    );
    assert_eq!(fake.requests()[1].body, Some(json!({"a": 1})));
    for bad in [
        "",
        "api",
        "//elsewhere.example/api",
        "/api/../../x",
        "/api/./x",
        "/a?b=c",
        "/a#b",
        "/a\\b",
        "@elsewhere.example",
        ":1/x",
    ] {
        let sent = client.request(Method::GET, bad).send::<Value>().await;
        assert!(sent.unwrap_err().is_invalid_request(), "{bad}");
    }
    assert_eq!(fake.requests().len(), 2);
}

#[tokio::test]
async fn a_token_follows_no_redirect_to_another_host() {
    let elsewhere = Misbehaving::start([good()]).await;
    let port = elsewhere.url().rsplit(':').next().unwrap().to_string();
    let to = format!("location: http://localhost:{port}/api/clinic\r\n");
    let server = Misbehaving::start([Act::Answer(answer_with(302, &to, ""))]).await;
    let error = client(&server.url()).get_clinic().send().await.unwrap_err();
    assert_eq!(error.status().unwrap(), 302);
    assert!(elsewhere.requests().is_empty());
    // A client of the caller's that follows them leaves the token behind.
    let follows = fullscript_http();
    let client = builder(&server.url()).http_client(follows).build().unwrap();
    client.get_clinic().send().await.unwrap();
    let requests = elsewhere.requests();
    assert_eq!(requests.len(), 1);
    assert!(
        !requests[0].to_lowercase().contains("authorization"),
        "{}",
        requests[0]
    );
}

fn fullscript_http() -> reqwest::Client {
    reqwest::Client::builder().build().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_calls_at_once_are_all_answered() {
    let fake = testing::FakeFullscript::start().await.unwrap();
    let client = fake
        .client_builder()
        .rate_limit(RateLimit::off())
        .build()
        .unwrap();
    let calls: Vec<_> = (0..10_000)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { client.get_clinic().send().await.map(|_| ()) })
        })
        .collect();
    for call in calls {
        call.await.unwrap().unwrap();
    }
    assert_eq!(fake.count("get_clinic"), 10_000);
}

#[tokio::test]
async fn dropped_calls_leave_the_client_whole() {
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
