//! Tokens of another environment, another base URL or another app, in one store.

use fullscript::auth::{ConnectionFilter, OAuthApp, UserKey};
use fullscript::testing::FakeFullscript;

use crate::support::{Connected, connect, consent};

#[tokio::test]
async fn two_environments_share_a_store_and_keep_their_users_apart() {
    let connected = Connected::new().await;
    let elsewhere = FakeFullscript::start().await.unwrap();
    let app = OAuthApp::builder(fullscript::Environment::CaSandbox)
        .base_url(elsewhere.url())
        .client_id("fake-client-id")
        .client_secret("fake-client-secret")
        .redirect_uri("https://ehr.example/fullscript/callback")
        .store(connected.store.clone())
        .build()
        .unwrap();
    let client = app.client("practitioner");
    let error = client.get_clinic().send().await.unwrap_err();
    assert!(error.needs_reconnect(), "{error}");
    assert!(error.to_string().contains("this environment"), "{error}");
    let error = app.revoke("practitioner").await.unwrap_err();
    assert!(error.needs_reconnect(), "{error}");
    assert!(elsewhere.requests().is_empty());
    // A new connection there does not replace the one here.
    app.exchange(consent(&elsewhere, &app, "practitioner"))
        .await
        .unwrap();
    client.get_clinic().send().await.unwrap();
    let here = connected.app.client("practitioner");
    here.get_clinic().send().await.unwrap();
    app.revoke("practitioner").await.unwrap();
    here.get_clinic().send().await.unwrap();
    for (app, users) in [(&connected.app, 1), (&app, 0)] {
        let mut connections = app.connections(ConnectionFilter::new());
        let mut found = 0;
        while let Some(connection) = connections.next().await {
            assert_eq!(connection.unwrap().user, UserKey::from("practitioner"));
            found += 1;
        }
        assert_eq!(found, users);
    }
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
    for client_id in [
        "another",
        "fake-client-id/Practitioner",
        "fake-client-id%2F",
    ] {
        let builder = connected.fake.app_builder().client_id(client_id);
        let other = builder.store(connected.store.clone()).build().unwrap();
        connected.expire();
        let client = other.client("practitioner");
        let error = client.get_clinic().send().await.unwrap_err();
        assert!(error.to_string().contains("this app"), "{error}");
        assert!(connected.stored().await.needs_reconnect.is_none());
        let client = connected.app.client("practitioner");
        client.get_clinic().send().await.unwrap();
    }
}

#[tokio::test]
async fn a_practitioner_and_a_member_of_staff_with_one_id_are_two_users() {
    let connected = Connected::new().await;
    connect(&connected.fake, &connected.app, "17").await;
    connect(&connected.fake, &connected.app, "Staff/17").await;
    let practitioner = connected.stored_of("17").await.unwrap();
    let staff = connected.stored_of("Staff/17").await.unwrap();
    let tokens = [&practitioner, &staff].map(|tokens| tokens.access_token.expose().to_string());
    assert_ne!(tokens[0], tokens[1]);
    connected.app.revoke("Staff/17").await.unwrap();
    assert!(connected.stored_of("Staff/17").await.is_none());
    let client = connected.app.client("Practitioner/17");
    client.get_clinic().send().await.unwrap();
}
