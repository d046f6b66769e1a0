//! Responses of every status and shape, and the resulting errors.

use fullscript::testing::FakeFullscript;
use fullscript::types::CreateSessionGrantRequest;
use fullscript::{AccessToken, Error, ErrorKind};
use httpmock::Then;
use httpmock::prelude::{MockServer, POST};
use serde_json::json;

use crate::support::{Act, Closed, Misbehaving, any_request, on_get, once};

#[tokio::test]
async fn an_error_status_keeps_its_headers_and_body() {
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
        let error = refused(|then| {
            then.status(status)
                .header("content-type", content_type)
                .header("x-request-id", "req-1")
                .header("x-other", "kept")
                .body(body)
        });
        let error = error.await;
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
async fn the_predicates_distinguish_error_statuses() {
    for (status, kind) in [
        (400, ErrorKind::Refused),
        (401, ErrorKind::Unauthorized),
        (403, ErrorKind::Forbidden),
        (404, ErrorKind::NotFound),
        (422, ErrorKind::Validation),
        (429, ErrorKind::RateLimited),
        (500, ErrorKind::Server),
        (501, ErrorKind::Server),
        (600, ErrorKind::Server),
    ] {
        let error = refused(|then| then.status(status)).await;
        assert_eq!(error.kind(), kind, "{status}");
        let says_retry = error.to_string().contains("retry");
        assert_eq!(says_retry, error.is_transient(), "{error}");
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
        let error = refused(|then| then.status(422).json_body(body.clone())).await;
        assert_eq!(error.messages(), messages, "{body}");
    }
}

#[tokio::test]
async fn a_401_keeps_the_servers_challenge() {
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
async fn a_response_of_another_shape_is_a_decode_error_that_names_the_field() {
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
        let server = MockServer::start_async().await;
        let body = json!({"patients": patients});
        let respond = |then: Then| then.status(200).json_body(body);
        on_get(&server, "/api/clinic/patients", respond).await;
        let client = once(&server.base_url());
        let error = client.list_patients().send().await.unwrap_err();
        assert!(error.is_decode());
        assert!(error.to_string().contains(place), "{error}");
        assert!(!format!("{error:?}").contains("PLANTED"), "{error:?}");
    }
}

#[tokio::test]
async fn a_truncated_body_is_a_transport_error_that_keeps_the_received_part() {
    for head in [
        "content-length: 100\r\n\r\n",
        "transfer-encoding: chunked\r\n\r\n9\r\n",
    ] {
        let cut = format!("HTTP/1.1 200 OK\r\nx-request-id: req-1\r\n{head}{{\"clinic\"");
        let error = broken(&cut).await;
        assert!(error.is_transport(), "{error}");
        assert_eq!(error.status().unwrap(), 200);
        assert_eq!(error.request_id(), Some("req-1"));
        assert_eq!(error.body(), Some(&b"{\"clinic\""[..]));
        assert!(std::error::Error::source(&error).is_some());
    }
}

#[tokio::test]
async fn an_error_status_with_a_truncated_body_keeps_its_status() {
    let error = broken("HTTP/1.1 404 X\r\ncontent-length: 100\r\n\r\n{\"error\"").await;
    assert!(error.is_not_found());
    assert_eq!(error.body(), Some(&b"{\"error\""[..]));
}

#[tokio::test]
async fn a_connection_closed_before_the_response_is_a_transport_error() {
    for answer in ["", "HTTP/1.1 200 OK\r\ncontent-ty", "SSH-2.0-OpenSSH\r\n"] {
        let error = broken(answer).await;
        assert!(error.is_transport(), "{error}");
        assert!(error.status().is_none() && error.headers().is_none() && error.body().is_none());
    }
    let closed = Closed::new();
    let error = once(&closed.url()).get_clinic().send().await.unwrap_err();
    assert!(error.is_transport(), "{error}");
}

#[tokio::test]
async fn a_success_without_a_body_is_an_error_of_its_own_kind() {
    for (status, body) in [
        (204, ""),
        (200, ""),
        (202, ""),
        (200, " \n"),
        (200, "null"),
        (201, "\r\n"),
    ] {
        for content_type in [
            "application/json",
            "text/html",
            "application/json; charset=utf-8",
        ] {
            let error = refused(|then| {
                then.status(status)
                    .header("content-type", content_type)
                    .body(body)
            })
            .await;
            assert_eq!(
                error.kind(),
                ErrorKind::EmptySuccess,
                "{status} {body:?}: {error}"
            );
            assert!(error.is_empty_success() && !error.is_decode() && !error.is_transient());
            assert_eq!(
                (error.status().unwrap().as_u16(), error.attempts()),
                (status, 1)
            );
            let text = error.to_string();
            let expected = "get_patient: the request succeeded, but the response has no body";
            assert!(text.starts_with(expected), "{text}");
            assert!(!text.contains("update this crate"), "{text}");
        }
    }
}

#[tokio::test]
async fn a_page_without_a_body_is_no_empty_page() {
    for status in [200, 204] {
        let server = MockServer::start_async().await;
        on_get(&server, "/api/clinic/patients", |then| then.status(status)).await;
        let mut list = once(&server.base_url()).list_patients().items();
        let error = list.collect_all().await.unwrap_err();
        assert!(error.is_empty_success(), "{error}");
        assert_eq!(error.page(), Some(1));
    }
}

#[tokio::test]
async fn every_2xx_status_is_a_success() {
    for status in [200, 201, 202, 299] {
        let server = MockServer::start_async().await;
        let mock = server.mock_async(|when, then| {
            when.method(POST)
                .path("/api/clinic/embeddable/session_grants");
            let granted = then.status(status).header("x-request-id", "req-1");
            granted.json_body(json!({"id": "1"}));
        });
        mock.await;
        let call = once(&server.base_url()).create_session_grant();
        let body = CreateSessionGrantRequest::new();
        let grant = call.body(body).send().await.unwrap();
        assert_eq!((grant.status().as_u16(), grant.id.as_str()), (status, "1"));
        assert_eq!(grant.request_id(), Some("req-1"));
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = MockServer::start_async().await;
    let requests = any_request(&elsewhere).await;
    let location = elsewhere.url("/api/clinic/patients/1");
    let error = refused(|then| then.status(307).header("location", location)).await;
    assert_eq!(error.status().unwrap(), 307);
    requests.assert_calls_async(0).await;
}

#[tokio::test]
async fn a_403_of_a_restricted_operation_explains_approval() {
    let server = MockServer::start_async().await;
    on_get(&server, "/api/catalog/products", |then| then.status(403)).await;
    let client = once(&server.base_url());
    let error = client.list_products().send().await.unwrap_err();
    assert!(error.needs_approval());
    let text = error.to_string();
    assert!(
        text.contains("requires commercial approval") && text.contains('@'),
        "{text}"
    );
}

#[tokio::test]
async fn any_other_403_names_the_scope_and_its_confidence() {
    let documented = refused(|then| then.status(403)).await;
    let server = MockServer::start_async().await;
    on_get(&server, "/api/catalog/allergens/1", |then| then.status(403)).await;
    let client = once(&server.base_url());
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

/// Calls `get_patient` on a server with the given response, and returns the error.
async fn refused(respond: impl FnOnce(Then) -> Then) -> Error {
    let server = MockServer::start_async().await;
    let mock = on_get(&server, "/api/clinic/patients/1", respond).await;
    let call = once(&server.base_url()).get_patient().id("1");
    let error = call.send().await.unwrap_err();
    mock.assert_async().await;
    error
}

/// Calls `get_clinic` on a server that sends these bytes and closes the
/// connection, and returns the error. A mock server sends whole responses only.
async fn broken(bytes: &str) -> Error {
    let server = Misbehaving::start([Act::AnswerAndClose(bytes.into())]).await;
    once(&server.url()).get_clinic().send().await.unwrap_err()
}
