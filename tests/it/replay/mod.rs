//! Missed events are delivered once each, also during concurrent changes.

mod failures;
mod many;
mod resume;
mod vendor;

use std::time::Duration;

use fullscript::replay::{Cursor, EventList, Replay};
use fullscript::testing::ManualClock;
use fullscript::types::EventType;
use fullscript::webhook::{Claim, Event, EventData, EventKey, EventLog, MemoryEventLog};
use serde_json::json;

use vendor::{DAY, HOUR, NOW, Vendor, event, time};

/// Replays and handles all events, and returns their ids.
async fn handled(replay: &mut Replay) -> Vec<String> {
    let mut ids = Vec::new();
    while let Some(missed) = replay.next().await {
        let missed = missed.unwrap();
        ids.push(missed.event.id.as_ref().unwrap().to_string());
        missed.acknowledge().await.unwrap();
    }
    ids
}

#[tokio::test]
async fn all_lists_are_one_stream_with_the_oldest_first() {
    let vendor = Vendor::start().await;
    for (hours, type_) in [
        (6, "patient.created"),
        (5, "treatment_plan.created"),
        (4, "order.placed"),
        (3, "product.updated"),
        (2, "lab_order.updated"),
        (1, "clinic_key.revoked"),
    ] {
        vendor.happens(event(type_, type_, NOW - hours * HOUR));
    }
    // Only the list of webhook deliveries contains it.
    vendor.was_sent(
        event("shipped", "fulfillment.shipped", NOW - 3 * HOUR - 1),
        1,
    );
    let mut replay = vendor
        .events(MemoryEventLog::new())
        .replay(Cursor::default());
    assert_eq!(
        handled(&mut replay).await,
        [
            "patient.created",
            "treatment_plan.created",
            "order.placed",
            "shipped",
            "product.updated",
            "lab_order.updated",
            "clinic_key.revoked"
        ]
    );
    assert!(replay.next().await.is_none());
    assert_eq!(replay.cursor(), Cursor::from(time(NOW)));
}

#[tokio::test]
async fn an_event_of_both_lists_is_returned_once_with_the_data_of_its_delivery() {
    let vendor = Vendor::start().await;
    let created = event("1", "patient.created", NOW - HOUR);
    vendor.happens(created.clone());
    vendor.was_sent(created, 6);
    vendor.happens(event("2", "patient.updated", NOW - 60));
    let mut replay = vendor
        .events(MemoryEventLog::new())
        .replay(Cursor::default());
    let first = replay.next().await.unwrap().unwrap();
    assert_eq!(first.event.type_, Some(EventType::PatientCreated));
    assert!(first.event.integration_id.is_some());
    assert!(matches!(first.event.data, EventData::PatientCreated(_)));
    assert_eq!((first.grant.attempt, first.grant.newer), (1, None));
    let second = replay.next().await.unwrap().unwrap();
    assert!(matches!(second.event.data, EventData::PatientUpdated(_)));
    assert_eq!(second.grant.attempt, 1);
    assert!(replay.next().await.is_none());
    assert_eq!(vendor.fake.count("get_event"), 1);
}

#[tokio::test]
async fn events_handled_by_the_webhook_are_neither_returned_nor_retrieved() {
    let vendor = Vendor::start().await;
    let event_log = MemoryEventLog::new();
    for id in ["handled", "held", "failed", "missed"] {
        let event = event(id, "order.placed", NOW - HOUR);
        vendor.happens(event.clone());
        let key = EventKey::from(&Event::from_json(event));
        let claim = || event_log.claim(&key, time(NOW), time(NOW + 60));
        if id == "missed" {
            continue;
        }
        let Claim::Granted(grant) = claim().await.unwrap() else {
            panic!()
        };
        assert!(matches!(claim().await.unwrap(), Claim::HeldUntil(_)));
        match id {
            "handled" => event_log.acknowledge(&grant, time(NOW)).await.unwrap(),
            "failed" => event_log.release(&grant).await.unwrap(),
            _ => {}
        }
    }
    let mut replay = vendor.events(event_log).replay(Cursor::default());
    assert_eq!(handled(&mut replay).await, ["failed", "missed"]);
    assert_eq!(vendor.fake.count("get_event"), 3);
    // The replay waits for the event that another process has claimed.
    let cursor = replay.cursor();
    assert_eq!(cursor.of(EventList::Orders), Some(time(NOW - HOUR)));
    assert_eq!(cursor.of(EventList::Patients), Some(time(NOW)));
}

#[tokio::test]
async fn what_the_webhook_brings_meanwhile_is_handled_once() {
    let vendor = Vendor::start().await;
    let event_log = MemoryEventLog::new();
    for id in ["1", "2", "3"] {
        vendor.happens(event(id, "patient.updated", NOW - HOUR));
    }
    // This event is not retrieved.
    vendor.was_sent(event("4", "fulfillment.shipped", NOW - 60), 1);
    let mut replay = vendor.events(event_log.clone()).replay(Cursor::default());
    let first = replay.next().await.unwrap().unwrap();
    let key = |id| {
        let body = event(id, "patient.updated", NOW - HOUR);
        EventKey::from(&Event::from_json(body))
    };
    let (first_again, second, fourth) = (key("1"), key("2"), key("4"));
    let claim = |key| {
        let event_log = event_log.clone();
        async move {
            event_log
                .claim(key, time(NOW), time(NOW + 60))
                .await
                .unwrap()
        }
    };
    assert!(matches!(claim(&first_again).await, Claim::HeldUntil(_)));
    first.acknowledge().await.unwrap();
    assert_eq!(claim(&first_again).await, Claim::Processed);
    for key in [&second, &fourth] {
        let Claim::Granted(grant) = claim(key).await else {
            panic!()
        };
        event_log.acknowledge(&grant, time(NOW)).await.unwrap();
    }
    assert_eq!(handled(&mut replay).await, ["3"]);
    assert_eq!(replay.cursor(), Cursor::from(time(NOW)));
}

#[tokio::test]
async fn an_event_that_is_older_than_what_is_known_says_so() {
    let vendor = Vendor::start().await;
    let event_log = MemoryEventLog::new();
    let mut newer = event("newer", "patient.updated", NOW - 60);
    let mut older = event("older", "patient.updated", NOW - HOUR);
    for event in [&mut newer, &mut older] {
        event["data"]["patient"]["id"] = "the same".into();
    }
    let key = EventKey::from(&Event::from_json(newer));
    let claim = event_log.claim(&key, time(NOW), time(NOW + 60)).await;
    assert!(matches!(claim.unwrap(), Claim::Granted(_)));
    vendor.happens(older);
    let mut replay = vendor.events(event_log).replay(Cursor::default());
    let missed = replay.next().await.unwrap().unwrap();
    assert_eq!(missed.grant.newer, Some(time(NOW - 60)));
    assert_eq!(missed.grant.attempt, 1);
}

#[tokio::test]
async fn lists_are_read_to_their_last_page() {
    let vendor = Vendor::start().await;
    for id in 0..250 {
        vendor.happens(event(&id.to_string(), "order.placed", NOW - DAY + id));
    }
    let mut replay = vendor
        .events(MemoryEventLog::new())
        .replay(Cursor::default());
    let expected: Vec<_> = (0..250).map(|id| id.to_string()).collect();
    assert_eq!(handled(&mut replay).await, expected);
    assert_eq!(vendor.fake.count("list_order_events"), 3);
    assert_eq!(vendor.fake.count("get_event"), 250);
}

#[tokio::test]
async fn at_most_a_thousand_deliveries_are_buffered_and_all_are_returned() {
    let vendor = Vendor::start().await;
    for id in 0..1_020 {
        let type_ = "fulfillment.shipped";
        vendor.was_sent(event(&id.to_string(), type_, NOW - DAY + id), 1);
    }
    let mut replay = vendor
        .events(MemoryEventLog::new())
        .replay(Cursor::default());
    assert_eq!(handled(&mut replay).await.len(), 1_020);
    // The oldest 20. The Events API does not list their type.
    assert_eq!(vendor.fake.count("get_event"), 20);
    assert_eq!(vendor.fake.count("list_webhook_deliveries"), 11 + 20);
}

#[tokio::test]
async fn records_that_change_places_between_pages_are_found() {
    let vendor = Vendor::start().await;
    for id in 0..150 {
        vendor.happens(event(&id.to_string(), "order.placed", NOW - HOUR));
    }
    // The first read returns one record twice and misses another.
    vendor.swap_once();
    let mut replay = vendor
        .events(MemoryEventLog::new())
        .replay(Cursor::default());
    assert_eq!(handled(&mut replay).await.len(), 150);
    assert_eq!(vendor.fake.count("list_order_events"), 4);
}

#[tokio::test]
async fn nothing_is_sent_before_the_first_poll_and_after_the_drop() {
    let vendor = Vendor::start().await;
    vendor.happens(event("1", "order.placed", NOW - HOUR));
    let events = vendor.events(MemoryEventLog::new());
    let mut replay = events.lists([EventList::Orders]).replay(Cursor::default());
    assert!(vendor.fake.requests().is_empty());
    // A dropped future leaves its request to the next call.
    let dropped = tokio::time::timeout(Duration::ZERO, replay.next()).await;
    assert!(dropped.is_err());
    assert_eq!(handled(&mut replay).await, ["1"]);
    assert_eq!(vendor.fake.count("list_order_events"), 1);
    assert_eq!(vendor.fake.requests().len(), 2);
    drop(replay);
    assert_eq!(vendor.fake.requests().len(), 2);
}

#[tokio::test]
async fn events_that_may_be_forgotten_are_left_out() {
    let vendor = Vendor::start().await;
    vendor.happens(event("old", "order.placed", NOW - 30 * DAY + 60));
    vendor.happens(event("listed", "order.placed", NOW - 29 * DAY));
    let mut without_id = event("", "order.placed", NOW - 30 * DAY + 60);
    without_id["data"] = json!({});
    vendor.was_sent(without_id, 1);
    let mut replay = vendor
        .events(MemoryEventLog::new())
        .replay(Cursor::default());
    assert_eq!(handled(&mut replay).await, ["listed"]);
}

#[tokio::test]
async fn a_replay_moves_between_tasks() {
    let vendor = Vendor::start().await;
    vendor.happens(event("1", "order.placed", NOW - HOUR));
    let event_log: std::sync::Arc<dyn EventLog> = std::sync::Arc::new(MemoryEventLog::new());
    let events = vendor.events(event_log).clock(ManualClock::at(time(NOW)));
    let mut replay = events.replay(Cursor::default());
    let missed = tokio::spawn(async move { replay.next().await.unwrap().unwrap() });
    let missed = missed.await.unwrap();
    let cursor = tokio::spawn(async move { missed.acknowledge().await.unwrap() });
    assert_eq!(cursor.await.unwrap(), Cursor::from(time(NOW)));
}
