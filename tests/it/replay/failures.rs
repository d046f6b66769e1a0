//! Failures of a replay, and what continues.

use std::sync::Arc;
use std::time::SystemTime;

use fullscript::replay::{Cursor, EventList, ReplayError};
use fullscript::testing::Script;
use fullscript::webhook::{
    Claim, EventKey, EventLog, EventLogError, EventLogFuture, Grant, MemoryEventLog,
};
use serde_json::json;

use super::vendor::{DAY, HOUR, LISTS, NOW, Vendor, event, time};

/// Handles all replayed events and returns the errors.
async fn failures(replay: &mut fullscript::replay::Replay) -> (Vec<String>, Vec<ReplayError>) {
    let (mut ids, mut errors) = (Vec::new(), Vec::new());
    while let Some(next) = replay.next().await {
        match next {
            Ok(missed) => {
                ids.push(missed.event.id.as_ref().unwrap().to_string());
                missed.acknowledge().await.unwrap();
            }
            Err(error) => errors.push(error),
        }
    }
    (ids, errors)
}

fn forbidden() -> Script {
    Script::json(403, &json!({"error": "planted"}))
}

#[tokio::test]
async fn a_rejected_list_does_not_stop_the_others() {
    for status in [401, 403, 404, 500] {
        let vendor = Vendor::start().await;
        vendor.happens(event("1", "patient.created", NOW - HOUR));
        vendor.happens(event("2", "order.placed", NOW - HOUR));
        let script = Script::json(status, &json!({"error": "planted"}));
        vendor.fake.answer("list_order_events", script);
        let since = Cursor::from(time(NOW - DAY));
        let mut replay = vendor.events(MemoryEventLog::new()).replay(since);
        let (ids, errors) = failures(&mut replay).await;
        assert_eq!(ids, ["1"]);
        let [error] = &errors[..] else { panic!() };
        assert_eq!(error.failed_list(), Some(EventList::Orders));
        assert!(!error.is_end() && !error.is_gone() && error.event_id().is_none());
        assert_eq!(error.call().unwrap().status().unwrap(), status);
        assert!(error.to_string().contains("list orders"), "{error}");
        assert!(!format!("{error:?} {error}").contains("planted"));
        // The events are found once the scope is granted.
        let cursor = replay.cursor();
        assert_eq!(cursor.of(EventList::Orders), Some(time(NOW - DAY)));
        assert_eq!(cursor.of(EventList::Patients), Some(time(NOW)));
    }
}

#[tokio::test]
async fn a_bad_event_in_any_place_is_reported_and_holds_neither_the_others_nor_the_cursor() {
    for bad in [
        json!(null),
        json!("planted"),
        json!({"id": null, "type": "order.placed", "data": "planted"}),
        json!({"id": "", "type": "order.placed", "data": "planted"}),
    ] {
        for place in 0..3 {
            let vendor = Vendor::start().await;
            let mut list = vec![json!({"id": "2"}), json!({"id": "1"})];
            for (event, hours) in list.iter_mut().zip(1..) {
                let at = time(NOW - hours * HOUR);
                let at = chrono::DateTime::<chrono::Utc>::from(at).to_rfc3339();
                event["created_at"] = at.into();
                event["type"] = "order.placed".into();
                event["data"] = json!({"order": {"id": "o"}});
            }
            list.insert(place, bad.clone());
            let answer = Script::json(200, &json!({"events": list}));
            vendor.fake.answer("list_order_events", answer);
            let events = vendor.events(MemoryEventLog::new());
            let events = events.lists([EventList::Orders]);
            let mut replay = events.replay(Cursor::default());
            let (ids, errors) = failures(&mut replay).await;
            assert_eq!(ids, ["1", "2"]);
            let [error] = &errors[..] else {
                panic!("{errors:?}")
            };
            assert!(error.is_unreadable() && !error.is_end() && !error.is_gone());
            assert_eq!(error.failed_list(), None);
            let record = error.call().unwrap().unreadable_record().unwrap();
            assert_eq!(record.index(), place);
            assert_eq!(record.body(), bad.to_string().as_bytes());
            assert!(!format!("{error} {error:?}").contains("planted"));
            assert_eq!(replay.cursor().of(EventList::Orders), Some(time(NOW)));
            // It is reported until it is acknowledged.
            let missed = error.unreadable().unwrap();
            assert_eq!(missed.event.json(), bad);
            for reported in [1, 0] {
                missed.release().await.unwrap();
                let mut replay = events.replay(replay.cursor());
                let (ids, errors) = failures(&mut replay).await;
                assert_eq!((ids.len(), errors.len()), (0, reported));
                for error in errors {
                    error.unreadable().unwrap().acknowledge().await.unwrap();
                }
            }
        }
    }
}

#[tokio::test]
async fn a_delivery_that_failed_or_has_no_id_gives_its_event_nevertheless() {
    let vendor = Vendor::start().await;
    let delivery = |id: &str, errors: serde_json::Value| {
        let event = json!({"id": id, "type": "fulfillment.shipped", "data": {"a": 1}});
        json!({"id": format!("d{id}"), "event_payload": {"event": event}, "response_errors": errors})
    };
    let mut deliveries = vec![
        delivery("1", json!(null)),
        delivery("2", json!("timeout")),
        delivery("3", json!(["timeout", {"code": 1}])),
        delivery("4", json!({"message": "timeout"})),
        delivery("5", json!(null)),
    ];
    deliveries[4]["id"] = json!(null);
    // The payload as text, or without its envelope.
    deliveries.push(delivery("6", json!(null)));
    deliveries[5]["event_payload"] = deliveries[5]["event_payload"].to_string().into();
    deliveries.push(delivery("7", json!(null)));
    deliveries[6]["event_payload"] = deliveries[6]["event_payload"]["event"].take();
    // No event, and an event without an id.
    deliveries.push(json!({"id": "d8", "event_payload": null}));
    deliveries.push(delivery("", json!(null)));
    let answer = Script::json(200, &json!({"webhook_deliveries": deliveries}));
    vendor.fake.answer("list_webhook_deliveries", answer);
    let events = vendor.events(MemoryEventLog::new());
    let mut replay = events
        .lists([EventList::Deliveries])
        .replay(Cursor::default());
    let (mut ids, errors) = failures(&mut replay).await;
    ids.sort();
    assert_eq!(ids, ["1", "2", "3", "4", "5", "6", "7"]);
    let [error] = &errors[..] else {
        panic!("{errors:?}")
    };
    assert_eq!(error.unreadable().unwrap().event.json()["data"]["a"], 1);
    assert_eq!(
        error
            .call()
            .unwrap()
            .unreadable_record()
            .unwrap()
            .cause()
            .path,
        "webhook_deliveries[8].event_payload"
    );
}

#[tokio::test]
async fn an_event_keeps_its_json_and_reports_what_does_not_fit_wherever_it_is_read() {
    // The event is listed, delivered, or retrieved.
    let mut event = event("1", "order.placed", NOW - HOUR);
    event["clinic_id"] = json!({"planted": 1});
    event["added"] = json!({"later": [0.10]});
    event["data"] = json!({
        "order": {"id": "o", "added": 2, "line_items": {"quantity": "planted"}},
    });
    let listed = {
        let mut listed = event.clone();
        listed["data"].take();
        listed
    };
    for source in [EventList::Orders, EventList::Deliveries] {
        for is_whole in [true, false] {
            let vendor = Vendor::start().await;
            let own = if is_whole { &event } else { &listed };
            let (operation, body) = match source {
                EventList::Orders => ("list_order_events", json!({"events": [own]})),
                _ => (
                    "list_webhook_deliveries",
                    json!({"webhook_deliveries": [{"id": "d", "event_payload": {"event": own}}]}),
                ),
            };
            vendor.fake.answer(operation, Script::json(200, &body));
            let retrieved = Script::json(200, &json!({"event": event}));
            vendor.fake.answer("get_event", retrieved);
            let mut replay = vendor
                .events(MemoryEventLog::new())
                .lists([source])
                .replay(Cursor::default());
            let read = replay.next().await.unwrap().unwrap().event;
            assert_eq!(read.json(), event);
            let paths: Vec<_> = read.issues().iter().map(|issue| &issue.path).collect();
            assert_eq!(
                paths,
                [
                    "clinic_id",
                    "data.order.line_items[0].quantity",
                    "data.order.line_items"
                ]
            );
            assert!(!format!("{read:?} {:?}", read.issues()).contains("planted"));
            assert_eq!(vendor.fake.count("get_event"), usize::from(!is_whole));
        }
    }
}

#[tokio::test]
async fn either_source_does_without_the_other() {
    let vendor = Vendor::start().await;
    vendor.happens(event("1", "patient.created", NOW - HOUR));
    vendor.was_sent(event("2", "order.placed", NOW - HOUR), 1);
    vendor.fake.answer("list_webhook_deliveries", forbidden());
    let event_log = MemoryEventLog::new();
    let mut replay = vendor.events(event_log.clone()).replay(Cursor::default());
    let (ids, errors) = failures(&mut replay).await;
    assert_eq!((ids, errors.len()), (vec!["1".to_string()], 1));
    assert_eq!(errors[0].failed_list(), Some(EventList::Deliveries));

    let vendor = Vendor::start().await;
    vendor.was_sent(event("2", "order.placed", NOW - HOUR), 1);
    for (operation, _) in LISTS {
        vendor.fake.answer(operation, forbidden());
    }
    let mut replay = vendor.events(event_log).replay(Cursor::default());
    let (ids, errors) = failures(&mut replay).await;
    assert_eq!((ids, errors.len()), (vec!["2".to_string()], 6));
    assert_eq!(vendor.fake.count("get_event"), 0);
}

#[tokio::test]
async fn a_truncated_list_reports_its_progress_and_is_read_again() {
    let vendor = Vendor::start().await;
    for id in 0..150 {
        vendor.happens(event(&id.to_string(), "order.placed", NOW - DAY + id));
    }
    let event_log = MemoryEventLog::new();
    let events = vendor.events(event_log).lists([EventList::Orders]);
    // The first page succeeds, the second fails.
    let mut replay = events.replay(Cursor::default());
    let client = vendor.fake.client();
    let listed = client.list_order_events();
    let listed = listed.created_at("2000-01-01..2100-01-01").order_by("DESC");
    let first = listed.page_size(100).send().await.unwrap().into_inner();
    let first = serde_json::to_value(&first).unwrap();
    let answer = Script::json(200, &first);
    vendor.fake.answer_times("list_order_events", 1, answer);
    vendor
        .fake
        .answer_times("list_order_events", 1, forbidden());
    let (ids, errors) = failures(&mut replay).await;
    assert_eq!((ids.len(), errors.len()), (100, 1));
    assert_eq!(errors[0].call().unwrap().page(), Some(2));
    assert_eq!(replay.cursor(), Cursor::default());
    let (ids, errors) = failures(&mut events.replay(replay.cursor())).await;
    assert_eq!((ids.len(), errors.len()), (50, 0));
}

#[tokio::test]
async fn a_deleted_event_is_reported_and_blocks_nothing() {
    let vendor = Vendor::start().await;
    vendor.happens(event("gone", "order.placed", NOW - DAY));
    vendor.happens(event("there", "order.placed", NOW - HOUR));
    vendor
        .fake
        .answer_times("get_event", 1, Script::json(404, &json!({})));
    let mut replay = vendor
        .events(MemoryEventLog::new())
        .replay(Cursor::default());
    let (ids, errors) = failures(&mut replay).await;
    assert_eq!(ids, ["there"]);
    let [error] = &errors[..] else { panic!() };
    assert!(error.is_gone() && !error.is_end());
    assert_eq!(error.event_id().unwrap().as_str(), "gone");
    assert!(error.to_string().contains("is skipped"), "{error}");
    assert_eq!(replay.cursor(), Cursor::from(time(NOW)));
}

#[tokio::test]
async fn an_event_that_can_not_be_retrieved_holds_the_cursor_of_its_list() {
    let vendor = Vendor::start().await;
    vendor.happens(event("1", "order.placed", NOW - DAY));
    vendor.happens(event("2", "order.placed", NOW - HOUR));
    vendor.fake.answer_times("get_event", 1, forbidden());
    let events = vendor.events(MemoryEventLog::new());
    let mut replay = events.replay(Cursor::default());
    let (ids, errors) = failures(&mut replay).await;
    assert_eq!(ids, ["2"]);
    assert!(!errors[0].is_gone() && !errors[0].is_end());
    let cursor = replay.cursor();
    assert_eq!(cursor.of(EventList::Orders), Some(time(NOW - DAY)));
    assert_eq!(cursor.of(EventList::Deliveries), Some(time(NOW)));
    let (ids, errors) = failures(&mut events.replay(cursor)).await;
    assert_eq!((ids, errors.len()), (vec!["1".to_string()], 0));
}

#[tokio::test]
async fn a_failing_server_is_not_called_for_every_event() {
    let vendor = Vendor::start().await;
    for id in 0..20 {
        vendor.happens(event(&id.to_string(), "order.placed", NOW - HOUR));
    }
    vendor
        .fake
        .answer("get_event", Script::json(401, &json!({})));
    let mut replay = vendor
        .events(MemoryEventLog::new())
        .replay(Cursor::default());
    let (ids, errors) = failures(&mut replay).await;
    assert_eq!((ids.len(), errors.len()), (0, 3));
    assert!(errors[2].is_end() && !errors[1].is_end());
    assert!(errors[2].to_string().contains("resume from the cursor"));
    assert_eq!(vendor.fake.count("get_event"), 3);
    assert_eq!(
        replay.cursor().of(EventList::Orders),
        Some(time(NOW - HOUR))
    );
}

/// An event log whose methods fail from a given call on.
struct Failing(&'static str, MemoryEventLog);

impl Failing {
    fn answer<'a, T: Send + 'a>(
        &self,
        method: &str,
        answer: EventLogFuture<'a, T>,
    ) -> EventLogFuture<'a, T> {
        let error = EventLogError::new(std::io::Error::other("the disk is full"));
        if self.0 == method {
            Box::pin(std::future::ready(Err(error)))
        } else {
            answer
        }
    }
}

impl EventLog for Failing {
    fn is_processed<'a>(&'a self, key: &'a EventKey) -> EventLogFuture<'a, bool> {
        self.answer("is_processed", self.1.is_processed(key))
    }

    fn claim<'a>(
        &'a self,
        key: &'a EventKey,
        now: SystemTime,
        deadline: SystemTime,
    ) -> EventLogFuture<'a, Claim> {
        self.answer("claim", self.1.claim(key, now, deadline))
    }

    fn acknowledge<'a>(&'a self, grant: &'a Grant, now: SystemTime) -> EventLogFuture<'a, ()> {
        self.answer("acknowledge", self.1.acknowledge(grant, now))
    }

    fn release<'a>(&'a self, grant: &'a Grant) -> EventLogFuture<'a, ()> {
        self.answer("release", self.1.release(grant))
    }
}

#[tokio::test]
async fn nothing_is_returned_while_the_event_log_fails() {
    for method in ["is_processed", "claim"] {
        let vendor = Vendor::start().await;
        vendor.happens(event("1", "patient.created", NOW - HOUR));
        vendor.happens(event("2", "order.placed", NOW - HOUR));
        let event_log = Arc::new(Failing(method, MemoryEventLog::new()));
        let mut replay = vendor.events(event_log).replay(Cursor::default());
        let (ids, errors) = failures(&mut replay).await;
        assert!(ids.is_empty());
        let [error] = &errors[..] else { panic!() };
        assert!(error.is_end() && error.call().is_none());
        assert!(std::error::Error::source(error).is_some());
        let patients = replay.cursor().of(EventList::Patients);
        assert!(patients.is_none_or(|at| at == time(NOW - HOUR)));
    }
    let vendor = Vendor::start().await;
    vendor.happens(event("1", "patient.created", NOW - HOUR));
    let events = vendor.events(Failing("acknowledge", MemoryEventLog::new()));
    let mut replay = events.replay(Cursor::default());
    let missed = replay.next().await.unwrap().unwrap();
    assert!(missed.acknowledge().await.is_err());
    let patients = replay.cursor().of(EventList::Patients);
    assert_eq!(patients, Some(time(NOW - HOUR)));
}
