//! Connecting to the fake: redirect URI, PKCE and state; the fake's pages, codes and request ids.

use std::collections::HashMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fullscript::Environment;
use fullscript::auth::{OAuthApp, OAuthAppBuilder, State};
use fullscript::testing::{FakeFullscript, ManualClock, Script};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::support::connect;

/// Opens a URL like a browser, without following redirects.
async fn browse(url: &str) -> (u16, Option<String>, String) {
    let none = reqwest::redirect::Policy::none();
    let browser = reqwest::Client::builder().redirect(none).build().unwrap();
    let answer = browser.get(url).send().await.unwrap();
    let location = answer.headers().get("location");
    let location = location.map(|location| location.to_str().unwrap().to_string());
    (
        answer.status().as_u16(),
        location,
        answer.text().await.unwrap(),
    )
}

#[tokio::test]
async fn the_fakes_consent_page_asks_and_leads_back() {
    let fake = FakeFullscript::start().await.unwrap();
    let app = fake.app_builder().build().unwrap();
    let request = app.authorize();
    let (status, _, page) = browse(request.url().as_str()).await;
    assert_eq!(status, 200);
    assert!(
        page.contains("id=\"allow\"") && page.contains("id=\"deny\""),
        "{page}"
    );
    let allow = format!("{}&decision=allow&user=somebody", request.url());
    let (status, back, _) = browse(&allow).await;
    assert_eq!(status, 302);
    let code = app.callback(&back.unwrap(), request.state()).unwrap();
    assert_eq!(app.exchange(code).await.unwrap().id(), "somebody");
    let deny = format!("{}&decision=deny", request.url());
    let (_, back, _) = browse(&deny).await;
    let error = app.callback(&back.unwrap(), request.state()).unwrap_err();
    assert!(error.is_denied(), "{error}");
    let wrong = request.url().as_str().replace("response_type=code", "");
    assert_eq!(browse(&wrong).await.0, 404);
}

#[tokio::test]
async fn the_fake_accepts_a_code_once_from_its_app() {
    let fake = FakeFullscript::start().await.unwrap();
    let app = fake.app_builder().build().unwrap();
    let other = |builder: OAuthAppBuilder| builder.build().unwrap();
    let elsewhere = fake.app_builder().redirect_uri("https://ehr.example/other");
    for wrong in [
        other(fake.app_builder().client_id("another")),
        other(elsewhere),
    ] {
        let request = app.authorize();
        let callback = fake.approve(request.url(), "practitioner");
        let query = callback.split_once('?').unwrap().1;
        let code = wrong.callback(query, request.state()).unwrap();
        let error = wrong.exchange(code).await.unwrap_err();
        assert!(error.is_code_expired(), "{error}");
    }
    connect(&fake, &app, "practitioner").await;
}

#[tokio::test]
async fn the_fakes_account_page_ends_a_connection() {
    let fake = FakeFullscript::start().await.unwrap();
    let app = fake.app_builder().build().unwrap();
    let user = connect(&fake, &app, "somebody").await;
    let client = app.client(user.id());
    client.get_clinic().send().await.unwrap();
    let (status, _, page) = browse(&fake.url()).await;
    assert!(status == 200 && page.contains("id=\"end\""), "{page}");
    assert_eq!(
        browse(&format!("{}/?end=somebody", fake.url())).await.0,
        200
    );
    let error = client.get_clinic().send().await.unwrap_err();
    assert!(error.needs_reconnect());
}

#[tokio::test]
async fn concurrent_responses_have_unique_request_ids() {
    let fake = FakeFullscript::start().await.unwrap();
    let slow = Script::json(200, &json!({"clinic": {"id": "1"}}));
    fake.answer("get_clinic", slow.after(Duration::from_millis(50)));
    let client = fake.client();
    let calls = [(); 2].map(|()| client.get_clinic().send());
    let answers = futures_util::future::join_all(calls).await;
    let ids = answers.iter().map(|answer| answer.as_ref().unwrap());
    let ids: Vec<_> = ids.map(|answer| answer.request_id().unwrap()).collect();
    assert_ne!(ids[0], ids[1]);
}

#[tokio::test]
async fn the_redirect_uri_is_sent_byte_for_byte_in_each_request() {
    let fake = FakeFullscript::start().await.unwrap();
    for uri in [
        "https://ehr.example",
        "https://ehr.example/",
        "https://EHR.example:443/a/../cb?tenant=1",
        "http://localhost:3000",
        "http://[::1]:3000/cb",
        "com.example.ehr:/cb",
    ] {
        let app = fake.app_builder().redirect_uri(uri).build().unwrap();
        let before = fake.requests().len();
        let user = connect(&fake, &app, "practitioner").await;
        fake.expire_access_tokens();
        let client = app.client(user.id());
        client.get_clinic().send().await.unwrap();
        let bodies = fake.requests().into_iter().skip(before);
        let sent: Vec<_> = bodies
            .filter_map(|request| Some(request.body?["redirect_uri"].clone()))
            .collect();
        assert_eq!(sent, [uri, uri], "exchange and refresh");
    }
}

#[test]
fn a_redirect_uri_is_checked_when_the_app_is_built() {
    let build = |uri: &str, host: &str| {
        let app = OAuthApp::builder(Environment::UsSandbox)
            .client_id("id")
            .client_secret("secret")
            .allow_http_host(host)
            .redirect_uri(uri);
        app.build().map(drop)
    };
    for uri in [
        "https://ehr.example",
        "http://ehr:3000/cb",
        "http://127.0.0.1/cb",
    ] {
        build(uri, "ehr").unwrap();
    }
    for uri in [
        "http://ehr:3000/cb",
        "https://ehr.example/#",
        "javascript:alert(1)",
        "ehr.example",
        "",
    ] {
        let error = build(uri, "mock").unwrap_err().to_string();
        assert!(error.starts_with("redirect URI: "), "{uri}: {error}");
    }
}

#[tokio::test]
async fn pkce_is_on_unless_it_is_disabled() {
    let fake = FakeFullscript::start().await.unwrap();
    for (builder, expected) in [
        (fake.app_builder(), true),
        (fake.app_builder().pkce(true), true),
        (fake.app_builder().pkce(false), false),
    ] {
        let app = builder.build().unwrap();
        let request = app.authorize();
        let query: HashMap<_, _> = request.url().query_pairs().into_owned().collect();
        let method = query.get("code_challenge_method").map(String::as_str);
        assert_eq!(method, expected.then_some("S256"));
        let callback = fake.approve(request.url(), "practitioner");
        let code = app.callback(&callback, request.state()).unwrap();
        app.exchange(code).await.unwrap();
        let body = fake.requests().pop().unwrap().body.unwrap();
        let verifier = body["code_verifier"].as_str();
        let challenge = verifier.map(|verifier| URL_SAFE_NO_PAD.encode(Sha256::digest(verifier)));
        assert_eq!(challenge.as_ref(), query.get("code_challenge"));
        assert_eq!(challenge.is_some(), expected);
    }
}

#[tokio::test]
async fn a_callback_after_the_lifetime_of_the_state_is_refused() {
    let fake = FakeFullscript::start().await.unwrap();
    let hour = Duration::from_secs(3_600);
    for (lifetime, expected) in [
        (None, hour),
        (Some(hour / 12), hour / 12),
        (Some(24 * hour), 24 * hour),
    ] {
        let clock = ManualClock::default();
        let builder = fake.app_builder().clock(clock.clone());
        let app = match lifetime {
            Some(lifetime) => builder.state_lifetime(lifetime),
            None => builder,
        };
        let app = app.build().unwrap();
        let request = app.authorize();
        let callback = fake.approve(request.url(), "practitioner");
        // The state may be remembered by a process that ended in the meantime.
        let state = State::from_text(request.state().expose()).unwrap();
        clock.advance(expected);
        app.callback(&callback, &state).unwrap();
        clock.advance(Duration::from_secs(1));
        let error = app.callback(&callback, &state).unwrap_err();
        assert!(
            error.is_state_mismatch() && !error.is_transient(),
            "{error}"
        );
        assert!(error.to_string().starts_with("state: too old"), "{error}");
    }
}
