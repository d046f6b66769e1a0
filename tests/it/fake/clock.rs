//! Time that a test advances, for the fake and its apps.

use std::time::Duration;

use chrono::{DateTime, Utc};
use fullscript::Clock;
use fullscript::testing::{FakeFullscript, ManualClock};
use fullscript::types::{CreateSessionGrantRequest, UserId, UserType};
use serde_json::{Value, json};

use crate::support::{TWO_HOURS, connect, consent};

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn two_hours_pass_and_exactly_one_refresh_follows() {
    let fake = FakeFullscript::start().await.unwrap();
    let app = fake.app_builder().build().unwrap();
    let client = app.client(connect(&fake, &app, "practitioner").await.id());
    client.get_clinic().send().await.unwrap();
    assert_eq!(fake.count("create_oauth_token"), 1);
    fake.advance(TWO_HOURS).await;
    let calls = [(); 20].map(|()| client.get_clinic().send());
    for call in futures_util::future::join_all(calls).await {
        call.unwrap();
    }
    assert_eq!(fake.count("create_oauth_token"), 2);
    // The client knew the expiry from its clock, so no request was rejected and retried.
    assert_eq!(fake.count("get_clinic"), 21);
}

#[tokio::test]
async fn an_access_token_expires_at_the_server_after_two_hours() {
    let fake = FakeFullscript::start().await.unwrap();
    // This app does not see the fake's clock.
    let app = fake.app_builder().clock(ManualClock::running());
    let app = app.build().unwrap();
    let client = app.client(connect(&fake, &app, "practitioner").await.id());
    fake.advance(TWO_HOURS - MINUTE).await;
    client.get_clinic().send().await.unwrap();
    assert_eq!(
        (fake.count("get_clinic"), fake.count("create_oauth_token")),
        (1, 1)
    );
    fake.advance(MINUTE).await;
    client.get_clinic().send().await.unwrap();
    assert_eq!(
        (fake.count("get_clinic"), fake.count("create_oauth_token")),
        (3, 2)
    );
}

#[tokio::test]
async fn a_refresh_token_outlives_a_year() {
    let fake = FakeFullscript::start().await.unwrap();
    let app = fake.app_builder().build().unwrap();
    let client = app.client(connect(&fake, &app, "practitioner").await.id());
    fake.advance(Duration::from_secs(366 * 86_400)).await;
    client.get_clinic().send().await.unwrap();
    assert_eq!(fake.count("create_oauth_token"), 2);
}

#[tokio::test]
async fn a_code_expires_after_ten_minutes_on_either_side() {
    let fake = FakeFullscript::start().await.unwrap();
    let knows = fake.app_builder().build().unwrap();
    let unaware = fake.app_builder().clock(ManualClock::running());
    let unaware = unaware.build().unwrap();
    for (app, asked) in [(&knows, 0), (&unaware, 1)] {
        let code = consent(&fake, app, "practitioner");
        fake.advance(10 * MINUTE).await;
        let error = app.exchange(code).await.unwrap_err();
        assert!(error.is_code_expired(), "{error}");
        assert_eq!(fake.count("create_oauth_token"), asked);
    }
    let code = consent(&fake, &unaware, "practitioner");
    fake.advance(9 * MINUTE).await;
    unaware.exchange(code).await.unwrap();
}

#[tokio::test]
async fn a_token_says_that_it_was_made_at_the_fakes_time() {
    let fake = FakeFullscript::start().await.unwrap();
    fake.clock().set(crate::support::at(0));
    fake.clock().stop();
    fake.advance(TWO_HOURS).await;
    let app = fake.app_builder().build().unwrap();
    let request = app.authorize();
    let callback = fake.approve(request.url(), "practitioner");
    let callback = reqwest::Url::parse(&callback).unwrap();
    let (_, code) = callback
        .query_pairs()
        .find(|(name, _)| name == "code")
        .unwrap();
    let body = json!({
        "grant_type": "authorization_code",
        "client_id": "fake-client-id",
        "client_secret": "fake-client-secret",
        "code": code,
        "redirect_uri": "https://ehr.example/fullscript/callback",
    });
    let url = format!("{}/api/oauth/token", fake.url());
    let reply = reqwest::Client::new().post(url).body(body.to_string());
    let reply = reply.send().await.unwrap().text().await.unwrap();
    let reply: Value = serde_json::from_str(&reply).unwrap();
    assert_eq!(reply["oauth"]["created_at"], "2026-01-01T02:00:00.000Z");
    assert_eq!(reply["oauth"]["expires_in"], 7_200);
}

#[tokio::test]
async fn a_session_grant_is_valid_once_and_for_two_minutes() {
    let fake = FakeFullscript::start().await.unwrap();
    let app = fake.app_builder().build().unwrap();
    let client = app.client(connect(&fake, &app, "somebody").await.id());
    let grant = async || {
        client
            .create_session_grant()
            .send()
            .await
            .unwrap()
            .into_inner()
    };
    let first = grant().await;
    let user = first.user.as_ref().unwrap();
    assert_eq!(user.id.to_string(), "somebody");
    let expires_at = first.expires_at.as_ref().unwrap().instant().unwrap();
    let left = expires_at.to_utc() - DateTime::<Utc>::from(fake.clock().now());
    assert!((110..=120).contains(&left.num_seconds()), "{left}");
    let secret = |grant: &fullscript::types::SessionGrant| {
        grant.secret_token.as_ref().unwrap().expose().to_string()
    };
    fake.advance(Duration::from_secs(100)).await;
    assert!(fake.claim_session_grant(&secret(&first)));
    assert!(!fake.claim_session_grant(&secret(&first)), "it was claimed");
    let second = grant().await;
    assert_ne!(first.id, second.id);
    fake.advance(2 * MINUTE).await;
    assert!(
        !fake.claim_session_grant(&secret(&second)),
        "it has expired"
    );
    assert!(!fake.claim_session_grant("a guess"));
}

#[tokio::test]
async fn an_app_of_a_clinic_names_the_user_of_a_session_grant() {
    let fake = FakeFullscript::start().await.unwrap();
    let body = CreateSessionGrantRequest::new()
        .user_id("colleague".parse::<UserId>().unwrap())
        .user_type(UserType::Staff);
    let client = fake.client();
    let grant = client
        .create_session_grant()
        .body(body)
        .send()
        .await
        .unwrap();
    let user = grant.user.as_ref().unwrap();
    assert_eq!(user.id.to_string(), "colleague");
    assert_eq!(user.type_.as_ref().unwrap().as_str(), "Staff");
}

#[tokio::test]
async fn a_clock_that_was_stopped_shows_the_same_time_until_it_is_moved() {
    let fake = FakeFullscript::start().await.unwrap();
    let clock = fake.clock();
    let before = clock.now();
    assert!(clock.now() >= before);
    clock.stop();
    let stopped = clock.now();
    fake.client().get_clinic().send().await.unwrap();
    assert_eq!(clock.now(), stopped);
    fake.advance(MINUTE).await;
    assert_eq!(clock.now(), stopped + MINUTE);
    clock.set(stopped);
    assert_eq!(fake.clock().now(), stopped);
}
