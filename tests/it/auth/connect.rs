//! The fake's OAuth: its pages, the codes that it accepts, and its request ids.

use std::time::Duration;

use fullscript::auth::OAuthAppBuilder;
use fullscript::testing::{FakeFullscript, Script};
use serde_json::json;

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
