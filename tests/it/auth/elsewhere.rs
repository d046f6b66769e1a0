//! Tokens of another environment, another base URL or another app.

use fullscript::auth::OAuthApp;
use fullscript::testing::FakeFullscript;

use crate::support::{Connected, consent};

#[tokio::test]
async fn tokens_are_not_sent_to_another_environment() {
    let connected = Connected::new().await;
    let elsewhere = FakeFullscript::start().await.unwrap();
    let app = OAuthApp::builder(fullscript::Environment::CaSandbox)
        .base_url(elsewhere.url())
        .client_id("id")
        .client_secret("secret")
        .redirect_uri("https://ehr.example/fullscript/callback")
        .store(connected.store.clone())
        .build()
        .unwrap();
    let client = app.client("practitioner");
    let error = client.get_clinic().send().await.unwrap_err();
    assert!(error.needs_reconnect(), "{error}");
    let error = app.revoke("practitioner").await.unwrap_err();
    assert!(error.needs_reconnect(), "{error}");
    assert!(elsewhere.requests().is_empty());
    // A new connection there does not replace the one here.
    let code = consent(&elsewhere, &app, "practitioner");
    let error = app.exchange(code).await.unwrap_err();
    assert!(error.is_misconfigured(), "{error}");
    let here = connected.app.client("practitioner");
    here.get_clinic().send().await.unwrap();
    assert_eq!(elsewhere.count("create_oauth_token"), 1);
    assert_eq!(elsewhere.count("get_clinic"), 0);
}

#[tokio::test]
async fn another_base_url_of_the_same_environment_keeps_the_tokens() {
    let connected = Connected::new().await;
    let moved = connected.fake.url().replace("127.0.0.1", "localhost");
    let app = connected.another().base_url(moved).build().unwrap();
    let client = app.client("practitioner");
    client.get_clinic().send().await.unwrap();
}

#[tokio::test]
async fn tokens_of_another_app_are_neither_used_nor_marked() {
    let connected = Connected::new().await;
    let builder = connected.fake.app_builder().client_id("another");
    let other = builder.store(connected.store.clone()).build().unwrap();
    connected.expire();
    let client = other.client("practitioner");
    let error = client.get_clinic().send().await.unwrap_err();
    assert!(error.to_string().contains("another app"), "{error}");
    assert!(!connected.stored().await.needs_reconnect);
    let client = connected.app.client("practitioner");
    client.get_clinic().send().await.unwrap();
}
