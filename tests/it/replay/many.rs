//! 100,000 deliveries of which some never arrive: the replay finds exactly the missed events.

use std::time::Duration;

use fullscript::RateLimit;
use fullscript::replay::{Cursor, EventList};
use fullscript::testing::{FakeFullscript, FakeRequest, ManualClock, Script};
use fullscript::webhook::MemoryEventLog;
use serde_json::{Value, json};

use super::vendor::{DAY, LISTS, time};
use crate::webhook::deliveries::{World, happened, payload};

const EVENTS: u64 = 44_000;

/// The number of newest events in the list of deliveries, each one twice.
const SENT: u64 = 10_000;

fn page(name: &str, total: u64, request: &FakeRequest, record: impl Fn(u64) -> Value) -> Script {
    let number: u64 = request.query("page[number]").unwrap().parse().unwrap();
    let records = ((number - 1) * 100..total.min(number * 100)).map(record);
    let meta = json!({"total_pages": total.div_ceil(100), "total_count": total});
    Script::json(
        200,
        &json!({ name: records.collect::<Vec<_>>(), "meta": meta }),
    )
}

/// Lists all events, newest first.
async fn vendor() -> FakeFullscript {
    let fake = FakeFullscript::start().await.unwrap();
    for (list, _) in LISTS {
        fake.answer(list, Script::json(200, &json!({"events": []})));
    }
    fake.answer_with("list_patient_events", |request| {
        page("events", EVENTS, request, |index| {
            let mut event = payload(EVENTS - 1 - index);
            event.as_object_mut().unwrap().remove("data");
            event
        })
    });
    fake.answer_with("list_webhook_deliveries", |request| {
        page("webhook_deliveries", SENT * 2, request, |index| {
            let event = payload(EVENTS - 1 - index / 2);
            json!({"id": index.to_string(), "event_payload": {"event": event}})
        })
    });
    fake.answer_with("get_event", |request| {
        let (_, id) = request.target.rsplit_once("event-").unwrap();
        Script::json(200, &json!({"event": payload(id.parse().unwrap())}))
    });
    fake
}

#[tokio::test]
async fn every_event_of_a_hundred_thousand_deliveries_is_handled_once_though_some_are_lost() {
    let mut world = World::new(MemoryEventLog::new());
    world.misses = true;
    world.deliver_all(EVENTS).await;
    assert!(world.deliveries >= 100_000, "{}", world.deliveries);
    let missed = EVENTS - world.handled.len() as u64;
    assert!(missed > 800, "{missed}");

    let fake = vendor().await;
    let client = fake.client_builder().rate_limit(RateLimit::off());
    let clock = ManualClock::at(time(happened(0) + 2 * DAY));
    let events = client.build().unwrap().events(world.event_log.clone());
    let events = events.clock(clock.clone());
    let (mut cursor, mut returned) = (Cursor::default(), 0);
    // The first runs crash after this number of events, with one event claimed.
    for lives in [100, 300, u64::MAX] {
        let mut replay = events.replay(cursor);
        let mut last = None;
        for count in 0..lives {
            let Some(missed) = replay.next().await else {
                break;
            };
            let missed = missed.unwrap();
            let at = missed.event.created_at.clone();
            assert!(
                last <= at.as_ref().and_then(|at| at.instant()),
                "out of order"
            );
            if count + 1 == lives {
                break;
            }
            last = at.and_then(|at| at.instant());
            let id = missed.event.id.as_ref().unwrap().to_string();
            let event = id.trim_start_matches("event-").parse().unwrap();
            *world.handled.entry(event).or_default() += 1;
            returned += 1;
            cursor = missed.acknowledge().await.unwrap();
        }
        clock.advance(Duration::from_secs(301));
    }
    assert_eq!(
        world.handled.len() as u64,
        EVENTS,
        "some were never handled"
    );
    assert!(world.handled.values().all(|times| *times == 1));
    assert_eq!(returned, missed);
    // The oldest events were retrieved; the others were complete in the list.
    let retrieved = fake.count("get_event") as u64;
    assert!(
        (1..returned).contains(&retrieved),
        "{retrieved} of {returned}"
    );
    assert!(cursor.of(EventList::Patients) >= Some(time(happened(EVENTS) + DAY)));
    let mut replay = events.replay(cursor);
    assert!(replay.next().await.is_none());
}
