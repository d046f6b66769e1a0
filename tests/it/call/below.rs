//! Call reports, requests to any path, and custom HTTP clients.

use std::sync::{Arc, Mutex};

use fullscript::CallReport;
use fullscript::http::Method;
use httpmock::Then;
use httpmock::prelude::{DELETE, GET, MockServer, POST};
use serde_json::{Value, json};

use super::clinic;
use crate::support::{any_request, builder, client, on_get};

#[tokio::test]
async fn a_report_has_the_outcome_and_no_content() {
    let reports: Arc<Mutex<Vec<CallReport>>> = Arc::default();
    let told = Arc::clone(&reports);
    let server = MockServer::start_async().await;
    for status in [503, 200, 404] {
        let mock = on_get(&server, "/api/clinic", |then| clinic(then).status(status)).await;
        mock.up_to_n_times_async(1).await;
    }
    let client = builder(&server.base_url())
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
async fn a_path_without_a_method_is_called_like_an_operation() {
    let server = MockServer::start_async().await;
    let got = server.mock_async(|when, then| {
        when.method(GET)
            .path("/api/clinic")
            .header("authorization", "Bearer token")
            .is_true(|request| request.uri().query() == Some("page%5Bsize%5D=1+%26+2"));
        clinic(then).header("x-request-id", "req-1");
    });
    let got = got.await;
    let posted = server.mock_async(|when, then| {
        when.method(POST)
            .path("/api/new")
            .json_body(json!({"a": 1}));
        then.status(404);
    });
    let posted = posted.await;
    let others = any_request(&server).await;
    let client = client(&server.base_url());
    let answer: fullscript::Response<Value> = client
        .request(Method::GET, "/api/clinic")
        .query("page[size]", "1 & 2")
        .send()
        .await
        .unwrap();
    assert_eq!(answer["clinic"]["id"], "1");
    assert_eq!(answer.request_id(), Some("req-1"));
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
    got.assert_async().await;
    posted.assert_async().await;
    others.assert_calls_async(0).await;
}

#[tokio::test]
async fn a_redirect_to_another_host_does_not_receive_the_token() {
    let elsewhere = MockServer::start_async().await;
    let without_token = elsewhere.mock_async(|when, then| {
        when.path("/api/clinic").header_missing("authorization");
        clinic(then);
    });
    let without_token = without_token.await;
    let others = any_request(&elsewhere).await;
    let to = format!("http://localhost:{}/api/clinic", elsewhere.port());
    let server = MockServer::start_async().await;
    let redirect = |then: Then| then.status(302).header("location", to);
    on_get(&server, "/api/clinic", redirect).await;
    let call = client(&server.base_url()).get_clinic();
    let error = call.send().await.unwrap_err();
    assert_eq!(error.status().unwrap(), 302);
    without_token.assert_calls_async(0).await;
    // A custom HTTP client that follows redirects does not forward the token.
    let follows = reqwest::Client::builder().build().unwrap();
    let client = builder(&server.base_url()).http_client(follows);
    let client = client.build().unwrap();
    client.get_clinic().send().await.unwrap();
    without_token.assert_async().await;
    others.assert_calls_async(0).await;
}

#[tokio::test]
async fn a_response_without_a_body_is_an_object_without_fields() {
    let server = MockServer::start_async().await;
    let mock = server.mock_async(|when, then| {
        when.method(DELETE).path("/api/new/1");
        then.status(204);
    });
    let mock = mock.await;
    let client = client(&server.base_url());
    let request = client.request(Method::DELETE, "/api/new/1");
    let answer = request.send::<Value>().await.unwrap();
    assert_eq!(answer.into_inner(), json!({}));
    mock.assert_async().await;
}
