//! Refreshes under load, and with cancelled callers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use fullscript::auth::{Lease, NeedsReconnect, OAuthApp, ReconnectReason, TokenStore};
use fullscript::http::Method;
use fullscript::testing::{ManualClock, Script};
use futures_util::future::join_all;
use tokio::task::JoinHandle;

use crate::support::{Connected, Gate, Step, TWO_HOURS, at, connect, record_key};

type Call = JoinHandle<Result<Duration, fullscript::Error>>;

async fn call(app: OAuthApp, user: String) -> Result<Duration, fullscript::Error> {
    let started = Instant::now();
    app.client(&user).get_clinic().send().await?;
    Ok(started.elapsed())
}

/// Makes one call per user concurrently and returns their durations, longest last.
async fn call_all(app: &OAuthApp, users: impl Iterator<Item = String>) -> Vec<Duration> {
    let calls: Vec<_> = users
        .map(|user| tokio::spawn(call(app.clone(), user)))
        .collect();
    let mut times: Vec<_> = join_all(calls)
        .await
        .into_iter()
        .map(|ended| ended.unwrap().unwrap())
        .collect();
    times.sort();
    times
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_calls_of_one_user_are_one_refresh() {
    let connected = Connected::unlimited().await;
    connected.expire();
    let before = connected.fake.count("create_oauth_token");
    let times = call_all(&connected.app, (0..10_000).map(|_| "practitioner".into())).await;
    assert_eq!(times.len(), 10_000);
    assert_eq!(connected.fake.count("create_oauth_token") - before, 1);
    assert_eq!(connected.fake.count("get_clinic"), 10_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_users_are_a_thousand_refreshes_and_one_that_hangs_delays_none() {
    let gate = Arc::new(Gate::default());
    let connected = Connected::hooked(&gate).await;
    let app = connected.app.clone();
    let users = || (0..1_000).map(|number| format!("user-{number}"));
    for user in users().chain(["hangs".into()]) {
        connect(&connected.fake, &app, &user).await;
    }
    let refreshes = || connected.fake.count("create_oauth_token");
    connected.expire();
    let before = refreshes();
    let without = call_all(&app, users()).await;
    assert_eq!(refreshes() - before, 1_000);
    gate.close("hangs", Step::Swap);
    connected.expire();
    let before = refreshes();
    let hanging = tokio::spawn(call(app.clone(), "hangs".into()));
    gate.reached().await;
    let with = call_all(&app, users()).await;
    assert_eq!(refreshes() - before, 1_001);
    assert!(!hanging.is_finished());
    let p99 = |times: &[Duration]| times[times.len() * 99 / 100];
    let (with, without) = (p99(&with), p99(&without));
    // As fast as without it, with tolerance for a busy machine.
    assert!(
        with <= without * 3 + Duration::from_millis(200),
        "{with:?} with one that hangs, {without:?} without"
    );
    gate.open();
    hanging.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_caller_dropped_at_any_step_does_not_cancel_the_refresh() {
    for step in Step::OF_A_REFRESH {
        let gate = Arc::new(Gate::default());
        let connected = Connected::hooked(&gate).await;
        let before = connected.stored().await;
        let caller = stopped_at(step, &gate, &connected).await;
        caller.abort();
        assert!(caller.await.unwrap_err().is_cancelled());
        gate.open();
        gate.released().await;
        let saved = connected.stored().await;
        assert_eq!(saved.generation, before.generation + 1, "{step:?}");
        assert_eq!(connected.fake.count("create_oauth_token"), 2, "{step:?}");
        let app = connected.app.clone();
        call(app, "practitioner".into()).await.unwrap();
        assert_eq!(connected.fake.count("create_oauth_token"), 2, "{step:?}");
    }
}

/// A call whose refresh has stopped at a step.
async fn stopped_at(step: Step, gate: &Gate, connected: &Connected) -> Call {
    connected.expire();
    gate.close("practitioner", step);
    let call = tokio::spawn(call(connected.app.clone(), "practitioner".into()));
    gate.reached().await;
    call
}

#[tokio::test]
async fn a_caller_dropped_before_the_token_response_does_not_cancel_the_refresh() {
    let gate = Arc::new(Gate::default());
    let connected = Connected::hooked(&gate).await;
    connected.expire();
    // The first response starts the pause of the refresh.
    let busy = Script::html(503, "busy");
    connected.fake.answer_times("create_oauth_token", 1, busy);
    let caller = tokio::spawn(call(connected.app.clone(), "practitioner".into()));
    while connected.fake.count("create_oauth_token") < 2 {
        tokio::task::yield_now().await;
    }
    caller.abort();
    assert!(caller.await.unwrap_err().is_cancelled());
    gate.released().await;
    let app = connected.app.clone();
    call(app, "practitioner".into()).await.unwrap();
    assert_eq!(connected.fake.count("create_oauth_token"), 3);
}

#[tokio::test]
async fn a_token_replaced_meanwhile_is_replayed_without_a_refresh() {
    let connected = Connected::unlimited().await;
    let (here, elsewhere) = (connected.app.clone(), connected.another());
    let elsewhere = elsewhere.build().unwrap();
    call(elsewhere.clone(), "practitioner".into())
        .await
        .unwrap();
    connected.fake.expire_access_tokens();
    call(elsewhere, "practitioner".into()).await.unwrap();
    let refreshes = connected.fake.count("create_oauth_token");
    let calls = connected.fake.count("get_clinic");
    // This client's token set is revoked, and it does not know the new one.
    call(here, "practitioner".into()).await.unwrap();
    assert_eq!(connected.fake.count("create_oauth_token"), refreshes);
    assert_eq!(connected.fake.count("get_clinic"), calls + 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_of_a_thousand_401_is_one_refresh_and_one_replay_each() {
    let connected = Connected::unlimited().await;
    connected.fake.expire_access_tokens();
    call_all(&connected.app, (0..1_000).map(|_| "practitioner".into())).await;
    assert_eq!(connected.fake.count("create_oauth_token"), 2);
    assert!(connected.fake.count("get_clinic") <= 2_000);
}

#[tokio::test]
async fn a_body_that_is_a_stream_is_sent_once_and_the_error_says_so() {
    let connected = Connected::unlimited().await;
    connected.fake.expire_access_tokens();
    let client = connected.app.client("practitioner");
    let send = || {
        let staff = r#"{"first_name":"A","last_name":"B","email":"a@example.com"}"#;
        let parts = futures_util::stream::iter([Ok::<_, std::io::Error>(staff)]);
        let body = reqwest::Body::wrap_stream(parts);
        let request = client.request(Method::POST, "/api/clinic/staff").body(body);
        request.send::<serde_json::Value>()
    };
    let error = send().await.unwrap_err();
    assert!(error.is_unauthorized(), "{error}");
    assert!(error.to_string().contains("a streamed body"), "{error}");
    assert_eq!(connected.fake.count("create_staff_member"), 1);
    send().await.unwrap();
    assert_eq!(connected.fake.count("create_staff_member"), 2);
    assert_eq!(connected.fake.count("create_oauth_token"), 2);
}

#[tokio::test]
async fn a_revoked_token_is_not_sent() {
    let connected = Connected::unlimited().await;
    connected.clock.advance(TWO_HOURS);
    let wrong = Script::html(404, "gone");
    connected.fake.answer("create_oauth_token", wrong);
    for _ in 0..5 {
        let app = connected.app.clone();
        call(app, "practitioner".into()).await.unwrap_err();
    }
    assert_eq!(connected.fake.count("get_clinic"), 0);
}

#[tokio::test]
async fn a_clock_that_jumps_causes_no_refresh_loop() {
    let hour = Duration::from_secs(3_600);
    let start = at(0);
    for times in [
        [start + hour, start + hour, start + hour],
        [start - hour, start - hour, start - hour],
        [start + hour, start - hour, start + hour],
        [start + hour * 24, start, start + hour * 48],
    ] {
        let connected = Connected::unlimited().await;
        for time in times {
            connected.clock.set(time);
            for _ in 0..10 {
                call(connected.app.clone(), "practitioner".into())
                    .await
                    .unwrap();
            }
        }
        // At most one refresh per jump beyond the lifetime.
        assert!(connected.fake.count("create_oauth_token") <= 1 + times.len());
    }
}

#[tokio::test]
async fn two_clocks_that_disagree_cause_no_refresh_loop() {
    let connected = Connected::unlimited().await;
    let ahead = connected.another().clock(ManualClock::at(at(3_600)));
    let apps = [connected.app.clone(), ahead.build().unwrap()];
    for round in 0..20 {
        let app = apps[round % 2].clone();
        call(app, "practitioner".into()).await.unwrap();
    }
    assert!(connected.fake.count("create_oauth_token") <= 2);
}

/// Leases of processes that died. The last one was given by a store whose clock was set back since.
#[tokio::test(start_paused = true)]
async fn a_lease_of_a_dead_process_delays_a_call_by_two_seconds() {
    for (ttl, longest) in [
        (Duration::ZERO, Duration::from_millis(500)),
        (Duration::from_secs(1), Duration::from_millis(1_600)),
        (Duration::from_secs(2), Duration::from_millis(2_600)),
        (Duration::from_secs(86_400), Duration::from_secs(4)),
    ] {
        let connected = Connected::unlimited().await;
        connected.expire();
        let store = &connected.store;
        let lease = store.lease(&record_key("practitioner"), "dead", ttl).await;
        assert_eq!(lease.unwrap(), Lease::Granted);
        let started = tokio::time::Instant::now();
        let app = connected.app.clone();
        call(app, "practitioner".into()).await.unwrap();
        let waited = started.elapsed();
        assert!(waited <= longest, "{ttl:?}: {waited:?}");
    }
}

#[tokio::test]
async fn a_newly_issued_token_set_overwrites_a_late_needs_reconnect_mark() {
    let gate = Arc::new(Gate::default());
    let connected = Connected::hooked(&gate).await;
    let caller = stopped_at(Step::Swap, &gate, &connected).await;
    let mut marked = connected.stored().await;
    let before = marked.generation;
    let reason = ReconnectReason::RefreshTokenRejected;
    marked.generation += 1;
    marked.needs_reconnect = Some(NeedsReconnect::new(marked.issued_at, reason));
    let store = &connected.store;
    let swap = store.compare_and_swap(Some(before), marked.to_record());
    swap.await.unwrap();
    gate.open();
    caller.await.unwrap().unwrap();
    let saved = connected.stored().await;
    assert!(saved.needs_reconnect.is_none() && saved.generation == before + 2);
}

#[tokio::test]
async fn revoking_waits_for_a_refresh_and_revokes_the_newest_token_set() {
    let gate = Arc::new(Gate::default());
    let connected = Connected::hooked(&gate).await;
    let caller = stopped_at(Step::Swap, &gate, &connected).await;
    let app = connected.app.clone();
    let revoking = tokio::spawn(async move { app.revoke("practitioner").await });
    tokio::task::yield_now().await;
    assert_eq!(connected.fake.count("revoke_oauth_token"), 0);
    gate.open();
    revoking.await.unwrap().unwrap();
    // It is undefined whether the call was made before the disconnect.
    let _before_or_after = caller.await.unwrap();
    let stored = connected.store.load(&record_key("practitioner")).await;
    assert!(stored.unwrap().is_none());
    let requests = connected.fake.requests();
    let revoked = requests
        .iter()
        .filter(|request| request.target.ends_with("/revoke"));
    let tokens = revoked.map(|request| request.body.as_ref().unwrap()["token"].clone());
    // The replaced token set, which is valid until the new one is used, and the new one.
    assert_eq!(Vec::from_iter(tokens), ["fake-access-2", "fake-access-3"]);
}
