//! Deliveries of the fake to an app's own receiver.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use fullscript::auth::{Clock, SystemClock};
use fullscript::replay::EventList;
use fullscript::testing::{
    DeliveryAttempt, DeliveryFailure, Envelope, FakeFullscript, Script, Webhook, WebhookFault,
};
use fullscript::types::SortOrder;
use fullscript::webhook::{Claim, Event, MemorySeen, Receiver, Seen, Sighting, axum::receive};
use serde_json::json;
use tokio::net::TcpListener;

const SECRET: &str = "fs-test-signing-secret";
const CHALLENGE: &str = "fs-test-challenge";
const MINUTE: Duration = Duration::from_secs(60);

/// An app with a webhook, on a port of its own.
#[derive(Clone, Default)]
struct App {
    /// The ids of the events that came, whatever became of them.
    came: Arc<Mutex<Vec<String>>>,
    /// How many deliveries its handler still fails at.
    failures: Arc<Mutex<usize>>,
}

impl App {
    async fn handle(self, event: Event) -> Result<(), ()> {
        self.came
            .lock()
            .unwrap()
            .push(event.id.unwrap().to_string());
        let mut failures = self.failures.lock().unwrap();
        match failures.checked_sub(1) {
            None => Ok(()),
            Some(left) => {
                *failures = left;
                Err(())
            }
        }
    }

    /// Serves the webhook with the adapter for axum.
    async fn serve(&self) -> String {
        let receiver = Receiver::new(SECRET, CHALLENGE).unwrap();
        let app = self.clone();
        let handler = move |event| app.clone().handle(event);
        serve(Router::new().route("/webhooks", receive(receiver, handler))).await
    }

    fn came(&self) -> Vec<String> {
        std::mem::take(&mut self.came.lock().unwrap())
    }
}

async fn serve(app: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/webhooks", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    url
}

/// A fake that delivers to this app.
async fn subscribed(app: &App) -> FakeFullscript {
    let fake = FakeFullscript::start().await.unwrap();
    fake.subscribe(Webhook::new(app.serve().await, SECRET, CHALLENGE))
        .await
        .unwrap();
    fake
}

/// Lets a patient be created, and returns the id of the event.
fn happens(fake: &FakeFullscript) -> String {
    let patient = json!({"patient": {"id": "patient-1", "first_name": "Zoë"}});
    let event = fake.send_event("patient.created", patient);
    event.id.unwrap().to_string()
}

fn outcomes(fake: &FakeFullscript) -> Vec<(u32, Option<DeliveryFailure>)> {
    let outcome = |attempt: &DeliveryAttempt| (attempt.attempt_number, attempt.failure);
    fake.deliveries().iter().map(outcome).collect()
}

#[tokio::test]
async fn an_event_comes_to_the_apps_handler_signed_and_once() {
    let app = App::default();
    let fake = subscribed(&app).await;
    assert!(fake.is_subscribed());
    let event = happens(&fake);
    fake.deliveries_done().await;
    assert_eq!(app.came(), [event]);
    let deliveries = fake.deliveries();
    assert_eq!(deliveries.len(), 1);
    let delivery = &deliveries[0];
    assert!(delivery.is_delivered(), "{delivery:?}");
    assert_eq!((delivery.attempt_number, delivery.status), (1, Some(200)));
    assert!(delivery.next_attempt_at.is_none() && delivery.previous_attempt_at.is_none());
    fake.advance(24 * 60 * MINUTE).await;
    assert!(app.came().is_empty());
}

#[tokio::test]
async fn both_envelopes_are_read_and_only_the_types_asked_for_are_delivered() {
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
async fn a_handler_that_fails_twice_gets_the_event_when_the_retries_are_due() {
    let app = App::default();
    let fake = subscribed(&app).await;
    *app.failures.lock().unwrap() = 2;
    let event = happens(&fake);
    fake.deliveries_done().await;
    assert_eq!(app.came(), [&*event]);
    fake.advance(MINUTE - Duration::from_secs(10)).await;
    assert!(app.came().is_empty(), "the retry is not due");
    fake.advance(Duration::from_secs(10)).await;
    assert_eq!(app.came(), [&*event]);
    fake.advance(5 * MINUTE).await;
    assert_eq!(app.came(), [&*event]);
    let failed = Some(DeliveryFailure::Status(503));
    assert_eq!(outcomes(&fake), [(1, failed), (2, failed), (3, None)]);
    let deliveries = fake.deliveries();
    for pair in deliveries.windows(2) {
        assert!(pair[0].next_attempt_at.unwrap() <= pair[1].attempted_at);
        assert_eq!(pair[1].previous_attempt_at, Some(pair[0].attempted_at));
    }
    fake.advance(24 * 60 * MINUTE).await;
    assert!(app.came().is_empty());
}

#[tokio::test]
async fn six_tries_are_made_in_the_vendors_gaps_though_all_the_time_passes_at_once() {
    let app = App::default();
    let fake = subscribed(&app).await;
    *app.failures.lock().unwrap() = usize::MAX;
    happens(&fake);
    fake.advance((1 + 5 + 30 + 60 + 300) * MINUTE).await;
    assert_eq!(app.came().len(), 6);

    let fake = subscribed(&app).await;
    fake.clock().stop();
    happens(&fake);
    fake.advance(24 * 60 * MINUTE).await;
    assert_eq!(app.came().len(), 6);
    let times: Vec<_> = fake
        .deliveries()
        .iter()
        .map(|try_| try_.attempted_at)
        .collect();
    let gaps = times
        .windows(2)
        .map(|pair| pair[1].duration_since(pair[0]).unwrap());
    assert_eq!(
        gaps.collect::<Vec<_>>(),
        [1, 5, 30, 60, 300].map(|gap| gap * MINUTE)
    );
    assert!(fake.deliveries()[5].next_attempt_at.is_none());
}

#[tokio::test]
async fn a_duplicate_is_handled_once_by_who_keeps_a_record() {
    let (seen, handled) = (MemorySeen::new(), Arc::new(Mutex::new(0)));
    let receiver = Receiver::new(SECRET, CHALLENGE).unwrap();
    let (record, count) = (seen.clone(), Arc::clone(&handled));
    let handler = move |event: Event| {
        let (seen, count) = (record.clone(), Arc::clone(&count));
        async move {
            let now = SystemClock.now();
            let claim = seen
                .claim(&Sighting::from(&event), now, now + MINUTE)
                .await?;
            if let Claim::Granted(grant) = claim {
                *count.lock().unwrap() += 1;
                seen.done(&grant, now).await?;
            }
            Ok::<_, fullscript::webhook::SeenError>(())
        }
    };
    let url = serve(Router::new().route("/webhooks", receive(receiver, handler))).await;
    let fake = FakeFullscript::start().await.unwrap();
    fake.subscribe(Webhook::new(url, SECRET, CHALLENGE))
        .await
        .unwrap();
    fake.webhook_fault_times("patient.created", 1, WebhookFault::duplicate());
    fake.webhook_fault_times("patient.created", 1, WebhookFault::answer_lost());
    happens(&fake);
    happens(&fake);
    fake.advance(MINUTE).await;
    let lost = Some(DeliveryFailure::AnswerLost);
    assert_eq!(
        outcomes(&fake),
        [(1, None), (1, None), (1, lost), (2, None)]
    );
    assert_eq!(*handled.lock().unwrap(), 2);
    let deliveries = fake.deliveries();
    assert_eq!(deliveries[0].event, deliveries[1].event);
    assert_ne!(deliveries[0].id, deliveries[1].id);
}

#[tokio::test]
async fn a_late_event_comes_after_the_ones_that_happened_later() {
    let app = App::default();
    let fake = subscribed(&app).await;
    fake.webhook_fault_times("patient.created", 1, WebhookFault::late(MINUTE));
    let events = [happens(&fake), happens(&fake), happens(&fake)];
    fake.advance(MINUTE).await;
    assert_eq!(app.came(), [&*events[1], &*events[2], &*events[0]]);
}

#[tokio::test]
async fn a_dropped_event_is_found_by_a_replay() {
    let app = App::default();
    let fake = subscribed(&app).await;
    fake.webhook_fault("patient.created", WebhookFault::dropped());
    let patient = json!({"patient": {"id": "patient-1"}});
    let event = fake.send_event("patient.created", patient);
    fake.advance(24 * 60 * MINUTE).await;
    assert!(app.came().is_empty() && fake.deliveries().is_empty());
    let listed = json!({"events": [{
        "id": event.json["id"],
        "type": event.json["type"],
        "created_at": event.json["created_at"],
    }]});
    fake.answer("list_patient_events", Script::json(200, &listed));
    fake.answer(
        "get_event",
        Script::json(200, &json!({"event": event.json})),
    );
    let events = fake.client().events(MemorySeen::new());
    let mut replay = events
        .lists([EventList::Patients, EventList::Deliveries])
        .replay(fake.clock().now());
    let missed = replay.next().await.unwrap().unwrap();
    assert_eq!(missed.event, event);
    missed.done().await.unwrap();
    assert!(replay.next().await.is_none());
    fake.end_webhook_faults();
    happens(&fake);
    fake.deliveries_done().await;
    assert_eq!(app.came().len(), 1);
}

#[tokio::test]
async fn an_event_that_was_given_up_is_found_by_a_replay_of_the_deliveries() {
    let app = App::default();
    let fake = subscribed(&app).await;
    *app.failures.lock().unwrap() = 6;
    let event = happens(&fake);
    fake.advance(7 * 60 * MINUTE).await;
    assert_eq!(app.came().len(), 6);
    let events = fake.client().events(MemorySeen::new());
    let mut replay = events
        .lists([EventList::Deliveries])
        .replay(fake.clock().now());
    let missed = replay.next().await.unwrap().unwrap();
    assert_eq!(missed.event.id.as_ref().unwrap().to_string(), event);
    missed.done().await.unwrap();
    assert!(replay.next().await.is_none());
}

#[tokio::test]
async fn the_list_of_deliveries_tells_of_each_try() {
    let app = App::default();
    let fake = subscribed(&app).await;
    *app.failures.lock().unwrap() = 1;
    let event = happens(&fake);
    fake.advance(MINUTE).await;
    fake.advance(48 * 60 * MINUTE).await;
    let other = happens(&fake);
    fake.deliveries_done().await;
    let client = fake.client();
    let all = client.list_webhook_deliveries().send().await.unwrap();
    let tries: Vec<_> = all.webhook_deliveries.iter().collect();
    assert_eq!(tries.len(), 3);
    assert_eq!(tries[0].attempt_number, Some(1));
    assert_eq!(tries[0].response_status, Some(503));
    assert!(tries[0].response_errors.as_deref().unwrap().contains("503"));
    assert!(tries[0].next_attempt_at.is_some());
    assert_eq!(tries[1].previous_attempt_at, tries[0].attempted_at);
    assert!(
        tries[1]
            .response_body
            .as_deref()
            .unwrap()
            .contains(CHALLENGE)
    );
    assert_eq!(tries[1].response_ip_address.as_deref(), Some("127.0.0.1"));
    assert!(
        tries[1]
            .response_header
            .as_deref()
            .unwrap()
            .contains("application/json")
    );
    let ids = async |list: fullscript::builder::ListWebhookDeliveries<'_>| {
        let deliveries = list.items().collect_all().await.unwrap();
        let ids = deliveries.iter().map(|delivery| {
            let payload = delivery.event_payload.as_ref().unwrap();
            let id = Event::from(payload).id.unwrap().to_string();
            assert!(id == event || id == other);
            (id == event, delivery.attempt_number.unwrap())
        });
        ids.collect::<Vec<_>>()
    };
    let list = || client.list_webhook_deliveries();
    assert_eq!(
        ids(list().page_size(1)).await,
        [(true, 1), (true, 2), (false, 1)]
    );
    assert_eq!(ids(list().order_by(SortOrder::Desc)).await[0], (false, 1));
    assert_eq!(ids(list().successfully_delivered(false)).await, [(true, 1)]);
    assert_eq!(ids(list().event_id(&*other)).await, [(false, 1)]);
    let today = all.webhook_deliveries[2].attempted_at.as_ref().unwrap();
    let today = today.instant().unwrap().date_naive();
    assert_eq!(
        ids(list().attempted_at(today.to_string())).await,
        [(false, 1)]
    );
    assert_eq!(
        ids(list().attempted_at(format!("<{today}"))).await,
        [(true, 1), (true, 2)]
    );
    assert_eq!(ids(list().attempted_at(format!(">{today}"))).await, []);
    assert_eq!(
        ids(list().attempted_at(format!("{today}..{today}"))).await,
        [(false, 1)]
    );
    fake.advance(31 * 24 * 60 * MINUTE).await;
    assert_eq!(ids(list()).await, []);
}

#[tokio::test]
async fn each_event_is_preceded_by_an_empty_call_unless_told() {
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
    // The event failed; then the empty call does, and the event is not sent.
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
async fn an_event_whose_handler_is_too_slow_comes_again() {
    let app = App::default();
    let came = Arc::clone(&app.came);
    let receiver = Receiver::new(SECRET, CHALLENGE).unwrap();
    let handler = move |event: Event| {
        let came = Arc::clone(&came);
        async move {
            came.lock().unwrap().push(event.id.unwrap().to_string());
            let is_first = came.lock().unwrap().len() == 1;
            if is_first {
                std::future::pending::<()>().await;
            }
            Ok::<_, ()>(())
        }
    };
    let url = serve(Router::new().route("/webhooks", receive(receiver, handler))).await;
    let fake = FakeFullscript::start().await.unwrap();
    let webhook = Webhook::new(url, SECRET, CHALLENGE).timeout(Duration::from_millis(200));
    fake.subscribe(webhook).await.unwrap();
    let event = happens(&fake);
    fake.advance(MINUTE).await;
    assert_eq!(app.came(), [&*event, &*event]);
    assert_eq!(
        outcomes(&fake),
        [(1, Some(DeliveryFailure::TimedOut)), (2, None)]
    );
}

#[tokio::test]
async fn an_endpoint_that_does_not_answer_with_the_challenge_is_not_taken() {
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
async fn a_delivery_with_a_wrong_signature_never_comes_to_the_handler() {
    let app = App::default();
    let fake = subscribed(&app).await;
    fake.webhook_fault_times("patient.created", 1, WebhookFault::wrong_signature());
    let event = happens(&fake);
    fake.deliveries_done().await;
    assert!(app.came().is_empty());
    assert_eq!(fake.deliveries()[0].status, Some(401));
    fake.advance(MINUTE).await;
    assert_eq!(app.came(), [event]);
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

#[tokio::test]
async fn an_endpoint_that_is_gone_or_fails_for_a_day_gets_nothing_until_it_is_given_again() {
    let gone = Router::new().route(
        "/webhooks",
        post(async |body: String| match body.is_empty() {
            true => (StatusCode::OK, json!({"challenge": CHALLENGE}).to_string()),
            false => (StatusCode::GONE, String::new()),
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
