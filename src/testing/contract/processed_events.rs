//! The requirements of an event log.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::json;

use crate::webhook::{Claim, Event, EventKey, EventLog, Grant};

const MINUTE: Duration = Duration::from_secs(60);

/// A time that a log must remember an event for.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The second since 1970 at which the checks begin.
const START: u64 = 1_767_225_600;

/// Checks that an event log meets the requirements of [`EventLog`].
///
/// `new` creates an empty log for each check. A log in a database may return a handle to a new
/// schema or table. The times of the checks are in January 2026.
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// use fullscript::testing::contract;
/// use fullscript::webhook::MemoryEventLog;
///
/// contract::processed_events(async || MemoryEventLog::new()).await;
/// # });
/// ```
///
/// # Panics
/// Panics with the requirement that the log does not meet.
pub async fn processed_events<L: EventLog>(new: impl AsyncFn() -> L) {
    grants_no_acknowledged_event(&new().await).await;
    reports_only_acknowledged_events(&new().await).await;
    holds_a_claim_until_its_deadline(&new().await).await;
    counts_attempts_over_releases(&new().await).await;
    ignores_late_releases_and_accepts_late_acknowledgments(&new().await).await;
    reports_newer_events_of_the_same_subject(&new().await).await;
    keeps_keys_apart(&new().await).await;
    grants_one_of_many_claims(Arc::new(new().await)).await;
}

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(START)
}

fn event(id: &str) -> EventKey {
    EventKey::new(id)
}

/// An event about a patient, the given number of seconds after the first.
fn about(patient: &str, id: &str, second: i64) -> EventKey {
    EventKey::from(&Event::from_json(json!({
        "id": id,
        "type": "patient.updated",
        "created_at": START.cast_signed() + second,
        "data": {"patient": {"id": patient}},
    })))
}

async fn claim(log: &dyn EventLog, key: &EventKey, now: SystemTime) -> Claim {
    let claim = log.claim(key, now, now + MINUTE).await;
    claim.expect("`claim` succeeds")
}

async fn grant(log: &dyn EventLog, key: &EventKey, now: SystemTime) -> Grant {
    match claim(log, key, now).await {
        Claim::Granted(grant) => grant,
        other => panic!("an event that is neither processed nor held is granted: {other:?}"),
    }
}

async fn acknowledge(log: &dyn EventLog, grant: &Grant, now: SystemTime) {
    let acknowledged = log.acknowledge(grant, now).await;
    acknowledged.expect("`acknowledge` succeeds");
}

async fn release(log: &dyn EventLog, grant: &Grant) {
    log.release(grant).await.expect("`release` succeeds");
}

async fn grants_no_acknowledged_event(log: &dyn EventLog) {
    let granted = grant(log, &event("1"), now()).await;
    assert_eq!(granted.attempt, 1, "attempts count from 1");
    assert_eq!(granted.key, "1", "a grant has the id of the event");
    acknowledge(log, &granted, now()).await;
    acknowledge(log, &granted, now()).await;
    for later in [now(), now() + DAY, now() + 7 * DAY] {
        let again = claim(log, &event("1"), later).await;
        let is_processed = again == Claim::Processed;
        assert!(is_processed, "an acknowledged event stays so: {again:?}");
    }
    grant(log, &event("2"), now()).await;
}

async fn reports_only_acknowledged_events(log: &dyn EventLog) {
    let event = event("1");
    let is_processed = async || {
        let is_processed = log.is_processed(&event).await;
        is_processed.expect("`is_processed` succeeds")
    };
    assert!(!is_processed().await, "an unknown event is not processed");
    let first = grant(log, &event, now()).await;
    assert_eq!(first.attempt, 1, "a query changes nothing");
    assert!(!is_processed().await, "a claimed event is not processed");
    release(log, &first).await;
    assert!(!is_processed().await, "a released event is not processed");
    let second = grant(log, &event, now()).await;
    acknowledge(log, &second, now()).await;
    assert!(is_processed().await, "an acknowledged event is processed");
}

/// Claims an event with a deadline that has passed at once, by every clock.
async fn grant_expired(log: &dyn EventLog, key: &EventKey) -> Grant {
    match log.claim(key, now(), now()).await {
        Ok(Claim::Granted(grant)) => grant,
        other => panic!("an event that is neither processed nor held is granted: {other:?}"),
    }
}

async fn holds_a_claim_until_its_deadline(log: &dyn EventLog) {
    grant(log, &event("1"), now()).await;
    let almost = now() + MINUTE - Duration::from_millis(1);
    for at in [now(), almost] {
        let held = claim(log, &event("1"), at).await;
        let is_held = matches!(held, Claim::HeldUntil(until) if until > at && until <= at + MINUTE);
        assert!(is_held, "a claim is active until its deadline: {held:?}");
    }
    grant_expired(log, &event("2")).await;
    let second = grant(log, &event("2"), now()).await;
    assert_eq!(second.attempt, 2, "a claim that expired was an attempt");
}

async fn counts_attempts_over_releases(log: &dyn EventLog) {
    for attempt in 1..=3 {
        let granted = grant(log, &event("1"), now()).await;
        assert_eq!(granted.attempt, attempt, "a release keeps the count");
        release(log, &granted).await;
    }
}

async fn ignores_late_releases_and_accepts_late_acknowledgments(log: &dyn EventLog) {
    let slow = grant_expired(log, &event("1")).await;
    let later = now() + Duration::from_secs(1);
    let second = grant(log, &event("1"), later).await;
    release(log, &slow).await;
    let held = claim(log, &event("1"), later).await;
    let is_held = matches!(held, Claim::HeldUntil(_));
    assert!(is_held, "a late release does not end a claim: {held:?}");
    // The event was processed after all.
    acknowledge(log, &slow, later).await;
    release(log, &second).await;
    let again = claim(log, &event("1"), later).await;
    let is_processed = again == Claim::Processed;
    assert!(is_processed, "a late acknowledgment counts: {again:?}");
}

async fn reports_newer_events_of_the_same_subject(log: &dyn EventLog) {
    let second = |second| now() + Duration::from_secs(second);
    for (key, newer) in [
        (about("p", "1", 10), None),
        (about("q", "2", 50), None),
        (about("p", "3", 30), None),
        (about("p", "4", 20), Some(second(30))),
        (about("p", "5", 30), None),
        (about("p", "6", -5_000_000_000), Some(second(30))),
        (event("7"), None),
    ] {
        let granted = grant(log, &key, now()).await;
        assert_eq!(
            granted.newer, newer,
            "a grant has the time of a newer event of its subject, number {}",
            key.id
        );
    }
}

async fn keeps_keys_apart(log: &dyn EventLog) {
    let odd = "x'); DROP TABLE events; --\"\n\u{1f600} %_\\";
    for id in ["a", "A", "", odd] {
        let granted = grant(log, &event(id), now()).await;
        assert_eq!(granted.attempt, 1, "keys are compared byte by byte");
        acknowledge(log, &granted, now()).await;
    }
}

async fn grants_one_of_many_claims<L: EventLog>(log: Arc<L>) {
    for id in 0..20 {
        let claims: Vec<_> = (0..8)
            .map(|_| {
                let log = Arc::clone(&log);
                tokio::spawn(async move { claim(&*log, &event(&id.to_string()), now()).await })
            })
            .collect();
        let mut granted = 0;
        for claim in claims {
            let claim = claim.await.expect("a claim does not panic");
            granted += u32::from(matches!(claim, Claim::Granted(_)));
        }
        assert_eq!(granted, 1, "one of many concurrent claims is granted");
    }
}
