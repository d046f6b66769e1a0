//! Staying connected: when tokens are refreshed.

use std::sync::Arc;
use std::time::Duration;

use fullscript::RateLimit;
use fullscript::auth::{AuthEvent, RefreshTiming, StoreFuture, TokenStore};
use fullscript::testing::{Fault, Script};

use crate::support::{Connected, Hook, MODES, Step, TWO_HOURS, at, connect, record_key};

#[tokio::test]
async fn a_body_is_replayed_with_the_new_token() {
    let connected = Connected::new().await;
    connected.fake.expire_access_tokens();
    let client = connected.app.client("practitioner");
    let body = fullscript::types::CreateStaffMemberRequest::new("new.staff@example.com", "A", "B");
    client
        .create_staff_member()
        .body(body)
        .send()
        .await
        .unwrap();
    let requests = connected.fake.requests();
    let sent: Vec<_> = requests
        .iter()
        .filter(|request| request.method == "POST" && request.target.ends_with("/staff"))
        .collect();
    assert_eq!(sent.len(), 2);
    assert_eq!(sent[0].body, sent[1].body);
}

#[tokio::test]
async fn each_refresh_follows_the_last_in_every_mode() {
    for mode in MODES {
        let connected = Connected::new().await;
        connected.fake.refresh_mode(mode);
        let client = connected.app.client("practitioner");
        for _ in 0..5 {
            connected.expire();
            client.get_clinic().send().await.unwrap();
        }
        assert_eq!(connected.refreshes(), 5, "{mode:?}");
    }
}

#[tokio::test]
async fn two_apps_on_one_store_refresh_once() {
    for mode in MODES {
        let connected = Connected::new().await;
        connected.fake.refresh_mode(mode);
        let other = connected.another().build().unwrap();
        for round in 1..=10 {
            connected.expire();
            let clients = [
                connected.app.client("practitioner"),
                other.client("practitioner"),
            ];
            let calls = [
                clients[0].get_clinic().send(),
                clients[1].get_clinic().send(),
            ];
            for call in futures_util::future::join_all(calls).await {
                call.unwrap();
            }
            assert_eq!(connected.refreshes(), round, "{mode:?}");
        }
    }
}

#[tokio::test]
async fn a_dropped_call_does_not_cancel_the_refresh() {
    let connected = Connected::new().await;
    let before = connected.stored().await.generation;
    connected.expire();
    let client = connected.app.client("practitioner");
    // Drops the call after each number of polls until it completes.
    for polls in 1.. {
        let mut call = Box::pin(client.get_clinic().send());
        let mut ended = false;
        for _ in 0..polls {
            let poll = std::future::poll_fn(|context| {
                std::task::Poll::Ready(call.as_mut().poll(context).is_ready())
            });
            ended = poll.await;
            if ended {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(call);
        if ended {
            break;
        }
    }
    let saved = connected.stored().await;
    assert_eq!(saved.generation, before + 1);
    client.get_clinic().send().await.unwrap();
    assert_eq!(connected.refreshes(), 1);
}

#[tokio::test]
async fn the_clock_of_the_server_does_not_matter_and_ours_may_jump() {
    let connected = Connected::new().await;
    let client = connected.app.client("practitioner");
    let hour = Duration::from_secs(3_600);
    for by in [hour, hour * 24] {
        connected.clock.advance(by);
        for _ in 0..10 {
            client.get_clinic().send().await.unwrap();
        }
    }
    assert!(
        connected.refreshes() <= 1,
        "an hour is no reason, a day is one"
    );
    connected.clock.set(at(0));
    connected.fake.expire_access_tokens();
    for _ in 0..10 {
        client.get_clinic().send().await.unwrap();
    }
    assert!(connected.refreshes() <= 2);
}

#[tokio::test]
async fn a_hanging_refresh_does_not_delay_other_users() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let connected = Connected::new().await;
    connect(&connected.fake, &connected.app, "slow").await;
    let url = format!("http://{}", silent.local_addr().unwrap());
    // A call that waits for a token must not hold the only permit.
    let hangs = connected
        .another()
        .concurrency(1)
        .token_url(url + "/api/oauth/token")
        .build()
        .unwrap();
    let other = hangs.client("practitioner");
    other.get_clinic().send().await.unwrap();
    let mut slow = connected.stored_of("slow").await.unwrap();
    let before = slow.generation;
    slow.lifetime = Duration::ZERO;
    slow.generation += 1;
    let swap = connected
        .store
        .compare_and_swap(Some(before), slow.to_record());
    swap.await.unwrap();
    let slow = hangs.client("slow");
    let hung = tokio::spawn(async move { slow.get_clinic().send().await.map(|_| ()) });
    let (_stream, _) = tokio::task::spawn_blocking(move || silent.accept())
        .await
        .unwrap()
        .unwrap();
    other.get_clinic().send().await.unwrap();
    assert!(!hung.is_finished());
    hung.abort();
}

#[tokio::test]
async fn a_repeated_401_causes_no_refresh_loop() {
    let connected = Connected::new().await;
    let client = connected.app.client("practitioner");
    connected.fake.answer("list_orders", Script::html(401, ""));
    for _ in 0..5 {
        let error = client.list_orders().send().await.unwrap_err();
        assert!(error.is_unauthorized(), "{error}");
    }
    assert_eq!(connected.refreshes(), 1);
    // Another operation gets a new token, although no call has used the last one with success.
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(300)).await;
    tokio::time::resume();
    connected.fake.expire_access_tokens();
    client.get_clinic().send().await.unwrap();
    assert_eq!(connected.refreshes(), 2);
}

#[tokio::test]
async fn a_failed_early_refresh_does_not_fail_the_call() {
    for status in [503, 401, 404] {
        let connected = Connected::new().await;
        connected.clock.advance(TWO_HOURS - Duration::from_secs(60));
        let down = Script::html(status, "down");
        connected.fake.answer("create_oauth_token", down);
        let client = connected.app.client("practitioner");
        for _ in 0..30 {
            client.get_clinic().send().await.unwrap();
            tokio::task::yield_now().await;
        }
        assert!(connected.refreshes() <= 4, "{status}");
    }
}

#[tokio::test]
async fn a_call_whose_adopted_token_is_dead_too_refreshes() {
    // The clock stands still, or shows that the adopted token is older than the call.
    for seconds in [0, 10] {
        let connected = Connected::new().await;
        let other = connected.another().build().unwrap();
        let theirs = other.client("practitioner");
        theirs.get_clinic().send().await.unwrap();
        connected.fake.expire_access_tokens();
        theirs.get_clinic().send().await.unwrap();
        // The saved token set is expired too, and this client knows neither.
        connected.clock.advance(Duration::from_secs(seconds));
        connected.fake.expire_access_tokens();
        let before = connected.refreshes();
        let ours = connected.app.client("practitioner");
        ours.get_clinic().send().await.unwrap();
        assert_eq!(connected.refreshes(), before + 1);
        assert_eq!(connected.fake.count("get_clinic"), 6);
    }
}

#[tokio::test]
async fn a_call_that_is_refused_after_a_refresh_of_its_own_ends() {
    let connected = Connected::new().await;
    let other = connected.another().build().unwrap();
    let theirs = other.client("practitioner");
    theirs.get_clinic().send().await.unwrap();
    connected.fake.expire_access_tokens();
    theirs.get_clinic().send().await.unwrap();
    connected.fake.answer("list_orders", Script::html(401, ""));
    let before = connected.refreshes();
    let ours = connected.app.client("practitioner");
    let error = ours.list_orders().send().await.unwrap_err();
    assert!(error.is_unauthorized() && error.attempts() == 3, "{error}");
    assert_eq!(connected.refreshes(), before + 1);
}

/// Delays each load and each swap.
struct Slow;

const LOAD: Duration = Duration::from_millis(100);
const SWAP: Duration = Duration::from_millis(700);

impl Hook for Slow {
    fn at<'a>(&'a self, _: &'a str, step: Step) -> StoreFuture<'a, ()> {
        let delay = match step {
            Step::Load => LOAD,
            Step::Swap => SWAP,
            _ => Duration::ZERO,
        };
        Box::pin(async move {
            tokio::time::sleep(delay).await;
            Ok(())
        })
    }
}

/// Returns the times of the last refresh.
fn last_timing(connected: &Connected) -> RefreshTiming {
    let events = connected.events();
    events.iter().rev().find_map(AuthEvent::timing).unwrap()
}

#[tokio::test(start_paused = true)]
async fn an_event_says_how_long_the_refresh_waited_for_what() {
    let connected = Connected::hooked(&Arc::new(Slow)).await;
    let call = async || {
        let client = connected.app.client("practitioner");
        client.get_clinic().send().await
    };
    connected.clock.advance(TWO_HOURS);
    call().await.unwrap();
    let timing = last_timing(&connected);
    assert_eq!(timing.requests, 1);
    assert!(timing.store_time >= 2 * LOAD + SWAP, "{timing:?}");
    assert!(timing.elapsed >= timing.store_time, "{timing:?}");
    let waits = timing.permit_wait + timing.lease_wait;
    assert_eq!(waits, Duration::ZERO, "{timing:?}");

    // Another process holds the lease for 2 s, and the endpoint fails once.
    let (key, ttl) = (record_key("practitioner"), Duration::from_secs(2));
    let lease = connected.store.lease(&key, "another process", ttl).await;
    lease.unwrap();
    connected.clock.advance(TWO_HOURS);
    let unavailable = Fault::status(503);
    connected
        .fake
        .fault_times("create_oauth_token", 1, unavailable);
    call().await.unwrap();
    let timing = last_timing(&connected);
    assert_eq!(timing.requests, 2);
    assert!(timing.lease_wait > Duration::from_secs(1), "{timing:?}");
    assert!(timing.elapsed > timing.lease_wait + SWAP, "{timing:?}");

    connected.fake.end_connection("practitioner");
    connected.clock.advance(TWO_HOURS);
    call().await.unwrap_err();
    assert_eq!(connected.events().last().unwrap().name(), "needs_reconnect");
    let timing = last_timing(&connected);
    assert_eq!(timing.requests, 1);
    assert!(timing.store_time >= 2 * LOAD + SWAP, "{timing:?}");
}

#[tokio::test(start_paused = true)]
async fn an_event_says_how_long_the_refresh_waited_for_permits() {
    let connected = Connected::unlimited().await;
    let events = Arc::new(std::sync::Mutex::new(Vec::new()));
    let listener = Arc::clone(&events);
    let limit = RateLimit::new(10, Duration::from_secs(20));
    let app = connected
        .another()
        .rate_limit(limit)
        .on_event(move |event: &AuthEvent| listener.lock().unwrap().push(event.clone()))
        .build()
        .unwrap();
    let users: Vec<_> = (0..8).map(|number| format!("user-{number}")).collect();
    for user in &users {
        connect(&connected.fake, &connected.app, user).await;
    }
    connected.expire();
    for user in &users {
        tokio::spawn(app.client(user).get_clinic().send());
    }
    let mut timings: Vec<RefreshTiming>;
    while {
        tokio::time::sleep(Duration::from_secs(1)).await;
        timings = events
            .lock()
            .unwrap()
            .iter()
            .filter_map(AuthEvent::timing)
            .collect();
        timings.len() < users.len()
    } {}
    let longest = timings.iter().map(|timing| timing.permit_wait).max();
    assert!(longest.unwrap() > Duration::from_secs(1), "{timings:?}");
    let is_part = |timing: &RefreshTiming| timing.elapsed >= timing.permit_wait;
    assert!(timings.iter().all(is_part), "{timings:?}");
}
