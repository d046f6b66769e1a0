//! The event logs of the crate: the requirements that all of them meet, and what is special.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use fullscript::sqlite::SqliteStore;
use fullscript::testing::contract;
use fullscript::webhook::{Claim, Event, EventKey, EventLog, Grant, MemoryEventLog};
use serde_json::json;

use super::at;
use crate::stores::sqlite::Place;

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Each type of event log, with the values that must outlive it.
async fn records() -> Vec<(Arc<dyn EventLog>, Option<Place>)> {
    let place = Place::new();
    let file = place.open().await.unwrap().event_log();
    vec![
        (Arc::new(MemoryEventLog::new()), None),
        (Arc::new(file), Some(place)),
    ]
}

fn now() -> SystemTime {
    at(1_767_225_600)
}

fn event(id: &str) -> EventKey {
    EventKey::from(&Event::from_json(json!({"id": id, "type": "order.placed"})))
}

/// An event about a patient, the given number of seconds after the first.
fn about(patient: &str, id: &str, second: i64) -> EventKey {
    EventKey::from(&Event::from_json(json!({
        "id": id,
        "type": "patient.updated",
        "created_at": 1_767_225_600 + second,
        "data": {"patient": {"id": patient}},
    })))
}

async fn claim(event_log: &dyn EventLog, key: &EventKey, now: SystemTime) -> Claim {
    event_log.claim(key, now, now + MINUTE).await.unwrap()
}

async fn granted(event_log: &dyn EventLog, key: &EventKey, now: SystemTime) -> Grant {
    match claim(event_log, key, now).await {
        Claim::Granted(grant) => grant,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_event_log_in_memory_meets_all_requirements() {
    contract::processed_events(async || MemoryEventLog::new()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sqlite_event_log_meets_all_requirements() {
    let directory = tempfile::TempDir::new().unwrap();
    let files = std::cell::Cell::new(0);
    let open = async || {
        files.set(files.get() + 1);
        let path = directory.path().join(format!("{}.db", files.get()));
        SqliteStore::open(path).await.unwrap().event_log()
    };
    contract::processed_events(open).await;
}

#[tokio::test]
async fn what_is_older_than_thirty_days_is_forgotten() {
    for (event_log, _place) in records().await {
        let (event, other) = (event("1"), about("p", "2", 50));
        let grant = granted(&*event_log, &event, now()).await;
        event_log.acknowledge(&grant, now()).await.unwrap();
        granted(&*event_log, &other, now()).await;
        // Day by day, because after a jump of the clock nothing is forgotten.
        for day in 1..=30 {
            granted(
                &*event_log,
                &self::event(&format!("day {day}")),
                now() + day * DAY,
            )
            .await;
        }
        let later = now() + 30 * DAY + MINUTE;
        assert_eq!(granted(&*event_log, &event, later).await.attempt, 1);
        let newer = granted(&*event_log, &about("p", "3", 0), later).await.newer;
        assert_eq!(newer, None);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_stores_on_one_file_grant_one_of_many_claims() {
    let place = Place::new();
    let logs = [place.open().await.unwrap(), place.open().await.unwrap()];
    let logs = logs.map(|store| store.event_log());
    for id in 0..50 {
        let claims = (0..8).map(|task| {
            let event_log = logs[task % 2].clone();
            let event = event(&id.to_string());
            tokio::spawn(async move { claim(&event_log, &event, now()).await })
        });
        let claims = futures_util::future::join_all(claims.collect::<Vec<_>>()).await;
        let granted = |claim: &Claim| matches!(claim, Claim::Granted(_));
        let claims = claims.into_iter().map(Result::unwrap);
        assert_eq!(claims.filter(granted).count(), 1);
    }
}

#[tokio::test]
async fn a_file_remembers_across_restarts() {
    let place = Place::new();
    let event_log = place.open().await.unwrap().event_log();
    let grant = granted(&event_log, &event("1"), now()).await;
    event_log.acknowledge(&grant, now()).await.unwrap();
    granted(&event_log, &event("2"), now()).await;
    drop(event_log);
    let event_log = place.open().await.unwrap().event_log();
    assert_eq!(
        claim(&event_log, &event("1"), now()).await,
        Claim::Processed
    );
    let held = claim(&event_log, &event("2"), now()).await;
    assert_eq!(held, Claim::HeldUntil(now() + MINUTE));
}

#[tokio::test]
async fn a_file_contains_no_health_data_of_events() {
    let place = Place::new();
    let event_log = place.open().await.unwrap().event_log();
    let key = about("planted-patient", "1", 0);
    granted(&event_log, &key, now()).await;
    drop(event_log);
    for path in [place.path.clone(), place.beside("-wal")] {
        let bytes = std::fs::read(path).unwrap_or_default();
        assert!(!bytes.windows(7).any(|window| window == b"planted"));
    }
}

#[tokio::test]
async fn memory_forgets_what_changed_longest_ago_when_it_is_full() {
    let event_log = MemoryEventLog::new().capacity(3);
    for id in ["1", "2", "3"] {
        let grant = granted(&event_log, &event(id), now()).await;
        event_log.acknowledge(&grant, now()).await.unwrap();
    }
    granted(&event_log, &event("4"), now()).await;
    for id in ["2", "3"] {
        assert_eq!(claim(&event_log, &event(id), now()).await, Claim::Processed);
    }
    granted(&event_log, &event("1"), now()).await;
}

#[test]
fn an_event_is_known_by_its_id_and_without_one_by_what_it_says() {
    let key = |json| EventKey::from(&Event::from_json(json));
    assert_eq!(event("abc").id, "abc");
    // A retry is identical, and the envelope is not part of the event.
    let bare = json!({"type": "order.placed", "data": {"id": "o"}});
    let wrapped = key(json!({ "event": bare }));
    assert_eq!(key(bare), wrapped);
    assert!(wrapped.id.starts_with("sha256:"));
    let empty = key(json!({"id": "", "type": "order.placed"}));
    assert_ne!(empty.id, wrapped.id);
    let long = key(json!({"id": "7".repeat(10_000)}));
    assert!(long.id.len() < 100);
    let (one, other) = (about("p", "1", 0), about("q", "2", 0));
    assert!(one.subject.is_some() && one.subject != other.subject);
    assert!(!format!("{one:?}").contains(one.subject.as_ref().unwrap()));
    for created_at in [
        json!(i64::MAX),
        json!(-1e300),
        json!("9999-12-31T23:59:59Z"),
    ] {
        let _no_panic = key(json!({"type": "a", "created_at": created_at}));
    }
}
