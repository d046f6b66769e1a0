//! Incomplete responses and responses of an unexpected type.

use std::time::{Duration, Instant};

use fullscript::CallOptions;
use fullscript::http::Method;
use httpmock::MockServer;

use super::{CLINIC, good, post};
use crate::support::{Act, Misbehaving, answer, builder, client, on_get};

#[tokio::test]
async fn a_wrong_content_length_is_a_transport_error() {
    let length = CLINIC.len();
    let long = answer(200, "application/json", CLINIC).replace(
        &format!("content-length: {length}"),
        &format!("content-length: {}", length + 10),
    );
    let server = Misbehaving::start([Act::AnswerAndClose(long)]).await;
    let client = client(&server.url()).with_options(CallOptions::new().max_attempts(2));
    let error = client.get_clinic().send().await.unwrap_err();
    assert!(error.is_transport(), "{error}");
    assert_eq!(error.status().unwrap(), 200);
    assert_eq!(error.body().unwrap(), CLINIC.as_bytes());
    assert_eq!(server.requests().len(), 2);
    // Bytes after the declared length belong neither to this response nor to the next one.
    let short = answer(200, "application/json", CLINIC) + "HTTP/1.1 200 OK\r\n\r\n{}";
    let server = Misbehaving::start([Act::Answer(short), good()]).await;
    let client = crate::support::client(&server.url());
    for _ in 0..3 {
        let clinic = client.get_clinic().send().await.unwrap();
        assert_eq!(clinic.clinic.name.as_deref(), Some("A clinic"));
    }
}

#[tokio::test]
async fn html_instead_of_json_is_a_decode_error_with_the_body_and_is_not_retried() {
    let server = MockServer::start_async().await;
    let mock = on_get(&server, "/api/clinic", |then| {
        then.status(200)
            .header("content-type", "text/html")
            .body("<html>")
    });
    let mock = mock.await;
    let client = client(&server.base_url());
    let error = client.get_clinic().send().await.unwrap_err();
    assert!(error.is_decode() && !error.is_transient(), "{error}");
    assert_eq!(error.status().unwrap(), 200);
    assert_eq!(error.body().unwrap(), b"<html>");
    mock.assert_async().await;
}

#[tokio::test]
async fn a_truncated_body_stream_keeps_its_status_and_is_not_retried() {
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

/// A response whose body never arrives.
fn stalled(head: &str) -> Act {
    let head = format!("HTTP/1.1 {head}\r\ncontent-length: 100\r\n\r\n");
    Act::Slow(head, "{".repeat(100), Duration::from_secs(60))
}

#[tokio::test]
async fn an_error_status_with_a_stalled_body_is_handled_by_its_status() {
    let server = Misbehaving::start([stalled("503 Service Unavailable"), good()]).await;
    let started = Instant::now();
    let clinic = client(&server.url()).get_clinic().send().await.unwrap();
    assert_eq!(clinic.attempts(), 2);
    assert!(started.elapsed() < Duration::from_secs(10));

    let server = Misbehaving::start([stalled("422 Unprocessable Content")]).await;
    let error = post(&client(&server.url())).await.unwrap_err();
    assert!(error.is_validation(), "{error}");
    assert!(started.elapsed() < Duration::from_secs(15));
}

#[tokio::test]
async fn a_delete_with_a_truncated_unused_body_succeeds_once() {
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n";
    let server = Misbehaving::start([Act::AnswerAndClose(format!("{head}gone"))]).await;
    let client = client(&server.url());
    let call = client
        .delete_practitioner_resource()
        .practitioner_id("1")
        .id("2");
    assert_eq!(call.send().await.unwrap().attempts(), 1);
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn a_streamed_body_may_use_the_whole_timeout() {
    let slow = Act::Slow(
        String::new(),
        answer(200, "application/json", CLINIC),
        Duration::from_millis(5),
    );
    let server = Misbehaving::start([slow]).await;
    let options = CallOptions::new().attempt_timeout(Duration::from_millis(50));
    let client = builder(&server.url()).options(options).build().unwrap();
    let body = futures_util::stream::iter([Ok::<_, std::io::Error>("file")]);
    let call = client
        .request(Method::PUT, "/api/clinic/new")
        .body(reqwest::Body::wrap_stream(body));
    let answered = call.send::<serde_json::Value>().await.unwrap();
    assert_eq!(answered["clinic"]["id"], "1");
}

/// A success that announces JSON and ends with the connection before the first byte of the body.
fn without_body(status: &str) -> Act {
    Act::AnswerAndClose(format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n"
    ))
}

#[tokio::test(start_paused = true)]
async fn a_get_without_a_body_is_retried_and_a_write_that_succeeded_never_is() {
    for status in ["200 OK", "201 Created", "202 Accepted"] {
        let server = Misbehaving::start([without_body(status), good()]).await;
        let clinic = client(&server.url()).get_clinic().send().await.unwrap();
        assert_eq!(clinic.attempts(), 2);

        let server = Misbehaving::start([without_body(status)]).await;
        let thrice = client(&server.url()).with_options(CallOptions::new().max_attempts(3));
        let error = thrice.get_clinic().send().await.unwrap_err();
        assert!(error.is_empty_success() && !error.is_transport(), "{error}");
        assert_eq!((error.attempts(), server.requests().len()), (3, 3));
        assert!(error.to_string().contains("retry the call"), "{error}");

        for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            for has_key in [false, true] {
                let server = Misbehaving::start([without_body(status), good()]).await;
                let client = client(&server.url());
                let mut call = client.request(method.clone(), "/api/clinic");
                if has_key {
                    let key = fullscript::http::header::HeaderName::from_static("idempotency-key");
                    call = call.header(key, "1".parse().unwrap());
                }
                #[derive(Debug, serde::Deserialize)]
                struct Clinic {
                    #[allow(dead_code, reason = "its absence is the error")]
                    clinic: serde_json::Value,
                }
                let error = call.send::<Clinic>().await.unwrap_err();
                assert!(error.is_empty_success(), "{method}: {error}");
                assert!(error.may_have_arrived() && !error.is_transient());
                assert_eq!(
                    (error.attempts(), server.requests().len()),
                    (1, 1),
                    "{method}"
                );
            }
        }
    }
    // A connection that is closed although the length of the body was announced is lost.
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n";
    let server = Misbehaving::start([Act::AnswerAndClose(head.into())]).await;
    let error = post(&client(&server.url())).await.unwrap_err();
    assert!(error.is_transport() && !error.is_empty_success(), "{error}");
}
