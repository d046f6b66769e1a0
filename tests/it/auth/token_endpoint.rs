//! Responses of the token endpoint, and their effect on the stored token set.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fullscript::auth::{OAuthApp, TokenSet, TokenStore};
use fullscript::testing::{FakeFullscript, Script};
use httpmock::prelude::{MockServer, POST};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::support::{
    Act, Closed, Connected, Misbehaving, TWO_HOURS, answer, answer_with, consent,
};

const FLAT: &str = r#"{"access_token":"fake-access-9","refresh_token":"fake-refresh-9","expires_in":"7200","created_at":1767225600}"#;

/// The outcome of a call whose refreshes all get the same response.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Ends {
    /// With a new token set.
    Refreshed,
    /// With a transient error, after this number of requests.
    Transient(usize),
    /// With an error about the app's settings, after one request.
    Misconfigured,
    /// With an error that requires the user to reconnect, after one request.
    NeedsReconnect,
}

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

    /// Makes a call and returns the outcome of its refresh. The fake rejects the new access token.
    async fn ends(&self) -> Ends {
        let client = self.app.client("practitioner");
        let requests = || self.endpoint.requests().len();
        match client.get_clinic().send().await {
            Ok(_) => Ends::Refreshed,
            Err(error) => match error.auth_error() {
                Some(auth) if auth.needs_reconnect() => Ends::NeedsReconnect,
                Some(auth) if auth.is_misconfigured() => Ends::Misconfigured,
                Some(auth) if auth.is_transient() => Ends::Transient(requests()),
                // The fake responds with 401 to a token that it has not issued.
                _ => Ends::Refreshed,
            },
        }
    }
}

fn json(status: u16, body: &str) -> Act {
    Act::Answer(answer(status, "application/json", body))
}

/// Each response is repeated for all requests. The paused clock advances only to the next timeout.
#[tokio::test(start_paused = true)]
async fn each_response_has_its_documented_outcome_and_loses_no_tokens() {
    let wrapped = format!(r#"{{"oauth":{FLAT}}}"#);
    let elsewhere = "location: http://localhost:1/api/oauth/token\r\n";
    for (act, expected) in [
        (json(200, "<html>"), Ends::Transient(4)),
        (
            Act::Answer(answer(200, "text/html", "<html>")),
            Ends::Transient(4),
        ),
        (json(200, ""), Ends::Transient(4)),
        (
            json(200, r#"{"oauth":{"access_token":"#),
            Ends::Transient(4),
        ),
        (json(200, r#"{"oauth":{}}"#), Ends::Transient(4)),
        (
            Act::AnswerAndClose(answer(200, "application/json", &wrapped).replace('}', "")),
            Ends::Transient(4),
        ),
        (
            json(400, r#"{"error":"invalid_grant"}"#),
            Ends::NeedsReconnect,
        ),
        (
            json(401, r#"{"error":"invalid_grant"}"#),
            Ends::NeedsReconnect,
        ),
        (
            json(400, r#"{"error":"invalid_client"}"#),
            Ends::Misconfigured,
        ),
        (
            json(400, r#"{"error":"invalid_request"}"#),
            Ends::Misconfigured,
        ),
        (
            Act::Answer(answer_with(
                401,
                "www-authenticate: Bearer realm=\"Doorkeeper\", error=\"invalid_grant\"\r\n",
                "",
            )),
            Ends::NeedsReconnect,
        ),
        (json(401, ""), Ends::Misconfigured),
        (json(403, ""), Ends::Misconfigured),
        (
            json(404, r#"{"status":404,"error":"Not Found"}"#),
            Ends::Misconfigured,
        ),
        (
            Act::Answer(answer_with(302, elsewhere, "")),
            Ends::Misconfigured,
        ),
        (
            Act::Answer(answer_with(307, elsewhere, "")),
            Ends::Misconfigured,
        ),
        (
            Act::Answer(answer_with(429, "retry-after: 2\r\n", "")),
            Ends::Transient(4),
        ),
        (
            json(500, r#"{"error":"invalid_grant"}"#),
            Ends::Transient(4),
        ),
        (
            Act::Answer(answer(502, "text/html", "<html>")),
            Ends::Transient(4),
        ),
        (Act::AnswerAndClose(String::new()), Ends::Transient(4)),
        (Act::AnswerAndReset(String::new()), Ends::Transient(4)),
        (
            Act::AnswerAndReset(answer(200, "application/json", &wrapped).replace('}', "")),
            Ends::Transient(4),
        ),
        (Act::Silence, Ends::Transient(4)),
        (Act::Large(1 << 30), Ends::Transient(4)),
    ] {
        let expired = Expired::new([act.clone()]).await;
        let before = expired.stored().await;
        let ends = expired.ends().await;
        let told = format!("{act:?} ended in {ends:?}");
        assert_eq!(ends, expected, "{told}");
        if !matches!(expected, Ends::Transient(_)) {
            assert_eq!(expired.endpoint.requests().len(), 1, "{told}");
        }
        let after = expired.stored().await;
        let refresh = |tokens: &TokenSet| tokens.refresh_token.clone().unwrap();
        assert_eq!(
            refresh(&after).expose(),
            refresh(&before).expose(),
            "{told}"
        );
        assert_eq!(
            after.needs_reconnect,
            expected == Ends::NeedsReconnect,
            "{told}"
        );
        // A response of one gigabyte is not read to its end.
        assert!(expired.endpoint.bytes_sent() < 64 << 20, "{told}");
    }
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
            expired.ends().await;
            let stored = expired.stored().await;
            assert!(stored.generation >= 2);
            assert_eq!(stored.refresh_token.unwrap().expose(), "fake-refresh-9");
            assert_eq!(stored.lifetime, Duration::from_secs(7_200));
            assert_eq!(stored.owner.id, "practitioner");
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

#[tokio::test(start_paused = true)]
async fn a_code_is_sent_once_regardless_of_the_response() {
    for act in [
        json(500, ""),
        json(200, "<html>"),
        Act::AnswerAndClose(String::new()),
        Act::AnswerAndReset("HTTP/1.1 200 OK\r\n".into()),
        json(400, r#"{"error":"invalid_grant"}"#),
        json(429, ""),
        Act::Answer(answer_with(307, "location: http://localhost:1/\r\n", "")),
        Act::Silence,
        Act::Large(1 << 30),
    ] {
        let fake = FakeFullscript::start().await.unwrap();
        let endpoint = Misbehaving::start([act.clone()]).await;
        let url = endpoint.url() + "/api/oauth/token";
        let app = fake.app_builder().token_url(url).build().unwrap();
        let code = consent(&fake, &app, "practitioner");
        let error = app.exchange(code).await.unwrap_err();
        assert!(
            error.is_misconfigured() || error.is_code_expired(),
            "{act:?}: {error}"
        );
        assert_eq!(endpoint.requests().len(), 1, "{act:?}");
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

#[tokio::test(start_paused = true)]
async fn a_revocation_is_retried_and_keeps_the_tokens_until_it_succeeds() {
    for (act, requests, misconfigured) in [
        (json(500, ""), 4, false),
        (json(429, ""), 4, false),
        (Act::AnswerAndClose(String::new()), 4, false),
        (json(403, r#"{"error":"unauthorized_client"}"#), 1, true),
        (json(404, ""), 1, true),
    ] {
        let connected = Connected::new().await;
        let endpoint = Misbehaving::start([act.clone()]).await;
        let url = endpoint.url() + "/api/oauth/revoke";
        let app = connected.another().revoke_url(url).build().unwrap();
        let error = app.revoke("practitioner").await.unwrap_err();
        assert_eq!(error.is_misconfigured(), misconfigured, "{act:?}: {error}");
        assert_eq!(endpoint.requests().len(), requests, "{act:?}");
        let stored = connected.store.load("practitioner").await;
        assert!(stored.unwrap().is_some());
    }
}
