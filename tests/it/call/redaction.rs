//! No printed output contains a token or patient data. The tests plant recognizable values in every
//! place that could leak, and search all `Display` and `Debug` output for them.

use std::fmt::Debug;

use fullscript::http::Method;
use fullscript::types::{self, CreateOauthTokenRequest, CreatePatientRequest};
use fullscript::value::Secret;
use fullscript::{AccessToken, CallOptions, Client, Environment};
use httpmock::MockServer;
use serde_json::json;

use crate::support::{Act, Misbehaving, any_request, builder, client, on_get};

#[tokio::test]
async fn no_error_shows_the_request_or_the_response() {
    for answer in [
        "",
        "PLANTED/1.1 200 PLANTED\r\n\r\n",
        "HTTP/1.1 200 OK\r\nPLANTED PLANTED\r\n\r\n",
        "HTTP/1.1 200 OK\r\nx: PLANTED\r\ncontent-length: 100\r\n\r\n{\"PLANTED\"",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nPLANTED\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\nPLANTED",
        "HTTP/1.1 200 OK\r\ncontent-length: 23\r\n\r\n{\"patient\": \"PLANTED\"}\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 24\r\n\r\n{\"patients\": \"PLANTED\"}\n",
        "HTTP/1.1 302 PLANTED\r\nlocation: /PLANTED\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 401 PLANTED\r\nwww-authenticate: PLANTED\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 403 PLANTED\r\ncontent-length: 7\r\n\r\nPLANTED",
        "HTTP/1.1 422 PLANTED\r\ncontent-length: 21\r\n\r\n{\"error\": \"PLANTED\" }\n",
        "HTTP/1.1 500 PLANTED\r\ncontent-length: 7\r\n\r\nPLANTED",
    ] {
        // Raw bytes: a mock server cannot break a response or choose its reason phrase.
        let server = Misbehaving::start([Act::AnswerAndClose(answer.into())]).await;
        let client = builder(&(server.url() + "/PLANTED"))
            .access_token(planted_token())
            .options(CallOptions::new().max_attempts(2))
            .build()
            .unwrap();
        let search = client.search_patients().query("PLANTED");
        let by_query = search.send().await.unwrap_err();
        let by_id = client.get_patient().id("PLANTED").send().await.unwrap_err();
        let create = client.create_patient().body(planted_patient());
        let by_body = create.send().await.unwrap_err();
        for error in [by_query, by_id, by_body] {
            check_error(&error);
        }
    }
}

#[tokio::test]
async fn a_decode_error_shows_field_names_of_the_models_only() {
    use std::collections::BTreeMap;
    #[derive(Debug, serde::Deserialize)]
    #[allow(dead_code, reason = "only decoded")]
    struct Own {
        patients: Vec<BTreeMap<String, BTreeMap<String, u8>>>,
    }
    for (body, place) in [
        (
            json!({"patients": [{"metadata": {"PLANTED": "x"}}, {"PLANTED@example.com": {}}]}),
            "`patients[0].metadata.*`",
        ),
        (
            json!({"patients": [{"PLANTED": {"PLANTED": 1}}, {"PLANTED": {"id": "PLANTED"}}]}),
            "`patients[1].*.id`",
        ),
        (
            json!({"patients": [{"planted Ana 1970-01-01": 5}]}),
            "`patients[0].*`",
        ),
        (json!({"patients": [{"": {"": "x"}}]}), "`patients[0].*.*`"),
    ] {
        let server = MockServer::start_async().await;
        on_get(&server, "/api/x", |then| then.status(200).json_body(body)).await;
        let strict = CallOptions::new().strict_decoding(true);
        let client = client(&server.base_url()).with_options(strict);
        let call = client.request(Method::GET, "/api/x");
        let error = call.send::<Own>().await.unwrap_err();
        check_error(&error);
        assert!(error.to_string().contains(place), "{error}");
    }
    // Metadata of a model: the key is the server's, whatever is wrong with its value.
    for patient in [
        json!({"id": "1", "metadata": {"PLANTED": {"PLANTED": [1]}, "id": ["PLANTED"]}}),
        json!({"id": "1", "metadata": ["PLANTED"]}),
        json!({"id": {"PLANTED": 1}}),
    ] {
        let server = MockServer::start_async().await;
        on_get(&server, "/api/clinic/patients/1", |then| {
            then.status(200).json_body(json!({"patient": patient}))
        })
        .await;
        for strict in [false, true] {
            let strict = CallOptions::new().strict_decoding(strict);
            let client = client(&server.base_url()).with_options(strict);
            match client.get_patient().id("1").send().await {
                Ok(response) => {
                    let issues = response.issues();
                    let shown = format!("{issues:?} {:?}", issues.first().map(ToString::to_string));
                    assert!(!shown.contains("PLANTED"), "{shown}");
                }
                Err(error) => check_error(&error),
            }
        }
    }
}

#[tokio::test]
async fn a_request_id_is_shown_bounded_and_clean() {
    let long = "a1-".repeat(2_000);
    for (sent, shown) in [
        ("2f1c-77", Some("2f1c-77")),
        ("Root=1-67891233-abcdef", Some("Root=1-67891233-abcdef")),
        ("a+b/c==", Some("a+b/c==")),
        (&long, Some(&long[..128])),
        ("abc PLANTED", Some("abc")),
        ("abc\tPLANTED", Some("abc")),
        ("abc; patient=PLANTED", Some("abc")),
        ("abc<b>PLANTED</b>", Some("abc")),
        ("abc\u{e9}PLANTED", Some("abc")),
        ("\"PLANTED\"", None),
        ("", None),
    ] {
        let clinic = "{\"clinic\":{\"id\":\"1\"}}";
        for (code, body) in [(200, clinic), (200, "{\"clinic\":1}"), (404, "")] {
            let header = format!("x-request-id: {sent}\r\n");
            let answer = crate::support::answer_with(code, &header, body);
            let server = Misbehaving::start([Act::Answer(answer)]).await;
            match client(&server.url()).get_clinic().send().await {
                Ok(response) => {
                    assert_eq!(response.request_id(), shown);
                    check_debug(&response);
                    assert!(format!("{response:?}").len() < 250);
                }
                Err(error) => {
                    assert_eq!(error.request_id(), shown);
                    check_error(&error);
                    let text = error.to_string();
                    assert_eq!(text.contains(", request id "), shown.is_some(), "{text}");
                    assert!(text.len() < 400, "{text}");
                }
            }
        }
    }
}

#[tokio::test]
async fn no_error_shows_a_rejected_argument() {
    let server = MockServer::start_async().await;
    let requests = any_request(&server).await;
    let client = client(&server.base_url());
    let bad_token = builder(&server.base_url()).access_token(AccessToken::new("PLANTED\n"));
    let plan = types::CreateTreatmentPlanRequest::draft([]);
    for result in [
        client
            .request(Method::GET, "/api/PLANTED?PLANTED")
            .send::<serde_json::Value>()
            .await
            .map(drop),
        client
            .create_treatment_plan()
            .patient_id("PLANTED")
            .idempotency_key("PLANTED\n")
            .body(plan)
            .await
            .map(drop),
        client
            .create_treatment_plan()
            .patient_id("PLANTED")
            .await
            .map(drop),
        bad_token.build().unwrap().get_clinic().await.map(drop),
    ] {
        let error = result.unwrap_err();
        assert!(error.is_invalid_request(), "{error}");
        check_error(&error);
    }
    requests.assert_calls_async(0).await;
}

#[tokio::test]
async fn no_error_shows_the_host() {
    // A mock server has no TLS, so the handshake fails.
    let server = MockServer::start_async().await;
    // Like the builder's own HTTP client, but with a host name that resolves to loopback.
    let _provider = Client::builder(Environment::UsSandbox).build().unwrap();
    let http = reqwest::Client::builder()
        .no_proxy()
        .resolve("planted.example", *server.address())
        .timeout(std::time::Duration::from_secs(10))
        .build()
        .unwrap();
    let client = builder(&format!("https://planted.example:{}", server.port()))
        .http_client(http)
        .access_token(planted_token())
        .options(CallOptions::new().max_attempts(2))
        .build()
        .unwrap();
    let error = client.get_patient().id("PLANTED").send().await.unwrap_err();
    assert!(error.is_transport());
    check_error(&error);
    for url in [
        "http://planted.example",
        "https://planted:planted@planted.example",
        "planted",
    ] {
        check_error(
            &Client::builder(Environment::UsSandbox)
                .base_url(url)
                .build()
                .unwrap_err(),
        );
    }
}

#[tokio::test]
async fn no_response_shows_its_value_or_headers() {
    let server = MockServer::start_async().await;
    let patient = json!({"patient": {"id": "PLANTED", "first_name": "PLANTED"}});
    on_get(&server, "/api/clinic/patients/1", |then| {
        then.status(200)
            .header("x-planted", "PLANTED")
            .json_body(patient)
    })
    .await;
    let call = client(&server.base_url()).get_patient().id("1");
    let answer = call.send().await.unwrap();
    assert_eq!(answer.patient.first_name.as_deref(), Some("PLANTED"));
    check_debug(&answer);
    check_debug(&answer.patient.id);
}

#[test]
fn no_client_shows_its_token() {
    let mut headers = reqwest::header::HeaderMap::new();
    headers.insert("x-gateway-key", "PLANTED".parse().unwrap());
    let builder = || Client::builder(Environment::UsSandbox).access_token(planted_token());
    let client = builder().build().unwrap();
    let http = reqwest::Client::builder()
        .default_headers(headers)
        .build()
        .unwrap();
    check_debug(&client);
    check_debug(&builder());
    check_debug(&builder().http_client(http.clone()));
    check_debug(&builder().base_url("https://user:PLANTED@example.com/?token=PLANTED"));
    check_debug(&builder().http_client(http).build().unwrap());
}

#[test]
fn no_call_shows_its_arguments() {
    let client = Client::builder(Environment::UsSandbox)
        .access_token(planted_token())
        .build()
        .unwrap();
    let token =
        CreateOauthTokenRequest::new("refresh_token", "id", "PLANTED").code(planted_secret());
    check_debug(&client.get_patient().id("PLANTED"));
    check_debug(&client.get_patient().id("PLANTED\n"));
    check_debug(&client.search_patients().query("PLANTED"));
    check_debug(&client.create_patient().body(planted_patient()));
    check_debug(&client.create_oauth_token().body(token));
    check_debug(&client.list_patients());
}

#[test]
fn no_secret_is_shown() {
    check_debug(&planted_token());
    check_debug(&Secret::from("PLANTED"));
    let answer = json!({"oauth": {"access_token": "PLANTED", "refresh_token": "PLANTED"}});
    check_debug(&serde_json::from_value::<types::OauthResponse>(answer).unwrap());
    let grant = json!({"id": "1", "secret_token": "PLANTED"});
    check_debug(&serde_json::from_value::<types::SessionGrant>(grant).unwrap());
    let token =
        CreateOauthTokenRequest::new("refresh_token", "id", "PLANTED").code(planted_secret());
    check_debug(&token);
}

/// Checks an error and all its sources, as a log would show them.
#[track_caller]
fn check_error(error: &(dyn std::error::Error + 'static)) {
    let mut link = Some(error);
    while let Some(error) = link {
        check(&error.to_string());
        check(&format!("{error:?} {error:#?}"));
        link = error.source();
    }
}

#[track_caller]
fn check_debug(value: &impl Debug) {
    check(&format!("{value:?} {value:#?}"));
}

#[track_caller]
fn check(shown: &str) {
    assert!(!shown.to_lowercase().contains("planted"), "{shown}");
}

fn planted_token() -> AccessToken {
    AccessToken::new("PLANTED")
}

fn planted_secret() -> Secret {
    "PLANTED".into()
}

fn planted_patient() -> types::CreatePatientRequest {
    CreatePatientRequest::new("PLANTED@example.com", "PLANTED", "PLANTED")
}

#[test]
fn no_model_shows_its_values() {
    let answer = json!({"id": "PLANTED", "first_name": "PLANTED", "gender": "PLANTED",
        "discount": "PLANTED", "date_of_birth": "PLANTED", "metadata": {"id": "PLANTED"}});
    let patient: fullscript::types::Patient = serde_json::from_value(answer).unwrap();
    check_debug(&patient);
    assert_eq!(
        format!("{patient:?}"),
        "Patient { date_of_birth: .., discount: .., first_name: .., gender: .., id: PatientId(..), metadata: .. }",
    );
    let patient = fullscript::types::Patient::new("0c7d1a52-6f0e").first_name("PLANTED");
    assert_eq!(
        format!("{patient:?}"),
        "Patient { first_name: .., id: PatientId(0c7d1a52-6f0e) }",
    );
    let request = fullscript::types::CreatePatientRequest::new("PLANTED", "PLANTED", "PLANTED");
    check_debug(&request);
}
