//! What lies below the operations: reports, any path, the HTTP client.

use std::sync::{Arc, Mutex};

use fullscript::http::Method;
use fullscript::{CallReport, testing};
use serde_json::{Value, json};

use super::{builder, client, good, status};
use crate::support::{Act, Misbehaving, answer, answer_with};

#[tokio::test]
async fn reports_tell_what_happened_and_nothing_else() {
    let reports: Arc<Mutex<Vec<CallReport>>> = Arc::default();
    let told = Arc::clone(&reports);
    let server = Misbehaving::start([status(503), good(), status(404)]).await;
    let client = builder(&server.url())
        .on_call_end(move |report| told.lock().unwrap().push(report.clone()))
        .build()
        .unwrap();
    client.get_clinic().send().await.unwrap();
    client.get_clinic().send().await.unwrap_err();
    client.get_patient().id("").send().await.unwrap_err();
    let reports = reports.lock().unwrap();
    let reported: Vec<_> = reports
        .iter()
        .map(|report| {
            let status = report.status.map(|status| status.as_u16());
            (report.operation_id, status, report.attempts)
        })
        .collect();
    assert_eq!(
        reported,
        [("get_clinic", Some(200), 2), ("get_clinic", Some(404), 1)]
    );
}

#[tokio::test]
async fn a_path_without_a_binding_is_called_like_any_other() {
    // Lenient, for the operation has no such argument.
    let builder = testing::FakeFullscript::builder().lenient();
    let fake = builder.start().await.unwrap();
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

#[tokio::test]
async fn an_answer_without_a_body_is_an_object_without_fields() {
    let server = Misbehaving::start([Act::Answer(answer(204, "", ""))]).await;
    let client = client(&server.url());
    let request = client.request(Method::DELETE, "/api/new/1");
    let answer = request.send::<Value>().await.unwrap();
    assert_eq!(answer.into_inner(), json!({}));
}
