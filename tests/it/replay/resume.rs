//! Resuming after a crash, and late events.

use std::time::Duration;

use fullscript::replay::{Cursor, EventList, InvalidCursor};
use fullscript::sqlite::SqliteEventLog;
use fullscript::webhook::MemoryEventLog;

use super::handled;
use super::vendor::{DAY, HOUR, NOW, Vendor, event, time};
use crate::stores::sqlite::Place;

async fn reopened(place: &Place) -> SqliteEventLog {
    place.open().await.unwrap().event_log()
}

#[tokio::test]
async fn a_crash_before_the_acknowledgment_delivers_the_event_again_and_no_other() {
    let vendor = Vendor::start().await;
    let place = Place::new();
    for id in 0..5 {
        vendor.happens(event(&id.to_string(), "order.placed", NOW - DAY + id));
    }
    let saved = {
        let events = vendor.events(reopened(&place).await);
        let mut replay = events.replay(Cursor::default());
        let mut saved = Cursor::default();
        for _ in 0..2 {
            let missed = replay.next().await.unwrap().unwrap();
            saved = missed.acknowledge().await.unwrap();
        }
        let _event = replay.next().await.unwrap().unwrap();
        saved.to_string()
    };
    // While the crashed process holds a claim on its event, the others are delivered.
    let cursor: Cursor = saved.parse().unwrap();
    assert_eq!(cursor.of(EventList::Orders), Some(time(NOW - DAY + 2)));
    let mut replay = vendor.events(reopened(&place).await).replay(cursor);
    assert_eq!(handled(&mut replay).await, ["3", "4"]);
    let cursor = replay.cursor();
    assert_eq!(cursor.of(EventList::Orders), Some(time(NOW - DAY + 2)));
    vendor.clock.advance(Duration::from_secs(301));
    let mut replay = vendor.events(reopened(&place).await).replay(cursor);
    let missed = replay.next().await.unwrap().unwrap();
    assert_eq!(missed.grant.attempt, 2);
    missed.acknowledge().await.unwrap();
    assert!(replay.next().await.is_none());
    let cursor = replay.cursor();
    assert_eq!(cursor, Cursor::from(time(NOW + 301)));
    for cursor in [cursor, Cursor::default()] {
        let mut replay = vendor.events(reopened(&place).await).replay(cursor);
        assert!(handled(&mut replay).await.is_empty());
    }
}

#[tokio::test]
async fn a_released_event_is_returned_by_the_next_replay() {
    let vendor = Vendor::start().await;
    vendor.happens(event("1", "order.placed", NOW - 5 * DAY));
    vendor.happens(event("2", "order.placed", NOW - HOUR));
    let events = vendor.events(MemoryEventLog::new());
    let mut replay = events.replay(Cursor::default());
    replay
        .next()
        .await
        .unwrap()
        .unwrap()
        .release()
        .await
        .unwrap();
    assert_eq!(handled(&mut replay).await, ["2"]);
    let cursor = replay.cursor();
    assert_eq!(cursor.of(EventList::Orders), Some(time(NOW - 5 * DAY)));
    assert_eq!(handled(&mut events.replay(cursor)).await, ["1"]);
}

#[tokio::test]
async fn events_handled_side_by_side_leave_no_gap_before_the_cursor() {
    let vendor = Vendor::start().await;
    // The last two have the same second.
    for id in 1..=3 {
        let happened = NOW - HOUR + id.min(2);
        vendor.happens(event(&id.to_string(), "order.placed", happened));
    }
    let mut replay = vendor
        .events(MemoryEventLog::new())
        .replay(Cursor::default());
    let mut events = Vec::new();
    while let Some(missed) = replay.next().await {
        events.push(missed.unwrap());
    }
    for (index, expected) in [(2, NOW - HOUR + 1), (0, NOW - HOUR + 2), (1, NOW)] {
        let cursor = events[index].acknowledge().await.unwrap();
        assert_eq!(cursor.of(EventList::Orders), Some(time(expected)));
        // A duplicate counts once.
        assert_eq!(events[index].acknowledge().await.unwrap(), cursor);
    }
}

#[tokio::test]
async fn an_event_that_is_listed_late_is_found() {
    let vendor = Vendor::start().await;
    let events = vendor.events(MemoryEventLog::new());
    let mut replay = events.replay(Cursor::default());
    assert!(handled(&mut replay).await.is_empty());
    // Up to a day before the cursor.
    vendor.happens(event("late", "order.placed", NOW - 23 * HOUR));
    vendor.was_sent(event("late too", "fulfillment.shipped", NOW - 23 * HOUR), 1);
    vendor.clock.advance(Duration::from_secs(300));
    let mut replay = events.replay(replay.cursor());
    assert_eq!(handled(&mut replay).await, ["late", "late too"]);
}

#[tokio::test]
async fn nothing_is_missed_in_any_time_zone_of_the_dates() {
    for zone in [-12, 0, 14] {
        for hour in 0..24 {
            let vendor = Vendor::start().await;
            vendor.zone(zone);
            let now = NOW + hour * HOUR;
            vendor.clock.set(time(now));
            vendor.happens(event("new", "order.placed", now));
            vendor.happens(event("late", "order.placed", now - DAY));
            vendor.happens(event("long ago", "order.placed", now - 5 * DAY));
            let events = vendor
                .events(MemoryEventLog::new())
                .lists([EventList::Orders]);
            let mut replay = events.replay(time(now));
            assert_eq!(handled(&mut replay).await, ["late", "new"], "{zone} {hour}");
        }
    }
}

#[tokio::test]
async fn no_more_dates_than_needed_are_requested() {
    let vendor = Vendor::start().await;
    for (since, days) in [
        (Cursor::from(time(NOW)), "2026-01-31..2026-02-04"),
        (Cursor::from(time(NOW - 9 * DAY)), "2026-01-22..2026-02-04"),
        // 30 days and 1 s.
        (Cursor::from(time(0)), "2026-01-02..2026-02-04"),
        (Cursor::default(), "2026-01-02..2026-02-04"),
        // Saved with a wrong clock.
        (
            Cursor::from(time(NOW + 365 * DAY)),
            "2026-01-02..2026-02-04",
        ),
    ] {
        let mut replay = vendor.events(MemoryEventLog::new()).replay(since);
        assert!(handled(&mut replay).await.is_empty());
        let requests = vendor.fake.requests();
        for request in &requests[requests.len() - 7..] {
            let created = request.query("created_at");
            let asked = created.or_else(|| request.query("attempted_at"));
            assert_eq!(asked.as_deref(), Some(days));
            assert_eq!(request.query("page[size]").as_deref(), Some("100"));
        }
    }
}

#[test]
fn a_cursor_round_trips_through_text() {
    let default = Cursor::default();
    let cursor = Cursor::from(time(NOW));
    for cursor in [default, cursor] {
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        let json = serde_json::to_string(&cursor).unwrap();
        assert_eq!(serde_json::from_str::<Cursor>(&json).unwrap(), cursor);
    }
    assert_eq!(default.to_string(), "1:");
    assert_eq!(
        cursor.to_string(),
        "1:patients=1770000000,treatment_plans=1770000000,orders=1770000000,products=1770000000,\
         lab_orders=1770000000,clinic_keys=1770000000,deliveries=1770000000"
    );
    // A cursor of a version with another list, and one with fewer lists.
    let other: Cursor = "1:shipments=5,orders=1770000000".parse().unwrap();
    assert_eq!(other.of(EventList::Orders), Some(time(NOW)));
    assert_eq!(other.of(EventList::Patients), None);
    for text in [
        "",
        "2:",
        "orders=1",
        "1:orders",
        "1:orders=-1",
        "1:orders=x",
        "1:=,",
    ] {
        assert_eq!(text.parse::<Cursor>(), Err(InvalidCursor), "{text}");
    }
    assert_eq!(
        Cursor::from(time(0) - Duration::from_secs(1)),
        Cursor::from(time(0))
    );
}
