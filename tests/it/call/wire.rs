//! Responses of every status and shape, and the resulting errors.

use fullscript::testing::FakeFullscript;
use fullscript::types::CreateSessionGrantRequest;
use fullscript::{AccessToken, CallOptions, Error, ErrorKind};
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
        (json!("one"), vec!["one"]),
        (json!(" "), vec![]),
        (json!(["one", 2, {"three": "four"}]), vec!["one"]),
        (json!(7), vec![]),
        (json!(null), vec![]),
    ] {
        let error = refused(|then| then.status(422).json_body(body.clone())).await;
        assert_eq!(error.messages(), messages, "{body}");
    }
}

#[tokio::test]
async fn a_plain_text_is_a_message_and_html_or_broken_json_is_not() {
    let long = "a".repeat(1_025);
    for (content_type, body, messages) in [
        (
            "text/plain",
            "Patient is locked\n",
            vec!["Patient is locked"],
        ),
        ("text/plain; charset=utf-8", "Ünlesbar", vec!["Ünlesbar"]),
        (
            "application/json",
            "Too many requests",
            vec!["Too many requests"],
        ),
        (
            "application/json",
            "\"Email is taken\"",
            vec!["Email is taken"],
        ),
        ("text/plain", &long[1..], vec![&long[1..]]),
        ("text/plain", &long, vec![]),
        ("text/plain", "", vec![]),
        ("text/plain", " \n ", vec![]),
        ("text/html", "busy", vec![]),
        ("text/plain", "<html>busy</html>", vec![]),
        ("application/json", "{\"error\": \"cut", vec![]),
        ("application/json", "\"cut", vec![]),
        ("application/json", "[\"cut\"", vec![]),
    ] {
        for status in [400, 409, 422, 500] {
            let error = refused(|then| {
                then.status(status)
                    .header("content-type", content_type)
                    .body(body)
            });
            let error = error.await;
            assert_eq!(error.messages(), messages, "{content_type}: {body:.40}");
            if status == 422 {
                let reads = error.to_string().contains("that `messages()` names");
                assert_eq!(reads, !messages.is_empty(), "{error}");
            }
        }
    }
    // The body of a success is data, not a message.
    let error = refused(|then| then.status(200).body("\"Ana\"")).await;
    assert!(error.is_decode() && error.messages().is_empty(), "{error}");
}

#[tokio::test]
async fn the_vendors_codes_are_read_from_every_shape() {
    for (body, codes) in [
        (
            json!({"errors": [{"code": "token_expired", "message": "Sign in"}]}),
            vec!["token_expired"],
        ),
        (
            json!({"errors": [{"code": "not_found"}, {"code": "rate_limited"}, {"code": "not_found"}]}),
            vec!["not_found", "rate_limited"],
        ),
        (
            json!({"error": {"code": "NotFound", "message": "x"}}),
            vec!["NotFound"],
        ),
        (
            json!({"error": "invalid_grant", "error_description": "x"}),
            vec!["invalid_grant"],
        ),
        (json!({"error": "unauthorized"}), vec!["unauthorized"]),
        (
            json!({"errors": ["not_found", "Email is taken"]}),
            vec!["not_found"],
        ),
        (json!({"code": 1001, "message": "x"}), vec!["1001"]),
        (json!({"error_code": "a.b-c:d"}), vec!["a.b-c:d"]),
        (json!({"error": {"error": {"code": "deep"}}}), vec!["deep"]),
        (json!({"error": "Ana"}), vec![]),
        (json!({"error": "Last name can't be blank"}), vec![]),
        (json!({"errors": {"email": ["is_taken"]}}), vec![]),
        (json!({"code": "ana@example.com"}), vec![]),
        (json!({"code": "a".repeat(65)}), vec![]),
        (json!({"code": ""}), vec![]),
        (json!({"code": null, "errors": null}), vec![]),
        (json!(["token_expired"]), vec![]),
        (json!("token_expired"), vec![]),
    ] {
        for status in [401, 404, 422] {
            let error = refused(|then| then.status(status).json_body(body.clone())).await;
            assert_eq!(error.codes(), codes, "{body}");
        }
    }
    for body in ["", "token_expired", "<html>", "{\"code\": \"cut"] {
        let error = refused(|then| then.status(401).body(body)).await;
        assert_eq!(error.codes(), Vec::<String>::new(), "{body}");
    }
}

#[tokio::test]
async fn a_403_or_401_that_names_a_scope_is_a_missing_scope() {
    const DOCUMENTED: &str = "Must have `catalog` scope enabled for this request";
    for (status, body, missing) in [
        (403, json!({"error": DOCUMENTED}), true),
        (401, json!({"error": DOCUMENTED}), true),
        (403, json!({"error": [DOCUMENTED]}), true),
        (403, json!({"errors": [{"message": DOCUMENTED}]}), true),
        (403, json!(DOCUMENTED), true),
        (403, json!({"error": "must have `patients` scope"}), true),
        (403, json!({"error": "insufficient_scope"}), true),
        (
            403,
            json!({"errors": [{"code": "insufficient_scope"}]}),
            true,
        ),
        (403, json!({"error": "Must have approval"}), false),
        (403, json!({"error": "forbidden"}), false),
        (422, json!({"error": DOCUMENTED}), false),
    ] {
        let server = MockServer::start_async().await;
        for path in ["/api/catalog/products", "/api/clinic/patients/1"] {
            on_get(&server, path, |then| {
                then.status(status).json_body(body.clone())
            })
            .await;
        }
        let client = once(&server.base_url());
        let restricted = client.list_products().send().await.unwrap_err();
        assert_eq!(
            restricted.is_missing_scope(),
            missing,
            "{body}: {restricted}"
        );
        assert_eq!(
            restricted.needs_approval(),
            status == 403 && !missing,
            "{body}"
        );
        let error = client.get_patient().id("1").send().await.unwrap_err();
        assert_eq!(error.is_missing_scope(), missing, "{body}: {error}");
        let names = error
            .to_string()
            .contains("the token lacks the scope patients:read");
        assert_eq!(names, missing, "{error}");
    }
}

#[tokio::test]
async fn html_with_a_success_status_is_named_as_html() {
    for (content_type, body, html) in [
        ("text/html", "<html>", true),
        ("text/html; charset=utf-8", "Maintenance", true),
        ("application/json", "<!DOCTYPE html><html></html>", true),
        ("application/json", "\u{feff}\n <!doctype HTML>", true),
        ("text/plain", "<HTML><body>", true),
        ("application/xml", "<?xml version=\"1.0\"?>", false),
        ("text/plain", "busy", false),
        ("application/json", "{]", false),
        ("text/html", "{\"patient\": ", false),
    ] {
        let error = refused(|then| {
            then.status(200)
                .header("content-type", content_type)
                .body(body)
        });
        let error = error.await;
        let text = error.to_string();
        let named = text.contains("decode error: the response is HTML, not JSON (status 200 OK)");
        assert_eq!(named, html, "{content_type} {body}: {text}");
        assert!(error.is_decode() || error.is_transport(), "{text}");
    }
}

#[tokio::test]
async fn a_missing_field_is_named() {
    for (body, field) in [
        (json!({}), "`patient`"),
        (json!({"patient": {}}), "`patient.id`"),
        (
            json!({"patient": {"first_name": "PLANTED"}}),
            "`patient.id`",
        ),
    ] {
        let error = refused(|then| then.status(200).json_body(body.clone())).await;
        let expected = format!("get_patient: decode error: {field} is missing (status 200 OK)");
        assert!(error.to_string().starts_with(&expected), "{body}: {error}");
        assert!(!format!("{error:?}").contains("PLANTED"), "{error:?}");
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
async fn in_strict_mode_a_response_of_another_shape_is_a_decode_error_that_names_the_field() {
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
        (
            json!([{"first_name": "PLANTED"}]),
            "`patients[0].id` is missing",
        ),
        (json!("PLANTED"), "`patients`"),
    ] {
        let server = MockServer::start_async().await;
        let body = json!({"patients": patients});
        let respond = |then: Then| then.status(200).json_body(body);
        on_get(&server, "/api/clinic/patients", respond).await;
        let strict = CallOptions::new().strict_decoding(true);
        let client = once(&server.base_url()).with_options(strict);
        let error = client.list_patients().send().await.unwrap_err();
        assert!(error.is_decode());
        assert!(error.to_string().contains(place), "{error}");
        assert!(!format!("{error:?}").contains("PLANTED"), "{error:?}");
    }
}

#[tokio::test]
async fn a_response_of_another_shape_is_decoded_without_what_differs() {
    let server = MockServer::start_async().await;
    let body = json!({"patients": [
        {"id": "1", "is_dependent": "PLANTED", "first_name": "Ana"},
        {"id": null, "first_name": "PLANTED"},
        "PLANTED",
        {"id": "2", "discount": {"PLANTED": 1}},
    ], "meta": ["PLANTED"]});
    let respond = |then: Then| then.status(200).json_body(body);
    on_get(&server, "/api/clinic/patients", respond).await;
    let client = once(&server.base_url());

    let response = client.list_patients().send().await.unwrap();

    let ids: Vec<_> = response
        .patients
        .iter()
        .map(|one| one.id.as_str())
        .collect();
    assert_eq!(ids, ["1", "2"]);
    assert_eq!(response.patients[0].first_name.as_deref(), Some("Ana"));
    let issues = response.issues().iter().map(ToString::to_string);
    let mut issues: Vec<_> = issues.collect();
    issues.sort();
    assert_eq!(
        issues,
        [
            "`meta`: expected an object, found a list",
            "`patients[0].is_dependent`: expected a boolean, found text",
            "`patients[1].id`: expected text, a number or a boolean, found null",
            "`patients[2]`: expected an object, found text",
            "`patients[3].discount`: expected text, a number or a boolean, found an object",
        ]
    );
    let unreadable = response.unreadable_records();
    assert_eq!(unreadable.len(), 2);
    assert_eq!((unreadable[0].index(), unreadable[0].id()), (1, None));
    assert_eq!(unreadable[0].cause().path, "patients[1].id");
    assert_eq!(
        unreadable[0].body(),
        br#"{"first_name":"PLANTED","id":null}"#
    );
    assert_eq!(unreadable[1].body(), br#""PLANTED""#);
    assert!(!format!("{response:?} {unreadable:?}").contains("PLANTED"));
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
