//! Trouble of one user or of one call that others do not notice.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use fullscript::RateLimit;
use fullscript::auth::{
    ConnectionFilter, ConnectionRecord, Lease, MemoryStore, StoreFuture, Swap, TokenStore,
};
use fullscript::testing::{Fault, Script};
use tokio::time::Instant;

use crate::support::{Connected, TWO_HOURS, connect, record_key};

#[tokio::test]
async fn refreshes_of_one_user_that_fail_stop_no_other_user() {
    for fault in [Fault::status(500), Fault::truncated_body()] {
        let connected = Connected::new().await;
        let app = &connected.app;
        let others: Vec<_> = (0..8).map(|number| format!("user-{number}")).collect();
        for other in &others {
            connect(&connected.fake, app, other).await;
        }
        connected.clock.advance(TWO_HOURS);
        let mut requests = 0;
        for other in &others {
            connected.fake.fault("create_oauth_token", fault.clone());
            let before = connected.refreshes();
            for _ in 0..5 {
                let call = app.client("practitioner").get_clinic();
                let error = call.send().await.unwrap_err();
                assert!(
                    error.is_transient() && error.retry_after() < Some(Duration::from_secs(31))
                );
            }
            requests += connected.refreshes() - before;
            connected.fake.end_faults();
            app.client(other).get_clinic().send().await.unwrap();
        }
        assert!(requests <= 5, "{requests}");
    }
}

#[tokio::test]
async fn a_runtime_that_is_not_driven_occupies_no_probe_and_no_slot_for_ever() {
    let connected = Connected::unlimited().await;
    let app = &connected.app;
    for number in 0..40 {
        connect(&connected.fake, app, &format!("user-{number}")).await;
    }
    connected.clock.advance(TWO_HOURS);
    connected.fake.fault("create_oauth_token", Fault::silence());
    // 32 refreshes, whose runtime is then not driven any more.
    let abandoned = app.clone();
    let (stop, stopped) = tokio::sync::oneshot::channel();
    let runtime = tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async move {
            let calls: Vec<_> = (0..32)
                .map(|number| {
                    tokio::spawn(
                        abandoned
                            .client(format!("user-{number}"))
                            .get_clinic()
                            .send(),
                    )
                })
                .collect();
            stopped.await.unwrap();
            drop(calls);
        });
        runtime
    });
    while connected.refreshes() < 32 {
        tokio::task::yield_now().await;
    }
    stop.send(()).unwrap();
    let runtime = runtime.await.unwrap();
    connected.fake.end_faults();
    tokio::time::pause();
    let started = Instant::now();
    let result = app.client("user-39").get_clinic().send().await;
    let took = started.elapsed();
    tokio::time::resume();
    tokio::task::spawn_blocking(move || drop(runtime))
        .await
        .unwrap();
    result.unwrap();
    assert!(took < Duration::from_secs(20), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_slow_early_refresh_delays_no_call_with_a_valid_token() {
    let connected = Connected::unlimited().await;
    connected
        .clock
        .advance(TWO_HOURS - Duration::from_secs(100));
    connected.fake.fault("create_oauth_token", Fault::silence());
    let client = connected.app.client("practitioner");
    let mut longest = Duration::ZERO;
    for _ in 0..80 {
        let started = Instant::now();
        client.get_clinic().send().await.unwrap();
        longest = longest.max(started.elapsed());
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert!(connected.refreshes() > 0);
    assert!(longest < Duration::from_millis(500), "{longest:?}");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_waited_for_a_permit_pays_for_one() {
    let connected = Connected::unlimited().await;
    let app = connected.another();
    let app = app
        .rate_limit(RateLimit::new(10, Duration::from_secs(100)))
        .build()
        .unwrap();
    let client = app.client("practitioner");
    let options = fullscript::CallOptions::new().timeout(Duration::from_secs(3_600));
    let client = client.with_options(options);
    let started = Instant::now();
    let calls: Vec<_> = (0..20)
        .map(|_| tokio::spawn(client.get_clinic().send()))
        .collect();
    for call in calls {
        call.await.unwrap().unwrap();
    }
    let took = started.elapsed();
    assert!(took < Duration::from_secs(202), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_token_expired_while_it_waited_pays_for_one_permit() {
    let connected = Connected::unlimited().await;
    let app = connected.another();
    // Two permits at once, and then one every 11 s.
    let app = app
        .rate_limit(RateLimit::new(10, Duration::from_secs(100)))
        .build()
        .unwrap();
    let client = app.client("practitioner");
    let started = Instant::now();
    let calls: Vec<_> = (0..3)
        .map(|_| tokio::spawn(client.get_clinic().send()))
        .collect();
    while connected.fake.count("get_clinic") < 2 {
        tokio::task::yield_now().await;
    }
    connected.expire();
    for call in calls {
        call.await.unwrap().unwrap();
    }
    assert_eq!(connected.refreshes(), 1);
    let took = started.elapsed();
    assert!(took < Duration::from_secs(15), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_refresh_needs_no_slot_of_the_concurrency_limit() {
    for concurrency in [1, 2, 3] {
        let connected = Connected::unlimited().await;
        let app = connected.another().concurrency(concurrency);
        let app = app.build().unwrap();
        connect(&connected.fake, &app, "other").await;
        let client = app.client("practitioner");
        client.get_clinic().send().await.unwrap();
        let slow = Fault::delay(Duration::from_secs(5));
        connected.fake.fault("list_patients", slow);
        let slow: Vec<_> = (0..concurrency)
            .map(|_| tokio::spawn(client.list_patients().send()))
            .collect();
        while connected.fake.count("list_patients") < concurrency {
            tokio::task::yield_now().await;
        }
        connected.clock.advance(TWO_HOURS);
        let call = tokio::spawn(app.client("other").get_clinic().send());
        while connected.refreshes() == 0 {
            tokio::task::yield_now().await;
        }
        assert!(slow.iter().all(|call| !call.is_finished()));
        call.await.unwrap().unwrap();
        for call in slow {
            call.await.unwrap().unwrap();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_app_that_is_refused_is_not_requested_by_each_call() {
    let connected = Connected::unlimited().await;
    let client = connected.app.client("practitioner");
    connected.expire();
    let refused = serde_json::json!({"error": "invalid_client"});
    let refused = Script::json(401, &refused);
    connected.fake.answer("create_oauth_token", refused);
    for round in 1..4 {
        for _ in 0..50 {
            let error = client.get_clinic().send().await.unwrap_err();
            let error = error.auth_error().unwrap();
            assert!(error.is_misconfigured(), "{error}");
        }
        assert_eq!(connected.refreshes(), round);
        tokio::time::sleep(Duration::from_secs(11)).await;
    }
    for round in 5..7 {
        client.get_clinic().send().await.unwrap_err();
        connected
            .app
            .set_client_secrets("new", None::<&str>)
            .unwrap();
        client.get_clinic().send().await.unwrap_err();
        assert_eq!(connected.refreshes(), round);
    }
}

#[tokio::test]
async fn listeners_of_calls_that_panic_fail_no_call() {
    let connected = Connected::unlimited().await;
    let reports = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&reports);
    let app = connected
        .another()
        .on_call_end(move |_| {
            counted.fetch_add(1, Ordering::SeqCst);
            panic!("the listener panics on purpose");
        })
        .build()
        .unwrap();
    let client = app.client("practitioner");
    client.get_clinic().send().await.unwrap();
    connected.fake.fault("get_clinic", Fault::silence());
    let call = tokio::spawn(async move {
        let call = client.get_clinic().send();
        let mut call = std::pin::pin!(call);
        let _waits = tokio::time::timeout(Duration::from_millis(50), call.as_mut()).await;
        panic!("the task that made the call panics");
    });
    assert!(call.await.unwrap_err().is_panic());
    assert_eq!(reports.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn a_user_forgotten_elsewhere_during_a_slow_early_refresh_makes_no_call() {
    let connected = Connected::unlimited().await;
    let other = connected.another().build().unwrap();
    connected
        .clock
        .advance(TWO_HOURS - Duration::from_secs(100));
    connected.fake.fault("create_oauth_token", Fault::silence());
    let client = connected.app.client("practitioner");
    client.get_clinic().send().await.unwrap();
    other.forget("practitioner").await.unwrap();
    tokio::time::sleep(Duration::from_secs(31)).await;
    let before = connected.fake.count("get_clinic");
    client.get_clinic().send().await.unwrap_err();
    assert_eq!(connected.fake.count("get_clinic"), before);
}

/// A store that counts the requests for a lease, and rounds its remaining time down.
struct WholeSeconds {
    inner: MemoryStore,
    leases: Arc<AtomicUsize>,
}

impl TokenStore for WholeSeconds {
    fn load<'a>(&'a self, key: &'a str) -> StoreFuture<'a, Option<ConnectionRecord>> {
        self.inner.load(key)
    }

    fn compare_and_swap(
        &self,
        expected: Option<u64>,
        new: ConnectionRecord,
    ) -> StoreFuture<'_, Swap> {
        self.inner.compare_and_swap(expected, new)
    }

    fn delete<'a>(&'a self, key: &'a str, expected: Option<u64>) -> StoreFuture<'a, Swap> {
        self.inner.delete(key, expected)
    }

    fn list<'a>(
        &'a self,
        filter: &'a ConnectionFilter,
        after: Option<&'a str>,
        limit: usize,
    ) -> StoreFuture<'a, Vec<ConnectionRecord>> {
        self.inner.list(filter, after, limit)
    }

    fn lease<'a>(&'a self, key: &'a str, owner: &'a str, ttl: Duration) -> StoreFuture<'a, Lease> {
        self.leases.fetch_add(1, Ordering::SeqCst);
        Box::pin(async move {
            Ok(match self.inner.lease(key, owner, ttl).await? {
                Lease::Held { remaining } => Lease::Held {
                    remaining: Duration::from_secs(remaining.as_secs()),
                },
                granted => granted,
            })
        })
    }

    fn release<'a>(&'a self, key: &'a str, owner: &'a str) -> StoreFuture<'a, ()> {
        self.inner.release(key, owner)
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_counts_leases_in_whole_seconds_is_asked_rarely() {
    let connected = Connected::unlimited().await;
    let leases = Arc::new(AtomicUsize::new(0));
    let store = WholeSeconds {
        inner: connected.store.clone(),
        leases: Arc::clone(&leases),
    };
    let app = connected.another().store(store).build().unwrap();
    connected.expire();
    let ttl = Duration::from_secs(2);
    let held = record_key("practitioner");
    let held = connected.store.lease(&held, "other", ttl).await;
    assert_eq!(held.unwrap(), Lease::Granted);
    let started = Instant::now();
    let client = app.client("practitioner");
    client.get_clinic().send().await.unwrap();
    assert!(started.elapsed() < 2 * ttl, "{:?}", started.elapsed());
    let asked = leases.load(Ordering::SeqCst);
    assert!(asked < 60, "{asked}");
}

#[tokio::test(start_paused = true)]
async fn a_user_who_reconnects_after_failed_refreshes_refreshes_again_at_once() {
    let connected = Connected::unlimited().await;
    let client = connected.app.client("practitioner");
    connected.clock.advance(TWO_HOURS);
    let fault = Fault::status(500);
    connected.fake.fault("create_oauth_token", fault);
    for _ in 0..3 {
        client.get_clinic().send().await.unwrap_err();
    }
    connected.fake.end_faults();
    connect(&connected.fake, &connected.app, "practitioner").await;
    connected.expire();
    client.get_clinic().send().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn retries_that_wait_for_the_budget_leave_slots_for_other_users() {
    let connected = Connected::unlimited().await;
    let app = connected.another().concurrency(8).build().unwrap();
    let users: Vec<_> = (0..4).map(|number| format!("user-{number}")).collect();
    for user in &users {
        connect(&connected.fake, &app, user).await;
    }
    let other = app.client("practitioner");
    other.get_clinic().send().await.unwrap();
    connected.fake.fault("list_patients", Fault::status(503));
    let failing: Vec<_> = (0..400)
        .map(|number| tokio::spawn(app.client(&users[number % 4]).list_patients().send()))
        .collect();
    for _ in 0..100 {
        let started = Instant::now();
        other.get_clinic().send().await.unwrap();
        let took = started.elapsed();
        assert!(took < Duration::from_secs(2), "{took:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for call in failing {
        call.await.unwrap().unwrap_err();
    }
}

#[tokio::test(start_paused = true)]
async fn nine_hundred_slow_calls_of_one_user_all_succeed_and_delay_no_other_user() {
    let connected = Connected::new().await;
    connect(&connected.fake, &connected.app, "other").await;
    let slow = Fault::delay(Duration::from_secs(1));
    connected.fake.fault("list_patients", slow);
    let client = connected.app.client("practitioner");
    let calls: Vec<_> = (0..900)
        .map(|_| tokio::spawn(client.list_patients().send()))
        .collect();
    while connected.fake.count("list_patients") < 100 {
        tokio::task::yield_now().await;
    }
    let started = Instant::now();
    let other = connected.app.client("other");
    other.get_clinic().send().await.unwrap();
    let took = started.elapsed();
    assert!(took < Duration::from_millis(500), "{took:?}");
    for call in calls {
        call.await.unwrap().unwrap();
    }
}
