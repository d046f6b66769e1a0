//! The example `connect`, and the vendor's script in the page of `Embed`, in a real browser: Chromium,
//! driven by ChromeDriver.
//!
//! If these are not installed, the tests print that they were skipped, and pass; in CI they fail.
//! `FULLSCRIPT_SCREENSHOT=docs/connect.png` takes the screenshot of the README.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that can't go on says so by panicking"
)]

mod embed;
mod site;

use std::time::SystemTime;

use fullscript::webhook::{SIGNATURE_HEADER, sign};
use fullscript::{Clock, SystemClock};
use http_body_util::BodyExt;
use hyper::Request;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;

use site::{Site, visit};

#[tokio::test]
async fn a_user_connects_and_sees_all_patients_page_by_page() {
    visit(async |site| {
        site.connect().await;
        if let Some(path) = std::env::var_os("FULLSCRIPT_SCREENSHOT") {
            let picture = site.browser.screenshot().await.unwrap();
            std::fs::write(path, picture).unwrap();
        }
        let mut seen = site.texts("li.patient").await;
        for page in [2, 3] {
            site.click("#next").await;
            site.wait_for_path(&format!("/patients?page={page}")).await;
            seen.extend(site.texts("li.patient").await);
        }
        assert!(!site.has("#next").await);
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), 45);
        site.go("/").await;
        site.wait_for("#connected").await;
    })
    .await;
}

#[tokio::test]
async fn a_user_who_says_no_gets_a_notice() {
    visit(async |site| {
        site.go("/").await;
        site.click("#connect").await;
        site.click("#deny").await;
        assert_eq!(
            site.text("#notice").await,
            "You declined. Nothing was connected."
        );
        not_connected(site).await;
    })
    .await;
}

#[tokio::test]
async fn a_callback_with_another_state_connects_nothing() {
    visit(async |site| {
        site.go("/").await;
        site.click("#connect").await;
        site.wait_for("#allow").await;
        let mut asked = site.browser.current_url().await.unwrap();
        asked.query_pairs_mut().append_pair("decision", "allow");
        let state = asked.query_pairs().find(|(name, _)| name == "state");
        let state = state.unwrap().1.into_owned();

        let other = asked
            .as_str()
            .replace(&state, &state.chars().rev().collect::<String>());
        site.browser.goto(&other).await.unwrap();
        site.wait_for("#notice").await;
        assert_eq!(site.status().await, 400);
        // The correct state, in a browser that did not start the flow.
        site.browser.delete_all_cookies().await.unwrap();
        site.browser.goto(asked.as_str()).await.unwrap();
        site.wait_for("#notice").await;
        assert_eq!(site.status().await, 400);
        not_connected(site).await;
    })
    .await;
}

#[tokio::test]
async fn a_webhook_shows_up_once_and_a_forged_one_never() {
    visit(async |site| {
        site.go("/").await;
        assert!(!site.has("#news").await);
        let now = SystemClock.now();
        let ours = r#"{"event":{"id":"1","type":"patient.created","created_at":"2026-01-01T00:00:00Z","data":{}}}"#;
        let forged = ours.replace("patient.created", "order.placed");
        for _ in 0..2 {
            let (status, answer) = deliver(site, "fake-webhook-secret", ours, now).await;
            assert_eq!(status, 200);
            assert_eq!(answer, r#"{"challenge":"fake-challenge-token"}"#);
        }
        assert_eq!(deliver(site, "a guess", &forged, now).await.0, 401);
        site.go("/").await;
        assert_eq!(site.text("#news").await, "patient.created");
        assert_eq!(site.texts("#news li").await.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_button_makes_an_order_whose_event_arrives() {
    visit(async |site| {
        site.go("/").await;
        site.click("#order").await;
        assert_eq!(site.text("#news").await, "order.placed");
    })
    .await;
}

#[tokio::test]
async fn a_connection_that_was_ended_asks_to_connect_again() {
    visit(async |site| {
        site.go("/").await;
        site.click("#connect").await;
        site.wait_for("#allow").await;
        let fake = site.browser.current_url().await.unwrap().join("/").unwrap();
        site.connect().await;
        site.browser.goto(fake.as_str()).await.unwrap();
        site.click("#end").await;
        site.wait_for("#ended").await;

        site.go("/patients").await;
        site.wait_for("#reconnect").await;
        not_connected(site).await;
        site.connect().await;
    })
    .await;
}

#[tokio::test]
async fn the_embedded_page_opens_with_a_secret_that_is_nowhere_else() {
    visit(async |site| {
        let secret = "fake-secret-token";
        site.connect().await;
        for path in ["/patients", "/"] {
            site.go(path).await;
            assert!(!site.browser.source().await.unwrap().contains(secret));
        }
        site.click("#to-embed").await;
        let mounted = site.wait_for("#fullscript").await;
        assert_eq!(
            mounted.text().await.unwrap(),
            "Fullscript (platform) opens here."
        );
        let source = site.browser.source().await.unwrap();
        assert_eq!(source.matches(secret).count(), 1);
        let script = "const done = arguments[0];\
             fetch('/embed').then(answer => done(answer.headers.get('cache-control')))";
        let cached = site.browser.execute_async(script, Vec::new()).await;
        assert_eq!(cached.unwrap(), "no-store");
    })
    .await;
}

#[tokio::test]
async fn disconnecting_returns_the_user_to_the_start() {
    visit(async |site| {
        site.connect().await;
        site.go("/").await;
        site.click("#disconnect").await;
        site.wait_for("#connect").await;
        site.go("/patients").await;
        site.wait_for("#connect").await;
    })
    .await;
}

/// The start page offers to connect, and nothing else leads to patients.
async fn not_connected(site: &Site) {
    site.go("/patients").await;
    site.wait_for("#connect").await;
    assert!(!site.has("#connected").await && !site.has("li.patient").await);
}

/// Posts a webhook like the vendor; returns the status and body of the response.
async fn deliver(site: &Site, secret: &str, body: &str, now: SystemTime) -> (u16, String) {
    let client = Client::builder(TokioExecutor::new()).build_http();
    let request = Request::post(format!("{}/webhooks", site.url))
        .header(SIGNATURE_HEADER, sign(secret, now, body.as_bytes()))
        .body(body.to_owned());
    let answer = client.request(request.unwrap()).await.unwrap();
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.into()).unwrap())
}
