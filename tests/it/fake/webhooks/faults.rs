//! Deliveries that are duplicated, late, lost or wrongly signed.

use std::sync::{Arc, Mutex};

use axum::Router;
use fullscript::replay::EventList;
use fullscript::testing::{DeliveryFailure, FakeFullscript, Webhook, WebhookFault};
use fullscript::webhook::{
    Claim, Event, EventKey, EventLog, MemoryEventLog, Receiver, axum::receive,
};
use fullscript::{Clock, SystemClock};
use serde_json::json;

use super::{App, CHALLENGE, MINUTE, SECRET, happens, outcomes, serve, subscribed};

#[tokio::test]
async fn a_duplicate_is_handled_once_with_an_event_log() {
    let (event_log, handled) = (MemoryEventLog::new(), Arc::new(Mutex::new(0)));
    let receiver = Receiver::new(SECRET, CHALLENGE).unwrap();
    let (record, count) = (event_log.clone(), Arc::clone(&handled));
    let handler = move |event: Event| {
        let (event_log, count) = (record.clone(), Arc::clone(&count));
        async move {
            let now = SystemClock.now();
            let claim = event_log
                .claim(&EventKey::from(&event), now, now + MINUTE)
                .await?;
            if let Claim::Granted(grant) = claim {
                *count.lock().unwrap() += 1;
                event_log.acknowledge(&grant, now).await?;
            }
            Ok::<_, fullscript::webhook::EventLogError>(())
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
async fn a_late_event_is_delivered_after_newer_ones() {
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
    let events = fake.client().events(MemoryEventLog::new());
    let mut replay = events
        .lists([EventList::Patients, EventList::Deliveries])
        .replay(fake.clock().now());
    let missed = replay.next().await.unwrap().unwrap();
    assert_eq!(missed.event, event);
    missed.acknowledge().await.unwrap();
    assert!(replay.next().await.is_none());
    fake.end_webhook_faults();
    happens(&fake);
    fake.deliveries_done().await;
    assert_eq!(app.came().len(), 1);
}

#[tokio::test]
async fn a_delivery_with_a_wrong_signature_never_reaches_the_handler() {
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
