//! What is made of whatever the server answers.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener};

use fullscript::testing::{FakeFullscript, Script};
use fullscript::types::CreateSessionGrantRequest;
use fullscript::{AccessToken, CallOptions, Client, Environment};
use serde_json::json;

#[tokio::test]
async fn a_refusal_keeps_status_headers_and_body_whatever_they_are() {
    for (status, content_type, body) in [
        (
            404,
            "application/json",
            r#"{"status":404,"error":"Not Found"}"#,
        ),
        (
            422,
            "application/json",
            r#"{"error":["is taken","is short"]}"#,
        ),
        (
            422,
            "application/json",
            r#"{"errors":{"email":["is taken"]}}"#,
        ),
        (422, "application/json", r#""text alone""#),
        (422, "application/json", "[]"),
        (400, "application/json", "{"),
        (401, "", ""),
        (418, "text/plain", "\u{0}\u{1}"),
        (
            500,
            "text/html",
            "<html><body>Internal Server Error</body></html>",
        ),
        (302, "", ""),
        (599, "text/html", ""),
    ] {
        let url = answering(format!(
            "HTTP/1.1 {status} X\r\ncontent-type: {content_type}\r\nx-request-id: req-1\r\n\
             x-other: kept\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        ));
        let error = client(&url).get_patient().id("1").send().await.unwrap_err();
        assert_eq!(error.status().unwrap().as_u16(), status);
        assert_eq!(error.headers().unwrap()["content-type"], content_type);
        assert_eq!(error.headers().unwrap()["x-other"], "kept");
        assert_eq!(error.body().unwrap(), body.as_bytes());
        assert_eq!(error.request_id(), Some("req-1"));
        assert_eq!(error.operation_id(), "get_patient");
        assert!(!error.is_transport() && !error.is_decode() && !error.is_invalid_request());
    }
}

#[tokio::test]
async fn the_predicates_tell_refusals_apart() {
    let fake = FakeFullscript::start().await.unwrap();
    for status in [401, 404, 422, 429, 403, 500] {
        fake.answer("get_patient", Script::html(status, ""));
        let error = fake
            .client()
            .get_patient()
            .id("1")
            .send()
            .await
            .unwrap_err();
        let told = [
            error.is_unauthorized(),
            error.is_not_found(),
            error.is_validation(),
            error.is_rate_limited(),
            error.needs_approval(),
        ];
        let expected = [
            status == 401,
            status == 404,
            status == 422,
            status == 429,
            false,
        ];
        assert_eq!(told, expected, "{status}");
    }
}

#[tokio::test]
async fn the_vendors_messages_are_read_from_every_shape() {
    let fake = FakeFullscript::start().await.unwrap();
    for (body, messages) in [
        (json!({"error": "one"}), vec!["one"]),
        (json!({"error": ["one", "two"]}), vec!["one", "two"]),
        (json!({"error": "[\"one\", \"two\"]"}), vec!["one", "two"]),
        (json!({"error": {"message": "one"}}), vec!["one"]),
        (
            json!({"errors": [{"message": "one"}, {"message": "two"}]}),
            vec!["one", "two"],
        ),
        (
            json!({"errors": {"email": ["one"], "name": "two"}}),
            vec!["email: one", "name: two"],
        ),
        (
            json!({"error": "one", "error_description": "two"}),
            vec!["one", "two"],
        ),
        (json!({"message": "one"}), vec!["one"]),
        (json!({"error": null, "status": 422}), vec![]),
        (json!([]), vec![]),
    ] {
        fake.answer("get_patient", Script::json(422, &body));
        let error = fake
            .client()
            .get_patient()
            .id("1")
            .send()
            .await
            .unwrap_err();
        assert_eq!(error.messages(), messages, "{body}");
    }
}

#[tokio::test]
async fn a_refused_token_shows_the_servers_challenge() {
    let fake = FakeFullscript::start().await.unwrap();
    let client = fake
        .client_builder()
        .access_token(AccessToken::new("old"))
        .build()
        .unwrap();
    let error = client.get_clinic().send().await.unwrap_err();
    assert!(error.is_unauthorized());
    assert_eq!(error.body(), Some(&b""[..]));
    let challenge = error.headers().unwrap()["www-authenticate"]
        .to_str()
        .unwrap();
    assert!(challenge.contains("invalid_token"));
}

#[tokio::test]
async fn a_success_in_html_is_an_error_that_keeps_it() {
    let fake = FakeFullscript::start().await.unwrap();
    fake.answer("get_patient", Script::html(200, "<html>"));
    let error = fake
        .client()
        .get_patient()
        .id("1")
        .send()
        .await
        .unwrap_err();
    assert!(error.is_decode());
    assert_eq!(
        (error.status().unwrap().as_u16(), error.body()),
        (200, Some(&b"<html>"[..]))
    );
}

#[tokio::test]
async fn an_answer_of_another_shape_is_an_error_that_names_the_place() {
    let fake = FakeFullscript::start().await.unwrap();
    for (patients, place) in [
        (json!([{"id": {"secret": "PLANTED"}}]), "`patients[0].id`"),
        (
            json!([{"id": "1"}, {"id": "2", "gender": ["PLANTED"]}]),
            "`patients[1].gender`",
        ),
        (
            json!([{"id": "1", "is_dependent": "PLANTED"}]),
            "`patients[0].is_dependent`",
        ),
        (json!([{"first_name": "PLANTED"}]), "`patients[0]`"),
        (json!("PLANTED"), "`patients`"),
    ] {
        fake.answer(
            "list_patients",
            Script::json(200, &json!({"patients": patients})),
        );
        let error = fake.client().list_patients().send().await.unwrap_err();
        assert!(error.is_decode());
        assert!(error.to_string().contains(place), "{error}");
        assert!(!format!("{error:?}").contains("PLANTED"), "{error:?}");
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_is_a_transport_error_that_keeps_what_came() {
    for head in [
        "content-length: 100\r\n\r\n",
        "transfer-encoding: chunked\r\n\r\n9\r\n",
    ] {
        let url = answering(format!(
            "HTTP/1.1 200 OK\r\nx-request-id: req-1\r\n{head}{{\"clinic\""
        ));
        let error = client(&url).get_clinic().send().await.unwrap_err();
        assert!(error.is_transport(), "{error}");
        assert_eq!(error.status().unwrap(), 200);
        assert_eq!(error.request_id(), Some("req-1"));
        assert_eq!(error.body(), Some(&b"{\"clinic\""[..]));
        assert!(std::error::Error::source(&error).is_some());
    }
}

#[tokio::test]
async fn a_refusal_stays_one_though_its_body_breaks_off() {
    let url = answering("HTTP/1.1 404 X\r\ncontent-length: 100\r\n\r\n{\"error\"".into());
    let error = client(&url).get_clinic().send().await.unwrap_err();
    assert!(error.is_not_found());
    assert_eq!(error.body(), Some(&b"{\"error\""[..]));
}

#[tokio::test]
async fn a_connection_that_breaks_before_the_answer_is_a_transport_error() {
    for answer in ["", "HTTP/1.1 200 OK\r\ncontent-ty", "SSH-2.0-OpenSSH\r\n"] {
        let url = answering(answer.into());
        let error = client(&url).get_clinic().send().await.unwrap_err();
        assert!(error.is_transport(), "{error}");
        assert!(error.status().is_none() && error.headers().is_none() && error.body().is_none());
    }
    let nobody = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let error = client(&format!("http://{nobody}"))
        .get_clinic()
        .send()
        .await
        .unwrap_err();
    assert!(error.is_transport(), "{error}");
}

#[tokio::test]
async fn no_content_in_place_of_json_is_an_error_that_says_so() {
    let fake = FakeFullscript::start().await.unwrap();
    fake.answer("get_clinic", Script::html(204, ""));
    let error = fake.client().get_clinic().send().await.unwrap_err();
    assert!(error.is_decode());
    assert_eq!(error.status().unwrap(), 204);
}

#[tokio::test]
async fn any_success_is_one() {
    let fake = FakeFullscript::start().await.unwrap();
    for status in [200, 201, 202, 299] {
        fake.answer(
            "create_session_grant",
            Script::json(status, &json!({"id": "1"})),
        );
        let body = CreateSessionGrantRequest::new();
        let grant = fake
            .client()
            .create_session_grant()
            .body(body)
            .send()
            .await
            .unwrap();
        assert_eq!((grant.status().as_u16(), grant.id.as_str()), (status, "1"));
        assert!(grant.request_id().is_some());
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = FakeFullscript::start().await.unwrap();
    let location = format!("{}/api/clinic", elsewhere.url());
    let url = answering(format!(
        "HTTP/1.1 307 X\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n"
    ));
    let error = client(&url).get_clinic().send().await.unwrap_err();
    assert_eq!(error.status().unwrap(), 307);
    assert!(elsewhere.requests().is_empty());
}

#[tokio::test]
async fn a_refusal_of_a_marked_operation_explains_approval() {
    let fake = FakeFullscript::start().await.unwrap();
    fake.answer(
        "list_products",
        Script::json(403, &json!({"error": "Forbidden"})),
    );
    let error = fake.client().list_products().send().await.unwrap_err();
    assert!(error.needs_approval());
    let text = error.to_string();
    assert!(
        text.contains("requires commercial approval") && text.contains('@'),
        "{text}"
    );
}

#[tokio::test]
async fn another_refusal_names_the_scope_and_how_sure_that_is() {
    let fake = FakeFullscript::start().await.unwrap();
    fake.answer("get_patient", Script::json(403, &json!({})));
    fake.answer("get_allergen", Script::json(403, &json!({})));
    let client = fake.client();
    let documented = client.get_patient().id("1").send().await.unwrap_err();
    let inferred = client.get_allergen().id("1").send().await.unwrap_err();
    assert!(!documented.needs_approval() && !inferred.needs_approval());
    assert!(
        documented
            .to_string()
            .contains("patients:read (documented)"),
        "{documented}"
    );
    assert!(
        inferred.to_string().contains("catalog:read (inferred)"),
        "{inferred}"
    );
}

pub(super) fn client(url: &str) -> Client {
    let builder = Client::builder(Environment::UsSandbox).base_url(url);
    builder
        .access_token(AccessToken::new("token"))
        // These servers answer once.
        .options(CallOptions::new().max_attempts(1))
        .build()
        .expect("a loopback address")
}

/// The address of a server that answers one request with these bytes and
/// hangs up.
pub(super) fn answering(bytes: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("it is bound"));
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept()?;
        let mut request = Vec::new();
        let mut part = [0; 1024];
        while !request.windows(4).any(|end| end == b"\r\n\r\n") {
            match stream.read(&mut part)? {
                0 => break,
                length => request.extend_from_slice(&part[..length]),
            }
        }
        stream.write_all(bytes.as_bytes())?;
        stream.shutdown(Shutdown::Both)
    });
    url
}
