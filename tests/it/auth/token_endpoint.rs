//! Responses of the token endpoint, and their effect on the stored token set.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fullscript::auth::{AuthError, OAuthApp, Scope, TokenSet};
use fullscript::testing::{FakeFullscript, Script};
use httpmock::prelude::{MockServer, POST};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::support::{
    Act, Closed, Connected, Misbehaving, TWO_HOURS, answer, answer_with, connect, consent,
};

const FLAT: &str = r#"{"access_token":"fake-access-9","refresh_token":"fake-refresh-9","expires_in":"7200","created_at":1767225600}"#;

/// A user whose access token has expired by the client's clock, with a token endpoint of its own.
///
/// The endpoint is not a mock server: some responses are incomplete, and tokio's paused clock does
/// not wait for a server on another thread.
struct Expired {
    connected: Connected,
    endpoint: Misbehaving,
    app: OAuthApp,
}

impl Expired {
    async fn new(acts: impl IntoIterator<Item = Act>) -> Self {
        let connected = Connected::unlimited().await;
        connected.clock.advance(TWO_HOURS);
        let endpoint = Misbehaving::start(acts).await;
        let url = endpoint.url() + "/api/oauth/token";
        let options = fullscript::CallOptions::new().timeout(Duration::from_secs(600));
        let app = connected.another().token_url(url).options(options);
        Self {
            app: app.build().unwrap(),
            connected,
            endpoint,
        }
    }

    async fn stored(&self) -> TokenSet {
        self.connected.stored().await
    }

    /// Makes a call, which ends when its refreshes have ended.
    async fn call(&self) {
        // The fake responds with 401 to a token that it has not issued.
        let call = self.app.client("practitioner").get_clinic();
        drop(call.send().await);
    }
}

/// The outcome of a request that always gets the same response.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Ends {
    /// A new token set, or a revocation.
    Done,
    /// A refusal of the token or code, after one request.
    Refused,
    /// A refusal of the app, after one request.
    Misconfigured,
    /// A transient error, after four requests. A code may be spent after the first one.
    Transient,
    /// A transient error, after four requests, none of which the server processed.
    Unprocessed,
}

/// A response, and its outcome for tokens and for a revocation.
struct Case {
    act: Act,
    tokens: Ends,
    revocation: Ends,
    /// A part of the error's text.
    text: &'static str,
}

fn case(act: Act, ends: Ends, text: &'static str) -> Case {
    Case {
        act,
        tokens: ends,
        revocation: ends,
        text,
    }
}

fn json(status: u16, body: &str) -> Act {
    Act::Answer(answer(status, "application/json", body))
}

fn html(status: u16) -> Act {
    let page = "<html><p>Blocked: error=invalid_grant, \"invalid_client\"</p></html>";
    Act::Answer(answer(status, "text/html; charset=utf-8", page))
}

fn challenge(status: u16, headers: &str) -> Act {
    Act::Answer(answer_with(status, headers, ""))
}

/// All spellings of a refusal of the token or code.
fn refusals() -> Vec<Case> {
    let bodies = [
        r#"{"error":"invalid_grant"}"#,
        r#"{"error":"invalid_grant","error_description":"The refresh token is invalid"}"#,
        r#"{"oauth":{"error":"invalid_grant"}}"#,
        r#"{"errors":[{"code":"invalid_grant","message":"revoked"}]}"#,
        r#"{"errors":["invalid_grant"]}"#,
        r#"{"errors":{"code":"invalid_grant"}}"#,
        r#"{"error":{"code":"invalid_grant","status":400}}"#,
        r#"{"error":{"type":"invalid_grant","message":"revoked"}}"#,
        r#"{"error":["invalid_grant"]}"#,
        r#"{"status":400,"error":"Bad Request","message":"invalid_grant"}"#,
        r#"{"error":"Invalid_Grant"}"#,
        r#"{"error":"INVALID_GRANT"}"#,
        r#"{"error":"Invalid grant"}"#,
        r#"{"error":"invalidGrant"}"#,
        "\u{feff}{\"error\":\"invalid_grant\"}",
        r#""invalid_grant""#,
        // What other servers return.
        "invalid_grant",
        "error=invalid_grant&error_description=revoked",
        r#"{"ErrorCode":"invalid_grant"}"#,
        r#"{"errorCode":"InvalidGrant","message":"revoked"}"#,
        r#"{"detail":{"error":"invalid_grant"}}"#,
        r#"{"errors":[{"message":"revoked","extensions":{"code":"INVALID_GRANT"}}]}"#,
        r#"{"statusCode":400,"body":"{\"error\":\"invalid_grant\"}"}"#,
        r#"{"error":"invalid_grant: the token was revoked"}"#,
        r#"{"error":"bad_refresh_token","error_uri":"https://example.com"}"#,
        r#"{"error":{"code":"refresh_token_reused","message":"log in again"}}"#,
        r#"{"ok":false,"error":"token_expired"}"#,
        r#"{"error":"interaction_required","error_codes":[50076]}"#,
        r#"{"error":"invalid_request","error_description":"Invalid \"refresh_token\" in request."}"#,
        r#"{"error":"invalid_request","message":"The refresh token is invalid.","hint":"Token has been revoked"}"#,
        r#"{"error":{"code":"invalid_request","message":"Refresh token has expired"}}"#,
    ];
    let statuses = [400, 401, 403, 404, 422, 200];
    let challenges = [
        "www-authenticate: Bearer realm=\"Doorkeeper\", error=\"invalid_grant\"\r\n",
        "www-authenticate: Bearer error=invalid_grant, realm=x\r\n",
        "WWW-Authenticate: Bearer Error = \"Invalid_Grant\"\r\n",
        "www-authenticate: Basic realm=\"a\"\r\nwww-authenticate: Bearer error=\"invalid_grant\"\r\n",
    ];
    let bodies = bodies.into_iter().enumerate().flat_map(|(index, body)| {
        // Each body with two of the statuses, and the first one with all.
        let few = [statuses[0], statuses[1 + index % 5]];
        let statuses = if index == 0 { &statuses[..] } else { &few };
        statuses
            .iter()
            .map(|status| json(*status, body))
            .collect::<Vec<_>>()
    });
    let challenges = challenges
        .into_iter()
        .map(|headers| challenge(401, headers));
    let all = bodies.chain(challenges);
    all.map(|act| case(act, Ends::Refused, "")).collect()
}

/// Refusals of the app, each with its own text.
fn refusals_of_the_app() -> Vec<Case> {
    let realm = "www-authenticate: Bearer realm=\"x\", error=\"invalid_client\"\r\n";
    let cases = [
        (
            json(401, r#"{"error":"invalid_client"}"#),
            "(invalid_client)",
        ),
        (
            json(400, r#"{"oauth":{"error":"invalid_client"}}"#),
            "(invalid_client)",
        ),
        (
            json(200, r#"{"error":{"code":"Invalid_Client"}}"#),
            "(invalid_client)",
        ),
        (challenge(401, realm), "(invalid_client)"),
        (
            json(403, r#"{"error":"unauthorized_client"}"#),
            "(unauthorized_client)",
        ),
        (
            json(400, r#"{"errors":[{"code":"unauthorized_client"}]}"#),
            "(unauthorized_client)",
        ),
        (
            json(400, r#"{"error":"invalid_request"}"#),
            "(invalid_request)",
        ),
        (json(400, r#"{"error":"invalid_scope"}"#), "(invalid_scope)"),
        (
            json(400, r#"{"error":"unsupported_grant_type"}"#),
            "unsupported_grant_type",
        ),
        (
            json(400, r#"{"error":"unsupported_token_type"}"#),
            "unsupported_token_type",
        ),
        (challenge(401, ""), "status 401 without an OAuth error code"),
        (
            json(401, r#"{"message":"Unauthorized"}"#),
            "status 401 without an OAuth error code",
        ),
        (
            json(404, r#"{"status":404,"error":"Not Found"}"#),
            "compare the environment",
        ),
        (
            json(422, r#"{"error":["Code is invalid"]}"#),
            "compare the environment",
        ),
        (json(405, "{}"), "compare the environment"),
        // What other servers return.
        (
            json(200, r#"{"error":"incorrect_client_credentials"}"#),
            "(invalid_client)",
        ),
        (
            Act::Answer(answer(401, "text/plain", "invalid_client")),
            "(invalid_client)",
        ),
        (
            json(400, r#"{"error":"redirect_uri_mismatch"}"#),
            "refuses the redirect URI",
        ),
        (
            json(
                400,
                r#"{"error":"invalid_request","error_description":"Missing required parameter: refresh_token"}"#,
            ),
            "(invalid_request)",
        ),
        (
            json(
                400,
                r#"{"error":"invalid_request","error_description":"The client id is invalid"}"#,
            ),
            "(invalid_request)",
        ),
        (
            json(401, r#"{"error":"invalid_token"}"#),
            "status 401 without an OAuth error code",
        ),
    ];
    let cases = cases.into_iter();
    cases
        .map(|(act, text)| case(act, Ends::Misconfigured, text))
        .collect()
}

/// Responses of a firewall, a network or a server in trouble.
fn transient() -> Vec<Case> {
    let elsewhere = "location: http://localhost:1/api/oauth/token\r\n";
    let challenged = "www-authenticate: Basic realm=\"error=invalid_grant\"\r\n";
    let wrapped = format!(r#"{{"oauth":{FLAT}}}"#);
    let cut = answer(200, "application/json", &wrapped).replace('}', "");
    let unreadable = "unreadable response (status";
    let mut cases: Vec<_> = [400, 401, 403, 404, 405, 407, 451, 200, 202]
        .into_iter()
        .map(|status| case(html(status), Ends::Transient, unreadable))
        .collect();
    for (act, text) in [
        (
            Act::Answer(answer(403, "text/plain", "RBAC: access denied")),
            "status 403, text/plain",
        ),
        (
            Act::Answer(answer(401, "text/plain", "an invalid_client")),
            "status 401, text/plain",
        ),
        (
            Act::Answer(answer(400, "text/plain", &"invalid_grant".repeat(100))),
            "status 400, text/plain",
        ),
        (
            json(400, r#"{"error":"internal_failure"}"#),
            "temporarily unavailable",
        ),
        (
            json(403, r#"{"error":"rate_limit_exceeded"}"#),
            "temporarily unavailable",
        ),
        (
            json(403, r#"{"message":"Forbidden"}"#),
            "status 403, application/json",
        ),
        (challenge(403, ""), "status 403, no content type"),
        (challenge(404, ""), "status 404, no content type"),
        (challenge(403, challenged), "status 403"),
        (challenge(301, elsewhere), "status 301"),
        (challenge(302, elsewhere), "status 302"),
        (challenge(307, elsewhere), "status 307"),
        (json(302, r#"{"error":"invalid_grant"}"#), "status 302"),
        (
            json(500, r#"{"error":"invalid_grant"}"#),
            "temporarily unavailable",
        ),
        (
            json(503, r#"{"error":"invalid_client"}"#),
            "temporarily unavailable",
        ),
        (html(502), "temporarily unavailable"),
        (html(511), "temporarily unavailable"),
        (html(530), "temporarily unavailable"),
        (
            json(408, r#"{"error":"invalid_grant"}"#),
            "temporarily unavailable",
        ),
        (
            json(400, r#"{"error":"temporarily_unavailable"}"#),
            "temporarily unavailable",
        ),
        (
            json(200, r#"{"error":"server_error"}"#),
            "temporarily unavailable",
        ),
        (json(200, r#"{"oauth":{"access_token":"#), unreadable),
        (
            Act::AnswerAndClose(cut.clone()),
            "connection to the token endpoint failed",
        ),
        (
            Act::AnswerAndReset(cut),
            "connection to the token endpoint failed",
        ),
        (
            Act::AnswerAndClose(String::new()),
            "connection to the token endpoint failed",
        ),
        (
            Act::AnswerAndReset(String::new()),
            "connection to the token endpoint failed",
        ),
        (Act::Silence, "timed out waiting for the token endpoint"),
        (Act::Large(1 << 30), "too large"),
    ] {
        cases.push(case(act, Ends::Transient, text));
    }
    let throttled = challenge(429, "retry-after: 2\r\n");
    cases.push(case(
        throttled,
        Ends::Unprocessed,
        "temporarily unavailable",
    ));
    let throttled = json(429, r#"{"error":"invalid_grant"}"#);
    cases.push(case(
        throttled,
        Ends::Unprocessed,
        "temporarily unavailable",
    ));
    // Responses that prove a revocation, and that contain no tokens.
    let no_content = challenge(204, "").clone();
    for act in [
        json(200, ""),
        json(200, "{}"),
        json(200, r#"{"error":null}"#),
        no_content,
    ] {
        cases.push(Case {
            revocation: Ends::Done,
            ..case(act, Ends::Transient, unreadable)
        });
    }
    cases
}

fn cases() -> Vec<Case> {
    let mut cases = refusals();
    cases.extend(refusals_of_the_app());
    cases.extend(transient());
    assert!(cases.len() > 75, "{}", cases.len());
    cases
}

/// The number of requests that get the response of a case.
fn requests(ends: Ends) -> usize {
    match ends {
        Ends::Transient | Ends::Unprocessed => 4,
        Ends::Done | Ends::Refused | Ends::Misconfigured => 1,
    }
}

/// Starts an endpoint for all cases, one after the other.
async fn endpoint_for(cases: &[Case], requests: impl Fn(&Case) -> usize) -> Misbehaving {
    let acts = cases.iter().flat_map(|case| {
        let acts = std::iter::repeat_n(case.act.clone(), requests(case));
        acts.collect::<Vec<_>>()
    });
    Misbehaving::start(acts.chain([Act::Silence])).await
}

/// Checks the text of an error, whose sources name the cause.
#[track_caller]
fn check_error(case: &Case, ends: Ends, error: &AuthError) {
    let shown = format!("{error:?}");
    assert!(shown.contains(case.text), "{:?}: {shown}", case.act);
    let misconfigured = ends == Ends::Misconfigured;
    assert_eq!(
        error.is_misconfigured(),
        misconfigured,
        "{:?}: {shown}",
        case.act
    );
}

/// The paused clock advances only to the next timeout.
#[tokio::test(start_paused = true)]
async fn each_response_has_its_documented_outcome_and_loses_no_tokens() {
    let (connected, cases) = (Connected::unlimited().await, cases());
    for user in 0..cases.len() {
        connect(&connected.fake, &connected.app, &user.to_string()).await;
    }
    connected.clock.advance(TWO_HOURS);
    let options = fullscript::CallOptions::new().timeout(Duration::from_secs(600));
    for (user, case) in cases.iter().enumerate() {
        let user = user.to_string();
        // An app for each case, because failures open the circuit breaker of an app.
        let endpoint = Misbehaving::start([case.act.clone()]).await;
        let url = endpoint.url() + "/api/oauth/token";
        let app = connected.another().token_url(url).options(options.clone());
        let app = app.build().unwrap();
        let stored = async || connected.stored_of(&user).await.unwrap();
        let before = stored().await;
        let error = app.client(&user).get_clinic().send().await.unwrap_err();
        let auth = error.auth_error().unwrap();
        let sent = endpoint.requests().len();
        assert_eq!(sent, requests(case.tokens), "{:?}: {auth}", case.act);
        check_error(case, case.tokens, auth);
        // A response of one gigabyte is not read to its end.
        assert!(endpoint.bytes_sent() < 64 << 20);
        let refused = case.tokens == Ends::Refused;
        let transient = requests(case.tokens) > 1;
        assert_eq!(auth.needs_reconnect(), refused, "{:?}: {auth}", case.act);
        assert_eq!(auth.is_transient(), transient, "{:?}: {auth}", case.act);
        let after = stored().await;
        let refresh = |tokens: &TokenSet| tokens.refresh_token.clone().unwrap();
        assert_eq!(refresh(&after).expose(), refresh(&before).expose());
        assert_eq!(
            after.needs_reconnect.is_some(),
            refused,
            "{:?}: {auth}",
            case.act
        );
    }
}

#[tokio::test(start_paused = true)]
async fn each_response_to_an_exchange_says_whether_the_code_is_spent() {
    let (fake, cases) = (FakeFullscript::start().await.unwrap(), cases());
    // Nobody knows whether the server accepted the code, so it is sent once.
    let requests = |case: &Case| match case.tokens {
        Ends::Transient => 1,
        ends => requests(ends),
    };
    let endpoint = endpoint_for(&cases, requests).await;
    let url = endpoint.url() + "/api/oauth/token";
    let app = fake.app_builder().token_url(url).build().unwrap();
    let mut sent = 0;
    for case in &cases {
        let code = consent(&fake, &app, "practitioner");
        let error = app.exchange(code).await.unwrap_err();
        sent += requests(case);
        assert_eq!(endpoint.requests().len(), sent, "{:?}: {error}", case.act);
        check_error(case, case.tokens, &error);
        let text = error.to_string();
        let (spent, said) = match case.tokens {
            Ends::Refused => (
                true,
                "the redirect URI is not exactly the one in the dashboard",
            ),
            Ends::Transient => (true, "the authorization code may be spent"),
            Ends::Unprocessed => (false, "the authorization code is not spent"),
            Ends::Misconfigured | Ends::Done => (false, case.text),
        };
        assert_eq!(error.is_code_expired(), spent, "{:?}: {text}", case.act);
        let transient = case.tokens == Ends::Unprocessed;
        assert_eq!(error.is_transient(), transient, "{:?}: {text}", case.act);
        assert!(text.contains(said), "{:?}: {text}", case.act);
    }
}

#[tokio::test(start_paused = true)]
async fn each_response_to_a_revocation_deletes_the_tokens_only_if_they_are_revoked() {
    let (connected, cases) = (Connected::unlimited().await, cases());
    let endpoint = endpoint_for(&cases, |case| requests(case.revocation)).await;
    let url = endpoint.url() + "/api/oauth/revoke";
    let app = connected.another().revoke_url(url).build().unwrap();
    let mut sent = 0;
    for (user, case) in cases.iter().enumerate() {
        let user = user.to_string();
        connect(&connected.fake, &connected.app, &user).await;
        let revoked = app.revoke(&user).await;
        sent += requests(case.revocation);
        assert_eq!(
            endpoint.requests().len(),
            sent,
            "{:?}: {revoked:?}",
            case.act
        );
        if let Err(error) = &revoked {
            check_error(case, case.revocation, error);
        }
        let expected = matches!(case.revocation, Ends::Done | Ends::Refused);
        assert_eq!(revoked.is_ok(), expected, "{:?}: {revoked:?}", case.act);
        let stored = connected.stored_of(&user).await;
        assert_eq!(stored.is_none(), expected, "{:?}: {revoked:?}", case.act);
    }
}

#[tokio::test(start_paused = true)]
async fn an_exchange_that_was_not_processed_is_repeated_with_the_same_callback() {
    let owned = FLAT.replace('{', r#"{"resource_owner":{"id":"7","type":"Staff"},"#);
    let throttled = challenge(429, "retry-after: 2\r\n");
    for refuses_connections in [false, true] {
        let fake = FakeFullscript::start().await.unwrap();
        let (closed, acts) = (Closed::new(), vec![throttled.clone(); 4]);
        let url = closed.url() + "/api/oauth/token";
        let app = fake.app_builder().token_url(url).build().unwrap();
        let request = app.authorize();
        let callback = fake.approve(request.url(), "practitioner");
        let exchange = async || {
            let code = app.callback(&callback, request.state()).unwrap();
            app.exchange(code).await
        };
        let tokens = json(200, &owned);
        let (error, endpoint) = if refuses_connections {
            let error = exchange().await.unwrap_err();
            (error, closed.open([tokens]))
        } else {
            let endpoint = closed.open(acts.into_iter().chain([tokens]));
            (exchange().await.unwrap_err(), endpoint)
        };
        assert!(error.is_transient() && !error.is_code_expired(), "{error}");
        assert!(
            error.to_string().contains("read the callback again"),
            "{error}"
        );
        let wait = (!refuses_connections).then_some(Duration::from_secs(2));
        assert_eq!(error.retry_after(), wait);
        assert_eq!(exchange().await.unwrap().id(), "7");
        drop(endpoint);
    }
}

#[tokio::test]
async fn tokens_without_an_owner_are_an_error_that_says_so() {
    let fake = FakeFullscript::start().await.unwrap();
    let app = fake.app_builder().build().unwrap();
    for owner in [
        "",
        r#""resource_owner":null,"#,
        r#""resource_owner":"7","#,
        r#""resource_owner":{"id":"","type":"Staff"},"#,
        r#""resource_owner":{"type":"Staff"},"#,
        r#""resource_owner":{"id":null},"#,
    ] {
        let body = FLAT.replace('{', &format!("{{{owner}"));
        let body = serde_json::from_str(&body).unwrap();
        fake.answer("create_oauth_token", Script::json(200, &body));
        let code = consent(&fake, &app, "practitioner");
        let error = app.exchange(code).await.unwrap_err();
        assert!(
            error.to_string().contains("no owner (resource_owner)"),
            "{error}"
        );
        assert!(error.is_code_expired() && !error.is_transient(), "{error}");
    }
}

#[tokio::test]
async fn scopes_are_read_in_each_usual_form() {
    let fake = FakeFullscript::start().await.unwrap();
    let app = fake.app_builder().build().unwrap();
    let both = [Scope::CATALOG_READ, Scope::CLINIC_READ].map(Scope::new);
    for (scope, expected) in [
        (serde_json::json!("catalog:read clinic:read"), &both[..]),
        (serde_json::json!("catalog:read,clinic:read"), &both),
        (serde_json::json!("catalog:read, clinic:read"), &both),
        (serde_json::json!(" Catalog:read\n,,Clinic:read, "), &both),
        (serde_json::json!(["catalog:read", "clinic:read"]), &both),
        (serde_json::json!(["catalog:read,clinic:read"]), &both),
        (serde_json::json!("catalog:read"), &both[..1]),
        (serde_json::json!(","), &[]),
        (serde_json::json!(null), &[]),
    ] {
        let body = serde_json::json!({"oauth": {
            "access_token": "fake-access-9", "refresh_token": "fake-refresh-9", "scope": scope,
            "resource_owner": {"id": 7, "type": "Staff"},
        }});
        fake.answer("create_oauth_token", Script::json(200, &body));
        let user = app.exchange(consent(&fake, &app, "practitioner")).await;
        assert_eq!(user.unwrap().scopes(), expected, "{scope}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_client_without_a_timeout_is_bounded_too() {
    let expired = Expired::new([Act::Silence]).await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = expired.endpoint.url() + "/api/oauth/token";
    let connected = &expired.connected;
    let app = connected.another().token_url(url).token_http_client(http);
    let app = app.build().unwrap();
    let options = fullscript::CallOptions::new().timeout(Duration::from_secs(600));
    let client = app.client("practitioner").with_options(options);
    let started = tokio::time::Instant::now();
    let error = client.get_clinic().send().await.unwrap_err();
    let text = error.auth_error().unwrap().to_string();
    assert!(
        text.contains("timed out waiting for the token endpoint"),
        "{text}"
    );
    let waited = started.elapsed();
    assert!(waited < Duration::from_secs(50), "{waited:?}");
}

#[tokio::test]
async fn a_token_response_after_a_failure_is_accepted_wrapped_or_flat() {
    let wrapped = format!(r#"{{"oauth":{FLAT}}}"#);
    for good in [FLAT, &wrapped] {
        for failure in [
            json(500, ""),
            Act::Answer(answer(502, "text/html", "<html>")),
            Act::AnswerAndClose(String::new()),
            Act::AnswerAndReset("HTTP/1.1 200 OK\r\n".into()),
        ] {
            let expired = Expired::new([failure, json(200, good)]).await;
            expired.call().await;
            let stored = expired.stored().await;
            assert!(stored.generation >= 2);
            assert_eq!(stored.refresh_token.unwrap().expose(), "fake-refresh-9");
            assert_eq!(stored.lifetime, Duration::from_secs(7_200));
            assert_eq!(stored.user.id(), "practitioner");
            assert!(!stored.scopes.is_empty(), "what the reply leaves out stays");
            let requests = expired.endpoint.requests();
            assert!(
                requests
                    .iter()
                    .all(|request| request.contains("fake-refresh-"))
            );
        }
    }
}

#[tokio::test]
async fn invalid_lifetimes_cause_no_refresh_loop_and_no_panic() {
    for lifetime in [
        "0",
        "-5",
        "1e300",
        "18446744073709551615",
        "\"soon\"",
        "null",
    ] {
        let connected = Connected::unlimited().await;
        refresh_into(&connected, &FLAT.replace("\"7200\"", lifetime)).await;
        assert!((1..=2).contains(&connected.refreshes()), "{lifetime}");
        assert!(connected.stored().await.lifetime >= Duration::from_secs(60));
    }
}

#[tokio::test]
async fn lifetimes_are_read_in_each_usual_form() {
    for (lifetime, seconds) in [
        ("3600", 3_600),
        ("3600.9", 3_600),
        ("\"3600\"", 3_600),
        ("\" 3600.0 \"", 3_600),
        ("\"3.6e3\"", 3_600),
        ("\"NaN\"", 60),
        ("\"-5\"", 60),
        ("\"inf\"", 365 * 86_400),
        ("{}", 7_200),
    ] {
        let connected = Connected::unlimited().await;
        refresh_into(&connected, &FLAT.replace("\"7200\"", lifetime)).await;
        let stored = connected.stored().await.lifetime;
        assert_eq!(stored, Duration::from_secs(seconds), "{lifetime}");
    }
}

#[tokio::test]
async fn tokens_of_another_user_are_rejected() {
    let other = FLAT.replace(
        '{',
        r#"{"resource_owner":{"id":"somebody","type":"Staff"},"#,
    );
    let connected = Connected::unlimited().await;
    let before = connected.stored().await;
    let error = refresh_into(&connected, &other).await;
    assert!(error.auth_error().unwrap().is_transient(), "{error}");
    assert_eq!(connected.refreshes(), 1);
    assert_eq!(connected.stored().await.generation, before.generation);
}

/// Makes a call whose refresh gets this response, and returns its error. The call fails because the
/// fake rejects tokens that it has not issued.
async fn refresh_into(connected: &Connected, body: &str) -> fullscript::Error {
    connected.clock.advance(TWO_HOURS);
    let tokens = serde_json::from_str(body).unwrap();
    connected
        .fake
        .answer("create_oauth_token", Script::json(200, &tokens));
    let call = connected.app.client("practitioner").get_clinic();
    call.send().await.unwrap_err()
}

/// Resolves to each address once, in order, and then always to the last one.
struct Leads(Mutex<VecDeque<SocketAddr>>);

impl Resolve for Leads {
    fn resolve(&self, _: Name) -> Resolving {
        let mut left = self.0.lock().unwrap();
        let next = match left.len() {
            1 => left[0],
            _ => left.pop_front().unwrap(),
        };
        let addresses: Addrs = Box::new(std::iter::once(next));
        Box::pin(std::future::ready(Ok(addresses)))
    }
}

#[tokio::test]
async fn a_code_is_resent_until_a_connection_is_established() {
    let fake = FakeFullscript::start().await.unwrap();
    let owned = FLAT.replace('{', r#"{"resource_owner":{"id":"7","type":"Staff"},"#);
    let endpoint = MockServer::start_async().await;
    let mock = endpoint.mock_async(|when, then| {
        when.method(POST)
            .path("/api/oauth/token")
            .json_body_includes(r#"{"grant_type":"authorization_code"}"#);
        then.status(200).body(owned);
    });
    let mock = mock.await;
    // The first two addresses refuse the connection.
    let closed = Closed::new();
    let leads = [closed.address(), closed.address(), *endpoint.address()];
    let leads = Arc::new(Leads(Mutex::new(leads.into())));
    // Installs the TLS provider of the process.
    drop(fake.client());
    let http = reqwest::Client::builder().dns_resolver(Arc::clone(&leads));
    let app = fake
        .app_builder()
        .token_url("http://localhost/api/oauth/token")
        .token_http_client(http.build().unwrap())
        .build()
        .unwrap();
    let code = consent(&fake, &app, "practitioner");
    assert_eq!(app.exchange(code).await.unwrap().id(), "7");
    assert_eq!(leads.0.lock().unwrap().len(), 1);
    mock.assert_async().await;
}

#[tokio::test(start_paused = true)]
async fn a_revocation_waits_for_the_servers_retry_after() {
    let busy = Act::Answer(answer_with(503, "retry-after: 3\r\n", ""));
    for (acts, delays) in [(vec![busy.clone()], 3), (vec![busy, json(200, "{}")], 1)] {
        let connected = Connected::unlimited().await;
        let endpoint = Misbehaving::start(acts).await;
        let url = endpoint.url() + "/api/oauth/revoke";
        let app = connected.another().revoke_url(url).build().unwrap();
        let started = tokio::time::Instant::now();
        let revoked = app.revoke("practitioner").await;
        assert_eq!(revoked.is_ok(), delays == 1);
        let waited = started.elapsed();
        assert!(waited >= Duration::from_secs(3 * delays), "{waited:?}");
    }
}
