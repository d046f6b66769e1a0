//! Endpoints that the fake accepts, how it calls them, and when it disables them.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use fullscript::Clock;
use fullscript::testing::{DeliveryFailure, Envelope, FakeFullscript, Webhook};
use fullscript::webhook::Receiver;
use serde_json::json;

use super::{App, CHALLENGE, MINUTE, SECRET, happens, outcomes, serve, subscribed};

#[tokio::test]
async fn an_endpoint_that_does_not_return_the_challenge_is_rejected() {
    let fake = FakeFullscript::start().await.unwrap();
    let good = App::default().serve().await;
    let fixed = |status: StatusCode, body: &'static str| {
        serve(Router::new().route("/webhooks", post(move || async move { (status, body) })))
    };
    let silent = serve(Router::new().route("/webhooks", post(std::future::pending::<()>)));
    for (webhook, failure) in [
        (
            Webhook::new(&*good, SECRET, "another"),
            DeliveryFailure::Challenge,
        ),
        (
            Webhook::new(
                fixed(StatusCode::OK, "{\"success\":true}").await,
                SECRET,
                CHALLENGE,
            ),
            DeliveryFailure::Challenge,
        ),
        (
            Webhook::new(fixed(StatusCode::NO_CONTENT, "").await, SECRET, CHALLENGE),
            DeliveryFailure::Status(204),
        ),
        (
            Webhook::new(good.replace("/webhooks", "/"), SECRET, CHALLENGE),
            DeliveryFailure::Status(404),
        ),
        (
            Webhook::new(crate::support::Closed::new().url(), SECRET, CHALLENGE),
            DeliveryFailure::Unreachable,
        ),
        (
            Webhook::new(silent.await, SECRET, CHALLENGE).timeout(Duration::from_millis(50)),
            DeliveryFailure::TimedOut,
        ),
        (
            Webhook::new("nonsense", SECRET, CHALLENGE),
            DeliveryFailure::InvalidUrl,
        ),
    ] {
        assert_eq!(fake.subscribe(webhook).await, Err(failure));
        assert!(!failure.to_string().contains(CHALLENGE));
    }
    assert!(!fake.is_subscribed());
    happens(&fake);
    fake.deliveries_done().await;
    assert!(fake.deliveries().is_empty());
}

#[tokio::test]
async fn an_endpoint_that_is_gone_or_fails_for_a_day_is_disabled_until_subscribed_again() {
    let gone = Router::new().route(
        "/webhooks",
        post(async |body: String| {
            if body.is_empty() {
                (StatusCode::OK, json!({"challenge": CHALLENGE}).to_string())
            } else {
                (StatusCode::GONE, String::new())
            }
        }),
    );
    let fake = FakeFullscript::start().await.unwrap();
    let url = serve(gone).await;
    fake.subscribe(Webhook::new(url, SECRET, CHALLENGE))
        .await
        .unwrap();
    happens(&fake);
    fake.advance(24 * 60 * MINUTE).await;
    assert_eq!(outcomes(&fake), [(1, Some(DeliveryFailure::Status(410)))]);
    assert!(!fake.is_subscribed());

    let app = App::default();
    let fake = subscribed(&app).await;
    *app.failures.lock().unwrap() = usize::MAX;
    for _ in 0..4 {
        happens(&fake);
        fake.advance(7 * 60 * MINUTE).await;
    }
    happens(&fake);
    fake.deliveries_done().await;
    assert!(!fake.is_subscribed());
    let tries = fake.deliveries().len();
    happens(&fake);
    fake.advance(MINUTE).await;
    assert_eq!(fake.deliveries().len(), tries);
    *app.failures.lock().unwrap() = 0;
    fake.subscribe(Webhook::new(app.serve().await, SECRET, CHALLENGE))
        .await
        .unwrap();
    app.came();
    let event = happens(&fake);
    fake.deliveries_done().await;
    assert_eq!(app.came(), [event]);
}
#[tokio::test]
async fn each_event_is_preceded_by_an_empty_call_by_default() {
    let bodies = Arc::<Mutex<Vec<usize>>>::default();
    let (log, statuses) = (
        Arc::clone(&bodies),
        Arc::new(Mutex::new(vec![503, 503, 200, 200])),
    );
    let handler = post(async move |body: String| {
        log.lock().unwrap().push(body.len());
        let status = statuses.lock().unwrap().pop().unwrap_or(200);
        let status = StatusCode::from_u16(status).unwrap();
        (status, json!({"challenge": CHALLENGE}).to_string())
    });
    let fake = FakeFullscript::start().await.unwrap();
    let webhook = Webhook::new(
        serve(Router::new().route("/webhooks", handler)).await,
        SECRET,
        CHALLENGE,
    );
    fake.subscribe(webhook.clone()).await.unwrap();
    let take = || {
        let bodies = std::mem::take(&mut *bodies.lock().unwrap());
        bodies.iter().map(|length| *length > 0).collect::<Vec<_>>()
    };
    assert_eq!(take(), [false]);
    happens(&fake);
    fake.deliveries_done().await;
    assert_eq!(take(), [false, true]);
    // The event failed. Then the empty call fails too, and the event is not sent.
    fake.advance(MINUTE).await;
    assert_eq!(take(), [false]);
    fake.advance(5 * MINUTE).await;
    assert_eq!(take(), [false, true]);
    let failed = Some(DeliveryFailure::Status(503));
    assert_eq!(outcomes(&fake), [(1, failed), (2, failed), (3, None)]);
    fake.subscribe(webhook.pings(false)).await.unwrap();
    happens(&fake);
    fake.deliveries_done().await;
    assert_eq!(take(), [false, true]);
}

#[tokio::test]
async fn both_envelopes_are_decoded_and_only_subscribed_types_are_delivered() {
    for envelope in [Envelope::Event, Envelope::EventPayload] {
        let app = App::default();
        let fake = FakeFullscript::start().await.unwrap();
        let webhook = Webhook::new(app.serve().await, SECRET, CHALLENGE)
            .envelope(envelope)
            .pings(false)
            .event_types(["patient.created"]);
        fake.subscribe(webhook).await.unwrap();
        fake.send_event("order.placed", json!({"id": "order-1"}));
        let event = happens(&fake);
        fake.deliveries_done().await;
        assert_eq!(app.came(), [event]);
        assert_eq!(fake.deliveries().len(), 1);
    }
}

#[tokio::test]
async fn a_signature_is_of_the_machines_time_unless_the_receiver_has_another() {
    let app = App::default();
    let fake = subscribed(&app).await;
    fake.advance(2 * 60 * MINUTE).await;
    happens(&fake);
    fake.deliveries_done().await;
    assert!(fake.deliveries()[0].is_delivered());

    let receiver = Arc::new(Receiver::new(SECRET, CHALLENGE).unwrap());
    let clock = fake.clock();
    let handler = post(async move |headers: HeaderMap, body: Bytes| {
        let delivery = receiver.receive(&headers, &body, clock.now());
        delivery.map(|delivery| delivery.reply().clone())
    });
    let url = serve(Router::new().route("/webhooks", handler)).await;
    let webhook = Webhook::new(url, SECRET, CHALLENGE);
    fake.subscribe(webhook.clone()).await.unwrap();
    happens(&fake);
    fake.deliveries_done().await;
    assert_eq!(fake.deliveries()[1].status, Some(401));
    fake.subscribe(webhook.clock(fake.clock())).await.unwrap();
    fake.advance(MINUTE).await;
    assert!(fake.deliveries()[2].is_delivered());
}
