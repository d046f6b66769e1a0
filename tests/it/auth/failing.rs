//! Refreshes and stores that fail: what the application learns before its users do.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use fullscript::auth::{
    AuthEvent, Connection, ConnectionFilter, OAuthApp, RefreshFailureCause as Cause, StoreAccess,
    StoreError, StoreFuture, UserKey,
};
use fullscript::testing::{Fault, Script};
use serde_json::json;

use crate::support::{Connected, Hook, Step, TWO_HOURS, at, connect};

/// Counts the swaps, and fails the leases and swaps while the disk is full.
#[derive(Default)]
struct Disk {
    swaps: AtomicUsize,
    is_full: AtomicBool,
}

impl Disk {
    fn fill(&self, is_full: bool) {
        self.is_full.store(is_full, Ordering::SeqCst);
    }
}

impl Hook for Disk {
    fn at<'a>(&'a self, _: &'a str, step: Step) -> StoreFuture<'a, ()> {
        self.swaps
            .fetch_add(usize::from(step == Step::Swap), Ordering::SeqCst);
        let writes = matches!(step, Step::Swap | Step::Lease | Step::Release);
        let full = || StoreError::new(std::io::Error::from(std::io::ErrorKind::StorageFull));
        let fails = writes && self.is_full.load(Ordering::SeqCst);
        let ended = if fails { Err(full()) } else { Ok(()) };
        Box::pin(std::future::ready(ended))
    }
}

/// How the token endpoint fails.
enum Outage {
    Fault(Fault),
    /// One response decides about all refreshes for a while.
    Response(Script),
}

async fn failing(app: &OAuthApp) -> Vec<Connection> {
    let mut listed = app.connections(ConnectionFilter::new().failing(true));
    let mut found = Vec::new();
    while let Some(connection) = listed.next().await {
        found.push(connection.unwrap());
    }
    found
}

fn names(events: &[AuthEvent]) -> Vec<&'static str> {
    events.iter().map(AuthEvent::name).collect()
}

fn count(events: &[AuthEvent], name: &str) -> usize {
    names(events).iter().filter(|it| **it == name).count()
}

async fn call(app: &OAuthApp, user: &str) -> Result<(), fullscript::Error> {
    app.client(user).get_clinic().send().await.map(|_clinic| ())
}

#[tokio::test(start_paused = true)]
async fn a_refresh_that_fails_is_reported_each_time_and_written_once_until_it_recovers() {
    let invalid_client = Script::json(401, &json!({"error": "invalid_client"}));
    let other_owner = Script::json(
        200,
        &json!({
            "access_token": "x", "resource_owner": {"id": "another", "type": "Practitioner"}
        }),
    );
    for (outage, cause) in [
        (Outage::Fault(Fault::status(503)), Cause::Unreachable),
        (
            Outage::Fault(Fault::reset_before_headers()),
            Cause::Unreachable,
        ),
        (Outage::Fault(Fault::html()), Cause::Unreadable),
        (Outage::Response(invalid_client), Cause::Misconfigured),
        (Outage::Response(other_owner), Cause::Unusable),
    ] {
        let disk = Arc::new(Disk::default());
        let connected = Connected::hooked(&disk).await;
        let app = &connected.app;
        let before = connected.stored().await;
        connected.clock.advance(TWO_HOURS);
        let swaps = disk.swaps.load(Ordering::SeqCst);
        match outage {
            Outage::Fault(fault) => connected.fake.fault("create_oauth_token", fault),
            Outage::Response(script) => {
                connected.fake.answer_times("create_oauth_token", 1, script);
            }
        }
        for _ in 0..3 {
            call(app, "practitioner").await.unwrap_err();
        }
        let events = connected.events();
        assert_eq!(count(&events, "refresh_failed"), 3, "{cause:?}: {events:?}");
        let AuthEvent::RefreshFailed {
            user,
            cause: reported,
            attempt,
            token_valid_until,
            ..
        } = &events[1]
        else {
            panic!("{cause:?}: {events:?}");
        };
        assert_eq!((user.id(), *reported, *attempt), ("practitioner", cause, 1));
        assert_eq!(*token_valid_until, Some(at(7_200)), "{cause:?}");
        assert_eq!(disk.swaps.load(Ordering::SeqCst) - swaps, 1, "{cause:?}");
        let stored = connected.stored().await;
        let failure = stored.failure.as_ref().unwrap();
        assert_eq!((failure.cause, failure.since), (cause, at(7_200)));
        assert_eq!(stored.generation, before.generation);
        assert_eq!(stored.access_token.expose(), before.access_token.expose());
        assert_eq!(failing(app).await.len(), 1, "{cause:?}");

        connected.fake.end_faults();
        tokio::time::sleep(Duration::from_secs(601)).await;
        connected.clock.advance(Duration::from_secs(601));
        call(app, "practitioner").await.unwrap();
        let events = connected.events();
        assert_eq!(count(&events, "recovered"), 1, "{cause:?}: {events:?}");
        let recovered = events.iter().find(|event| event.name() == "recovered");
        let failing_for = recovered.unwrap().failing_for();
        assert_eq!(failing_for, Some(Duration::from_secs(601)), "{cause:?}");
        assert!(failing(app).await.is_empty());
        assert!(connected.stored().await.failure.is_none());
        // The next outage starts at 1.
        connected.clock.advance(TWO_HOURS);
        connected
            .fake
            .fault("create_oauth_token", Fault::status(503));
        call(app, "practitioner").await.unwrap_err();
        let last = connected.events().pop().unwrap();
        assert!(
            matches!(last, AuthEvent::RefreshFailed { attempt: 1, .. }),
            "{last:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn an_early_refresh_that_fails_is_reported_while_calls_still_succeed() {
    let connected = Connected::unlimited().await;
    let app = &connected.app;
    connected.clock.advance(TWO_HOURS - Duration::from_secs(60));
    connected
        .fake
        .fault("create_oauth_token", Fault::status(503));
    call(app, "practitioner").await.unwrap();
    while count(&connected.events(), "refresh_failed") == 0 {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    call(app, "practitioner").await.unwrap();
    let reported = connected.events().pop().unwrap();
    assert!(
        matches!(
            reported,
            AuthEvent::RefreshFailed { token_valid_until: Some(until), .. } if until == at(7_200)
        ),
        "{reported:?}"
    );
    assert_eq!(failing(app).await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn each_process_that_reported_a_failure_reports_the_recovery() {
    let connected = Connected::unlimited().await;
    let told = Arc::new(std::sync::Mutex::new(Vec::new()));
    let listener = Arc::clone(&told);
    let other = connected
        .another()
        .on_event(move |event: &AuthEvent| listener.lock().unwrap().push(event.clone()))
        .build()
        .unwrap();
    connected.clock.advance(TWO_HOURS);
    connected
        .fake
        .fault("create_oauth_token", Fault::status(503));
    call(&connected.app, "practitioner").await.unwrap_err();
    connected.fake.end_faults();
    // The other process has reported no failure, but the record says that there was one.
    call(&other, "practitioner").await.unwrap();
    assert_eq!(names(&told.lock().unwrap()), ["recovered", "refreshed"]);
    tokio::time::sleep(Duration::from_secs(31)).await;
    call(&connected.app, "practitioner").await.unwrap();
    let events = connected.events();
    assert_eq!(names(&events), ["connected", "refresh_failed", "recovered"]);
}

#[tokio::test(start_paused = true)]
async fn a_rejection_ends_a_row_of_failures_without_a_recovery() {
    let connected = Connected::unlimited().await;
    connected.clock.advance(TWO_HOURS);
    connected.fake.fault("create_oauth_token", Fault::html());
    call(&connected.app, "practitioner").await.unwrap_err();
    connected.fake.end_faults();
    connected.fake.end_connection("practitioner");
    tokio::time::sleep(Duration::from_secs(31)).await;
    let error = call(&connected.app, "practitioner").await.unwrap_err();
    assert!(error.needs_reconnect(), "{error}");
    assert!(failing(&connected.app).await.is_empty());
    connect(&connected.fake, &connected.app, "practitioner").await;
    let events = names(&connected.events());
    assert_eq!(
        events,
        [
            "connected",
            "refresh_failed",
            "needs_reconnect",
            "connected"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn refreshes_that_the_circuit_breaker_refused_write_nothing() {
    const USERS: usize = 40;
    let disk = Arc::new(Disk::default());
    let connected = Connected::hooked(&disk).await;
    for number in 0..USERS {
        connect(&connected.fake, &connected.app, &format!("user-{number}")).await;
    }
    connected.clock.advance(TWO_HOURS);
    connected
        .fake
        .fault("create_oauth_token", Fault::status(503));
    let swaps = disk.swaps.load(Ordering::SeqCst);
    for _ in 0..3 {
        for number in 0..USERS {
            call(&connected.app, &format!("user-{number}"))
                .await
                .unwrap_err();
        }
    }
    let mut requested = BTreeSet::new();
    let mut refused = BTreeSet::new();
    for event in connected.events() {
        if let AuthEvent::RefreshFailed {
            user,
            cause,
            attempt,
            ..
        } = event
        {
            assert_eq!(
                attempt == 0,
                cause == Cause::CircuitOpen && !requested.contains(&user)
            );
            if attempt == 0 {
                refused.insert(user);
            } else {
                requested.insert(user);
            }
        }
    }
    assert!(refused.len() > USERS / 2, "{}", refused.len());
    let listed: BTreeSet<UserKey> = failing(&connected.app)
        .await
        .into_iter()
        .map(|it| it.user)
        .collect();
    assert_eq!(listed, requested);
    assert_eq!(disk.swaps.load(Ordering::SeqCst) - swaps, requested.len());
}

#[tokio::test(start_paused = true)]
async fn a_full_disk_is_reported_once_for_the_store_and_once_for_each_user() {
    const USERS: usize = 20;
    let disk = Arc::new(Disk::default());
    let connected = Connected::hooked(&disk).await;
    let app = &connected.app;
    let users: Vec<String> = (0..USERS).map(|number| format!("user-{number}")).collect();
    for user in &users {
        connect(&connected.fake, app, user).await;
    }
    connected.clock.advance(TWO_HOURS);
    disk.fill(true);
    for _ in 0..3 {
        for user in &users {
            let error = call(app, user).await.unwrap_err();
            assert!(error.auth_error().unwrap().is_store(), "{error}");
        }
    }
    assert_eq!(
        connected.refreshes(),
        0,
        "no tokens are requested that cannot be saved"
    );
    let events = connected.events();
    let access = StoreAccess::Write;
    assert_eq!(count(&events, "store_failing"), 1);
    let failing = events.iter().find(|event| event.name() == "store_failing");
    let elapsed = Duration::ZERO;
    let expected = AuthEvent::StoreFailing {
        access,
        failing_for: elapsed,
        elapsed,
    };
    assert_eq!(failing, Some(&expected));
    assert_eq!(count(&events, "save_failed"), USERS);
    assert_eq!(count(&events, "refresh_failed"), 3 * USERS);
    disk.fill(false);
    let minute = Duration::from_secs(60);
    tokio::time::advance(minute).await;
    for user in &users {
        call(app, user).await.unwrap();
    }
    let events = connected.events();
    assert_eq!(count(&events, "store_recovered"), 1);
    let recovered = events
        .iter()
        .find(|event| event.name() == "store_recovered");
    let recovered = recovered.unwrap();
    assert!(
        matches!(recovered, AuthEvent::StoreRecovered { access: StoreAccess::Write, failing_for }
            if *failing_for >= minute),
        "{recovered:?}"
    );
    assert_eq!(count(&events, "recovered"), USERS);
    assert!(recovered.user().is_none());
}

#[tokio::test(start_paused = true)]
async fn tokens_that_could_not_be_saved_are_a_failed_refresh_that_recovers() {
    let disk = Arc::new(Disk::default());
    let connected = Connected::hooked(&disk).await;
    connected.clock.advance(TWO_HOURS);
    let gate = Arc::clone(&disk);
    connected.fake.answer_with("create_oauth_token", move |_| {
        gate.fill(true);
        Script::json(
            200,
            &json!({"access_token": "rotated", "refresh_token": "next"}),
        )
    });
    let error = call(&connected.app, "practitioner").await.unwrap_err();
    assert!(error.auth_error().unwrap().is_store(), "{error}");
    disk.fill(false);
    tokio::time::sleep(Duration::from_secs(120)).await;
    let events = names(&connected.events());
    assert_eq!(
        events,
        [
            "connected",
            "store_failing",
            "save_failed",
            "refresh_failed",
            "store_recovered",
            "recovered",
            "refreshed"
        ]
    );
    // The refresh failed after the save was tried for a while.
    let timings: Vec<_> = connected
        .events()
        .iter()
        .filter_map(AuthEvent::timing)
        .collect();
    assert_eq!((timings[0].requests, timings[1].requests), (1, 0));
    assert!(timings[0].elapsed > Duration::ZERO, "{timings:?}");
    assert_eq!(connected.stored().await.access_token.expose(), "rotated");
}
