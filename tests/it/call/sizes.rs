//! The size limit of responses.

use fullscript::http::Method;
use fullscript::{CallOptions, Error, ErrorKind};
use serde_json::json;

use super::good;
use crate::support::{Act, Misbehaving, answer, builder, client};

const MIB: usize = 1 << 20;

/// Returns a clinic as JSON text of this many bytes.
fn clinic_of(bytes: usize) -> String {
    let empty = json!({"clinic": {"id": "1", "name": ""}}).to_string();
    let name = "n".repeat(bytes - empty.len());
    let text = json!({"clinic": {"id": "1", "name": name}}).to_string();
    assert_eq!(text.len(), bytes);
    text
}

/// Returns the same body with a length, in chunks, and up to the end of the connection.
fn framed(body: &str) -> [Act; 3] {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n";
    let chunks = body.as_bytes().chunks(10_000).map(|part| {
        let text = std::str::from_utf8(part).unwrap();
        format!("{:x}\r\n{text}\r\n", part.len())
    });
    let chunks: String = chunks.collect();
    [
        Act::Answer(answer(200, "application/json", body)),
        Act::Answer(format!(
            "{head}transfer-encoding: chunked\r\n\r\n{chunks}0\r\n\r\n"
        )),
        Act::AnswerAndClose(format!("{head}\r\n{body}")),
    ]
}

fn check(error: &Error, limit: usize) {
    assert_eq!(error.kind(), ErrorKind::Decode, "{error}");
    assert!(!error.is_transient() && error.may_have_arrived());
    let text = error.to_string();
    let expected = format!("larger than the limit of {limit} bytes");
    assert!(text.contains(&expected), "{text}");
    assert!(text.contains("max_response_size"), "{text}");
}

#[tokio::test]
async fn a_response_of_8_mib_is_read_and_a_larger_one_is_not() {
    for (size, is_read) in [(8 * MIB, true), (8 * MIB + 1, false)] {
        for act in framed(&clinic_of(size)) {
            let server = Misbehaving::start([act]).await;
            let got = client(&server.url()).get_clinic().send().await;
            match got {
                Ok(_) => assert!(is_read),
                Err(error) => {
                    assert!(!is_read, "{error}");
                    check(&error, 8 * MIB);
                }
            }
            assert_eq!(server.requests().len(), 1, "no retry");
        }
    }
}

#[tokio::test]
async fn the_size_limit_is_a_setting_of_the_client_and_of_a_call() {
    let body = clinic_of(2_000);
    for act in framed(&body) {
        let server = Misbehaving::start([act]).await;
        let limited = |bytes| CallOptions::new().max_response_size(bytes);
        let small = builder(&server.url()).options(limited(1_999));
        let small = small.build().unwrap();
        check(&small.get_clinic().send().await.unwrap_err(), 1_999);
        let raw = small.request(Method::GET, "/api/clinic");
        check(&raw.send::<serde_json::Value>().await.unwrap_err(), 1_999);
        let enough = small.with_options(limited(2_000));
        enough.get_clinic().send().await.unwrap();
        // Other options inherit the limit.
        let other = small.with_options(CallOptions::new().max_attempts(2));
        check(&other.get_clinic().send().await.unwrap_err(), 1_999);
        let unlimited = small.with_options(limited(usize::MAX));
        unlimited.get_clinic().send().await.unwrap();
    }
}

#[tokio::test]
async fn a_large_response_is_not_read_beyond_the_limit() {
    let server = Misbehaving::start([Act::Large(1 << 30), good()]).await;
    let error = client(&server.url()).get_clinic().send().await.unwrap_err();
    check(&error, 8 * MIB);
    // Only what fits into the buffers of the connection was sent.
    assert!(server.bytes_sent() < 64 << 20, "{}", server.bytes_sent());
}

#[tokio::test]
async fn streamed_bodies_and_error_bodies_have_limits_of_their_own() {
    let body = clinic_of(2_000);
    let small = CallOptions::new().max_response_size(100);
    for act in framed(&body) {
        let server = Misbehaving::start([act]).await;
        let client = builder(&server.url())
            .options(small.clone())
            .build()
            .unwrap();
        let file = client.download(&format!("{}/1", server.url()));
        assert_eq!(file.send().await.unwrap().bytes.len(), 2_000);
        let raw = client.request(Method::GET, "/api/clinic");
        let mut stream = raw.send_bytes().await.unwrap().into_inner();
        let mut read = 0;
        while let Some(chunk) = stream.chunk().await.unwrap() {
            read += chunk.len();
        }
        assert_eq!(read, 2_000);
    }
    let refusal = Act::Answer(answer(404, "application/json", &body));
    let server = Misbehaving::start([refusal]).await;
    let client = client(&server.url());
    let error = client.get_clinic().send().await.unwrap_err();
    assert!(error.is_not_found());
    assert_eq!(error.body().unwrap().len(), 2_000);
    let error = client.with_options(small).get_clinic().send().await;
    assert!(error.unwrap_err().is_not_found());
}
