//! Stores, token endpoints, runtimes and listeners that hang or panic: each operation ends or
//! fails, no token set is lost, and the next operation works.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fullscript::CallOptions;
use fullscript::auth::{
    AuthError, AuthEvent, Lease, MemoryStore, OAuthApp, StoreError, StoreFuture, TokenStore,
};
use fullscript::testing::FakeFullscript;
use tokio::time::Instant;

use crate::call::spans::log_all;
use crate::support::{
    Act, Connected, Failures, Gate, Hook, Hooked, Misbehaving, Step, TWO_HOURS, connect, consent,
    record_key,
};

/// The longest time of an operation: it waits for one store task, and then for its own.
const BOUND: Duration = Duration::from_secs(125);

/// The trouble that a store has at one step.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Trouble {
    Hangs,
    /// The future panics.
    Panics,
    /// The method panics before it returns a future.
    PanicsAtOnce,
}

const TROUBLES: [Trouble; 3] = [Trouble::Hangs, Trouble::Panics, Trouble::PanicsAtOnce];

/// A store with trouble at one step until it is repaired.
#[derive(Default)]
struct Troubled(Mutex<Option<(Step, Trouble)>>);

impl Troubled {
    fn set(&self, trouble: Option<(Step, Trouble)>) {
        *self.0.lock().unwrap() = trouble;
    }
}

impl Hook for Troubled {
    fn at<'a>(&'a self, _: &'a str, step: Step) -> StoreFuture<'a, ()> {
        let trouble = self.0.lock().unwrap().filter(|(at, _)| *at == step);
        match trouble.map(|(_, trouble)| trouble) {
            None => Box::pin(std::future::ready(Ok(()))),
            Some(Trouble::Hangs) => Box::pin(std::future::pending()),
            Some(Trouble::Panics) => Box::pin(async { panic!("the store panics on purpose") }),
            Some(Trouble::PanicsAtOnce) => panic!("the store panics on purpose"),
        }
    }
}

/// Fails the test if an operation takes longer than the bound.
async fn bounded<T>(operation: impl Future<Output = T>, what: &str) -> T {
    let ended = tokio::time::timeout(BOUND, operation).await;
    ended.unwrap_or_else(|_| panic!("{what} does not end"))
}

/// Makes a call whose own timeout is longer than any deadline of a refresh.
async fn call(app: &OAuthApp) -> Result<(), fullscript::Error> {
    let options = CallOptions::new().timeout(Duration::from_secs(600));
    let client = app.client("practitioner").with_options(options);
    client.get_clinic().send().await.map(|_| ())
}

fn store_error(error: &AuthError) -> &StoreError {
    let source = std::error::Error::source(error).unwrap();
    source.downcast_ref().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_call_ends_at_every_step_of_a_store_that_hangs_or_panics() {
    for trouble in TROUBLES {
        for step in Step::OF_A_REFRESH {
            let what = format!("a call with a store that {trouble:?} at {step:?}");
            let troubled = Arc::new(Troubled::default());
            let connected = Connected::hooked(&troubled).await;
            let before = connected.stored().await.generation;
            connected.expire();
            troubled.set(Some((step, trouble)));
            let ended = bounded(call(&connected.app), &what).await;
            if step == Step::Release {
                ended.unwrap();
            } else {
                let error = ended.unwrap_err();
                let auth = error.auth_error().unwrap();
                assert!(auth.is_store() && auth.is_transient(), "{what}: {error}");
                let is_timeout = store_error(auth).is_timeout();
                assert_eq!(is_timeout, trouble == Trouble::Hangs, "{what}");
                assert_eq!(store_error(auth).is_panic(), !is_timeout, "{what}");
                assert_eq!(connected.fake.count("get_clinic"), 0, "{what}");
            }
            troubled.set(None);
            bounded(call(&connected.app), &what).await.unwrap();
            // The issued token set was kept, so that it was not requested a second time.
            assert_eq!(connected.refreshes(), 1, "{what}");
            assert_eq!(connected.stored().await.generation, before + 1, "{what}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn revoking_and_forgetting_end_with_a_store_that_hangs_or_panics() {
    for trouble in TROUBLES {
        for step in [Step::Load, Step::Lease, Step::Delete] {
            for forgets in [false, true] {
                let what = format!("forget {forgets}, a store that {trouble:?} at {step:?}");
                let troubled = Arc::new(Troubled::default());
                let connected = Connected::hooked(&troubled).await;
                let disconnect = async || {
                    if forgets {
                        connected.app.forget("practitioner").await
                    } else {
                        connected.app.revoke("practitioner").await
                    }
                };
                troubled.set(Some((step, trouble)));
                let ended = bounded(disconnect(), &what).await;
                if step == Step::Delete || !forgets {
                    let error = ended.unwrap_err();
                    assert!(error.is_store(), "{what}: {error}");
                    troubled.set(None);
                    bounded(disconnect(), &what).await.unwrap();
                }
                let stored = connected.store.load(&record_key("practitioner")).await;
                assert!(stored.unwrap().is_none(), "{what}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_exchange_ends_and_its_tokens_are_saved_later() {
    for trouble in TROUBLES {
        for step in [Step::Swap, Step::Swapped] {
            let what = format!("an exchange with a store that {trouble:?} at {step:?}");
            let fake = FakeFullscript::start().await.unwrap();
            let (inner, troubled) = (MemoryStore::new(), Arc::new(Troubled::default()));
            let store = Hooked {
                inner: inner.clone(),
                hook: Arc::clone(&troubled),
            };
            let app = fake.app_builder().store(store).build().unwrap();
            let code = consent(&fake, &app, "practitioner");
            troubled.set(Some((step, trouble)));
            let error = bounded(app.exchange(code), &what).await.unwrap_err();
            assert!(error.is_store(), "{what}: {error}");
            troubled.set(None);
            // Paused time, so the test does not wait.
            tokio::time::sleep(Duration::from_secs(120)).await;
            assert!(
                inner
                    .load(&record_key("practitioner"))
                    .await
                    .unwrap()
                    .is_some(),
                "{what}"
            );
            call(&app).await.unwrap();
            assert_eq!(fake.count("create_oauth_token"), 1, "{what}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_refresh_that_is_overdue_while_it_saves_loses_no_tokens() {
    for (held_for, trouble) in [
        (30, Trouble::Hangs),
        (45, Trouble::Hangs),
        (57, Trouble::Panics),
    ] {
        let what = format!("a lease held for {held_for} s, a store that {trouble:?}");
        let troubled = Arc::new(Troubled::default());
        let connected = Connected::hooked(&troubled).await;
        let before = connected.stored().await.generation;
        connected.expire();
        troubled.set(Some((Step::Swap, trouble)));
        let store = connected.store.clone();
        let second = Duration::from_secs(1);
        let holder = tokio::spawn(async move {
            for _ in 0..held_for {
                let lease = store
                    .lease(&record_key("practitioner"), "other", 2 * second)
                    .await;
                assert_eq!(lease.unwrap(), Lease::Granted);
                tokio::time::sleep(second).await;
            }
            store
                .release(&record_key("practitioner"), "other")
                .await
                .unwrap();
        });
        tokio::task::yield_now().await;
        let started = Instant::now();
        let error = call(&connected.app).await.unwrap_err();
        let waited = started.elapsed();
        assert!(waited <= Duration::from_secs(62), "{what}: {waited:?}");
        assert!(
            error.auth_error().unwrap().is_transient(),
            "{what}: {error}"
        );
        holder.await.unwrap();
        let failed = |event: &AuthEvent| matches!(event, AuthEvent::SaveFailed { .. });
        assert!(connected.events().iter().any(failed), "{what}: {error}");
        troubled.set(None);
        tokio::time::sleep(120 * second).await;
        assert_eq!(connected.stored().await.generation, before + 1, "{what}");
        call(&connected.app).await.unwrap();
        assert_eq!(connected.refreshes(), 1, "{what}");
    }
}

/// Returns an HTTP client without any timeout.
fn patient_client() -> reqwest::Client {
    reqwest::Client::builder().build().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_token_endpoint_that_never_answers_ends_every_operation() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n";
    let hour = Duration::from_secs(3_600);
    for act in [
        Act::Silence,
        Act::Answer(head.into()),
        Act::Slow(head.into(), "{".repeat(100), hour),
    ] {
        let connected = Connected::unlimited().await;
        let endpoint = Misbehaving::start([act.clone()]).await;
        let app = connected
            .another()
            .token_url(endpoint.url() + "/api/oauth/token")
            .revoke_url(endpoint.url() + "/api/oauth/revoke")
            .token_http_client(patient_client())
            .build()
            .unwrap();
        let what = format!("an operation with {act:?}");
        let error = bounded(app.revoke("practitioner"), &what)
            .await
            .unwrap_err();
        assert!(error.is_transient(), "{act:?}: {error}");
        assert!(error.to_string().contains("timed out"), "{act:?}: {error}");
        let code = consent(&connected.fake, &app, "practitioner");
        let error = bounded(app.exchange(code), &what).await.unwrap_err();
        assert!(error.is_code_expired(), "{act:?}: {error}");
        connected.clock.advance(TWO_HOURS);
        let error = bounded(call(&app), &what).await.unwrap_err();
        assert!(
            error.auth_error().unwrap().is_transient(),
            "{act:?}: {error}"
        );
        bounded(app.forget("practitioner"), &what).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_lease_is_renewed_within_the_deadline_of_a_refresh_and_no_longer() {
    let connected = Connected::unlimited().await;
    let endpoint = Misbehaving::start([Act::Silence]).await;
    let app = connected
        .another()
        .token_url(endpoint.url() + "/api/oauth/token")
        .token_http_client(patient_client())
        .build()
        .unwrap();
    connected.clock.advance(TWO_HOURS);
    let started = Instant::now();
    let hangs = tokio::spawn(async move { call(&app).await });
    while endpoint.requests().is_empty() {
        tokio::task::yield_now().await;
    }
    let mut held_for = Duration::ZERO;
    loop {
        let ttl = Duration::ZERO;
        let lease = connected
            .store
            .lease(&record_key("practitioner"), "other", ttl)
            .await;
        match lease.unwrap() {
            Lease::Granted => break,
            Lease::Held { remaining } => {
                assert!(remaining <= Duration::from_secs(2), "{remaining:?}");
                held_for = started.elapsed();
            }
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(held_for >= Duration::from_secs(30), "{held_for:?}");
    assert!(held_for <= Duration::from_secs(64), "{held_for:?}");
    hangs.await.unwrap().unwrap_err();
}

/// Starts a call on a runtime of its own until the refresh has stopped at a step. The runtime is
/// not driven after that.
async fn abandoned(
    step: Step,
    gate: &Arc<Gate>,
    connected: &Connected,
) -> (tokio::runtime::Runtime, tokio::task::JoinHandle<()>) {
    connected.expire();
    gate.close("practitioner", step);
    let (gate, app) = (Arc::clone(gate), connected.app.clone());
    let abandon = tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let caller = runtime.spawn(async move {
            // The test judges only the calls after this one.
            let _ended = call(&app).await;
        });
        runtime.block_on(gate.reached());
        (runtime, caller)
    });
    abandon.await.unwrap()
}

#[tokio::test]
async fn a_refresh_on_a_runtime_that_is_not_driven_is_replaced_and_changes_nothing_later() {
    for step in [Step::Load, Step::Lease, Step::Swap] {
        let gate = Arc::new(Gate::default());
        let connected = Connected::hooked(&gate).await;
        // As the token client's idle connections belong to the other runtime.
        let before = connected.stored().await.generation;
        let (runtime, caller) = abandoned(step, &gate, &connected).await;
        gate.open_for_later();
        tokio::time::pause();
        let started = Instant::now();
        bounded(call(&connected.app), "a call").await.unwrap();
        let waited = started.elapsed();
        assert!(waited <= Duration::from_secs(20), "{step:?}: {waited:?}");
        tokio::time::resume();
        let after = connected.stored().await;
        assert!(after.generation > before, "{step:?}");
        // The first refresh continues now.
        gate.open();
        let late = tokio::task::spawn_blocking(move || runtime.block_on(caller));
        late.await.unwrap().unwrap();
        call(&connected.app).await.unwrap();
        let stored = connected.stored().await;
        assert_eq!(stored.generation, after.generation, "{step:?}");
        assert_eq!(
            stored.access_token.expose(),
            after.access_token.expose(),
            "{step:?}"
        );
    }
}

#[tokio::test]
async fn a_refresh_whose_runtime_was_dropped_is_replaced_at_once() {
    for step in [Step::Load, Step::Lease, Step::Swap, Step::Swapped] {
        let gate = Arc::new(Gate::default());
        let connected = Connected::hooked(&gate).await;
        let (runtime, _caller) = abandoned(step, &gate, &connected).await;
        gate.open_for_later();
        let app = connected.app.clone();
        let waits = tokio::spawn(async move { call(&app).await });
        tokio::task::yield_now().await;
        runtime.shutdown_background();
        waits.await.unwrap().unwrap();
        assert_eq!(connected.refreshes(), 1, "{step:?}");
    }
}

#[tokio::test]
async fn a_listener_that_panics_is_logged_and_fails_no_operation() {
    let (log, _guard) = log_all();
    let fake = FakeFullscript::start().await.unwrap();
    let received = Arc::<Mutex<Vec<AuthEvent>>>::default();
    let events = Arc::clone(&received);
    let clock = fullscript::testing::ManualClock::default();
    let app = fake
        .app_builder()
        .clock(clock.clone())
        .on_event(move |event| {
            events.lock().unwrap().push(event.clone());
            panic!("the listener panics on purpose");
        })
        .build()
        .unwrap();
    connect(&fake, &app, "practitioner").await;
    clock.advance(TWO_HOURS);
    call(&app).await.unwrap();
    fake.end_connection("practitioner");
    let error = call(&app).await.unwrap_err();
    assert!(error.needs_reconnect(), "{error}");
    connect(&fake, &app, "practitioner").await;
    app.revoke("practitioner").await.unwrap();
    let received = received.lock().unwrap();
    let names: Vec<_> = received.iter().map(AuthEvent::name).collect();
    let expected = [
        "connected",
        "refreshed",
        "needs_reconnect",
        "connected",
        "revoked",
    ];
    assert_eq!(names, expected);
    let logged = log.text().matches("the on_event listener panicked").count();
    assert_eq!(logged, 5);
}

#[tokio::test]
async fn a_store_that_panics_is_logged_with_its_method() {
    for (step, method) in [
        (Step::Load, "load"),
        (Step::Lease, "lease"),
        (Step::Swap, "compare_and_swap"),
        (Step::Release, "release"),
    ] {
        let troubled = Arc::new(Troubled::default());
        let connected = Connected::hooked(&troubled).await;
        connected.expire();
        let (log, _guard) = log_all();
        troubled.set(Some((step, Trouble::Panics)));
        let _failed_or_not = call(&connected.app).await;
        let text = log.text();
        let expected = format!("the token store panicked method=\"{method}\"");
        assert!(text.contains(&expected), "{method}: {text}");
    }
}

/// A store that fails all saves while it is down.
#[derive(Default)]
struct Down(AtomicBool);

impl Hook for Down {
    fn at<'a>(&'a self, _: &'a str, step: Step) -> StoreFuture<'a, ()> {
        let fails = step == Step::Swap && self.0.load(Ordering::SeqCst);
        let full = || StoreError::new(std::io::Error::from(std::io::ErrorKind::StorageFull));
        Box::pin(std::future::ready(if fails { Err(full()) } else { Ok(()) }))
    }
}

#[tokio::test(start_paused = true)]
async fn failed_saves_are_reported_with_backoff() {
    let minute = Duration::from_secs(60);
    for calls_every in [None, Some(minute)] {
        let down = Arc::new(Down::default());
        let connected = Connected::hooked(&down).await;
        let reports = || {
            let failed = |event: &AuthEvent| matches!(event, AuthEvent::SaveFailed { .. });
            connected.events().into_iter().filter(failed).count()
        };
        connected.expire();
        down.0.store(true, Ordering::SeqCst);
        call(&connected.app).await.unwrap_err();
        assert_eq!(reports(), 1);
        let started = Instant::now();
        while started.elapsed() < 58 * minute {
            tokio::time::sleep(calls_every.unwrap_or(58 * minute)).await;
            if calls_every.is_some() {
                call(&connected.app).await.unwrap_err();
            }
        }
        assert!((4..=6).contains(&reports()), "{} reports", reports());
        // The report of a later failure is not delayed by this one.
        down.0.store(false, Ordering::SeqCst);
        tokio::time::sleep(2 * minute).await;
        call(&connected.app).await.unwrap();
        let before = reports();
        connected.expire();
        down.0.store(true, Ordering::SeqCst);
        call(&connected.app).await.unwrap_err();
        assert_eq!(reports(), before + 1);
        assert_eq!(connected.refreshes(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn a_save_that_failed_after_it_was_applied_is_no_lost_swap() {
    let failures = Arc::new(Failures::default());
    let connected = Connected::hooked(&failures).await;
    let troubled = Arc::new(Troubled::default());
    let store = Hooked {
        inner: connected.store.clone(),
        hook: Arc::clone(&troubled),
    };
    let app = connected.another().store(store).build().unwrap();
    connected.expire();
    troubled.set(Some((Step::Swapped, Trouble::Hangs)));
    call(&app).await.unwrap_err();
    troubled.set(None);
    call(&app).await.unwrap();
    // The server would reject the token set if it had been revoked.
    assert_eq!(connected.fake.count("revoke_oauth_token"), 0);
    assert_eq!(connected.refreshes(), 1);
}
