//! Refreshes under load, and with callers that go away.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use fullscript::RateLimit;
use fullscript::auth::{Lease, MemoryStore, OAuthApp, StoreFuture, Swap, TokenSet, TokenStore};
use fullscript::http::Method;
use fullscript::testing::{FakeFullscript, ManualClock, Script};
use futures_util::future::join_all;
use tokio::sync::Notify;

use crate::auth::{TWO_HOURS, connect};

/// An app whose requests no limit holds back.
struct Setup {
    fake: FakeFullscript,
    clock: ManualClock,
}

impl Setup {
    async fn new() -> Self {
        Self {
            fake: FakeFullscript::start().await.unwrap(),
            clock: ManualClock::default(),
        }
    }

    fn app(&self, store: impl TokenStore) -> OAuthApp {
        let builder = self.fake.app_builder().rate_limit(RateLimit::off());
        builder
            .store(store)
            .clock(self.clock.clone())
            .build()
            .unwrap()
    }

    fn expire(&self) {
        self.clock.advance(TWO_HOURS);
        self.fake.expire_access_tokens();
    }
}

async fn call(app: OAuthApp, user: String) -> Result<Duration, fullscript::Error> {
    let started = Instant::now();
    app.client(&user).get_clinic().send().await?;
    Ok(started.elapsed())
}

/// Makes one call for each user at once; gives their times, the longest last.
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
    let setup = Setup::new().await;
    let app = setup.app(MemoryStore::new());
    connect(&setup.fake, &app, "practitioner").await;
    setup.expire();
    let before = setup.fake.count("create_oauth_token");
    let times = call_all(&app, (0..10_000).map(|_| "practitioner".into())).await;
    assert_eq!(times.len(), 10_000);
    assert_eq!(setup.fake.count("create_oauth_token") - before, 1);
    assert_eq!(setup.fake.count("get_clinic"), 10_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_users_are_a_thousand_refreshes_and_one_that_hangs_delays_none() {
    let setup = Setup::new().await;
    let store = Gated::default();
    let app = setup.app(store.clone());
    let users = || (0..1_000).map(|number| format!("user-{number}"));
    for user in users().chain(["hangs".into()]) {
        connect(&setup.fake, &app, &user).await;
    }
    let refreshes = || setup.fake.count("create_oauth_token");
    setup.expire();
    let before = refreshes();
    let without = call_all(&app, users()).await;
    assert_eq!(refreshes() - before, 1_000);
    store.close("hangs", Step::Swap);
    setup.expire();
    let before = refreshes();
    let hanging = tokio::spawn(call(app.clone(), "hangs".into()));
    store.reached().await;
    let with = call_all(&app, users()).await;
    assert_eq!(refreshes() - before, 1_001);
    assert!(!hanging.is_finished());
    let p99 = |times: &[Duration]| times[times.len() * 99 / 100];
    let (with, without) = (p99(&with), p99(&without));
    // As without it, on a machine that does other things too.
    assert!(
        with <= without * 3 + Duration::from_millis(200),
        "{with:?} with one that hangs, {without:?} without"
    );
    store.open();
    hanging.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_caller_dropped_at_any_step_leaves_the_refresh_going() {
    for (user, step) in [
        ("first-load", Step::Load),
        ("lease", Step::Lease),
        ("swap", Step::Swap),
        ("saved", Step::Swapped),
        ("release", Step::Release),
    ] {
        let setup = Setup::new().await;
        let store = Gated::default();
        let app = setup.app(store.clone());
        connect(&setup.fake, &app, user).await;
        let before = store.inner.load(user).await.unwrap().unwrap();
        setup.expire();
        store.close(user, step);
        let caller = tokio::spawn(call(app.clone(), user.into()));
        store.reached().await;
        caller.abort();
        assert!(caller.await.unwrap_err().is_cancelled());
        store.open();
        store.released().await;
        let saved = store.inner.load(user).await.unwrap().unwrap();
        assert_eq!(saved.generation, before.generation + 1, "{step:?}");
        assert_eq!(setup.fake.count("create_oauth_token"), 2, "{step:?}");
        call(app, user.into()).await.unwrap();
        assert_eq!(setup.fake.count("create_oauth_token"), 2, "{step:?}");
    }
}

#[tokio::test]
async fn a_caller_dropped_while_the_endpoint_thinks_leaves_the_refresh_going() {
    let setup = Setup::new().await;
    let (store, user) = (Gated::default(), "practitioner");
    let app = setup.app(store.clone());
    connect(&setup.fake, &app, user).await;
    setup.expire();
    // The first answer sends the refresh into its pause.
    let busy = Script::html(503, "busy");
    setup.fake.answer_times("create_oauth_token", 1, busy);
    let caller = tokio::spawn(call(app.clone(), user.into()));
    while setup.fake.count("create_oauth_token") < 2 {
        tokio::task::yield_now().await;
    }
    caller.abort();
    assert!(caller.await.unwrap_err().is_cancelled());
    store.released().await;
    call(app, user.into()).await.unwrap();
    assert_eq!(setup.fake.count("create_oauth_token"), 3);
}

#[tokio::test]
async fn a_token_replaced_meanwhile_is_replayed_without_a_refresh() {
    let setup = Setup::new().await;
    let store = MemoryStore::new();
    let (here, elsewhere) = (setup.app(store.clone()), setup.app(store));
    connect(&setup.fake, &here, "practitioner").await;
    call(elsewhere.clone(), "practitioner".into())
        .await
        .unwrap();
    setup.fake.expire_access_tokens();
    call(elsewhere, "practitioner".into()).await.unwrap();
    let refreshes = setup.fake.count("create_oauth_token");
    let calls = setup.fake.count("get_clinic");
    // Ours is dead, and we have not heard of the new one.
    call(here, "practitioner".into()).await.unwrap();
    assert_eq!(setup.fake.count("create_oauth_token"), refreshes);
    assert_eq!(setup.fake.count("get_clinic"), calls + 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_of_a_thousand_401_is_one_refresh_and_one_replay_each() {
    let setup = Setup::new().await;
    let app = setup.app(MemoryStore::new());
    connect(&setup.fake, &app, "practitioner").await;
    setup.fake.expire_access_tokens();
    call_all(&app, (0..1_000).map(|_| "practitioner".into())).await;
    assert_eq!(setup.fake.count("create_oauth_token"), 2);
    assert!(setup.fake.count("get_clinic") <= 2_000);
}

#[tokio::test]
async fn a_body_that_is_a_stream_is_sent_once_and_the_error_says_so() {
    let setup = Setup::new().await;
    let app = setup.app(MemoryStore::new());
    connect(&setup.fake, &app, "practitioner").await;
    setup.fake.expire_access_tokens();
    let client = app.client("practitioner");
    let send = || {
        let parts = futures_util::stream::iter([Ok::<_, std::io::Error>("{}")]);
        let body = reqwest::Body::wrap_stream(parts);
        let request = client.request(Method::POST, "/api/clinic/staff").body(body);
        request.send::<serde_json::Value>()
    };
    let error = send().await.unwrap_err();
    assert!(error.is_unauthorized(), "{error}");
    assert!(
        error.to_string().contains("a body that is a stream"),
        "{error}"
    );
    assert_eq!(setup.fake.count("create_staff_member"), 1);
    send().await.unwrap();
    assert_eq!(setup.fake.count("create_staff_member"), 2);
    assert_eq!(setup.fake.count("create_oauth_token"), 2);
}

#[tokio::test]
async fn a_token_known_dead_is_sent_to_nobody() {
    let setup = Setup::new().await;
    let app = setup.app(MemoryStore::new());
    connect(&setup.fake, &app, "practitioner").await;
    setup.clock.advance(TWO_HOURS);
    let wrong = Script::html(404, "gone");
    setup.fake.answer("create_oauth_token", wrong);
    for _ in 0..5 {
        call(app.clone(), "practitioner".into()).await.unwrap_err();
    }
    assert_eq!(setup.fake.count("get_clinic"), 0);
}

#[tokio::test]
async fn a_clock_that_jumps_starts_no_loop_of_refreshes() {
    let hour = Duration::from_secs(3_600);
    let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600);
    for times in [
        [start + hour, start + hour, start + hour],
        [start - hour, start - hour, start - hour],
        [start + hour, start - hour, start + hour],
        [start + hour * 24, start, start + hour * 48],
    ] {
        let setup = Setup::new().await;
        let app = setup.app(MemoryStore::new());
        connect(&setup.fake, &app, "practitioner").await;
        for time in times {
            setup.clock.set(time);
            for _ in 0..10 {
                call(app.clone(), "practitioner".into()).await.unwrap();
            }
        }
        // One for each jump beyond the lifetime, at most.
        assert!(setup.fake.count("create_oauth_token") <= 1 + times.len());
    }
}

#[tokio::test]
async fn two_clocks_that_disagree_start_no_loop_of_refreshes() {
    let setup = Setup::new().await;
    let store = MemoryStore::new();
    let ahead = ManualClock::default();
    ahead.advance(Duration::from_secs(3_600));
    let builder = setup.fake.app_builder().store(store.clone());
    let apps = [setup.app(store), builder.clock(ahead).build().unwrap()];
    connect(&setup.fake, &apps[0], "practitioner").await;
    for round in 0..20 {
        let app = apps[round % 2].clone();
        call(app, "practitioner".into()).await.unwrap();
    }
    assert!(setup.fake.count("create_oauth_token") <= 2);
}

#[tokio::test(start_paused = true)]
async fn a_lease_of_a_process_that_died_is_waited_for_and_then_taken() {
    let setup = Setup::new().await;
    let store = MemoryStore::new();
    let app = setup.app(store.clone());
    connect(&setup.fake, &app, "practitioner").await;
    setup.expire();
    // Its clock was a day ahead.
    let day = Duration::from_secs(86_400);
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600);
    let lease = store.lease("practitioner", "dead", now, now + day).await;
    assert_eq!(lease.unwrap(), Lease::Granted);
    let started = tokio::time::Instant::now();
    call(app, "practitioner".into()).await.unwrap();
    assert!(started.elapsed() < Duration::from_secs(20));
}

#[tokio::test]
async fn a_pair_just_issued_goes_before_a_mark_of_one_who_came_too_late() {
    let setup = Setup::new().await;
    let (store, user) = (Gated::default(), "practitioner");
    let app = setup.app(store.clone());
    connect(&setup.fake, &app, user).await;
    setup.expire();
    store.close(user, Step::Swap);
    let caller = tokio::spawn(call(app.clone(), user.into()));
    store.reached().await;
    let mut marked = store.inner.load(user).await.unwrap().unwrap();
    let before = marked.generation;
    (marked.generation, marked.needs_reconnect) = (before + 1, true);
    store
        .inner
        .compare_and_swap(user, Some(before), marked)
        .await
        .unwrap();
    store.open();
    caller.await.unwrap().unwrap();
    let saved = store.inner.load(user).await.unwrap().unwrap();
    assert!(!saved.needs_reconnect && saved.generation == before + 2);
}

#[tokio::test]
async fn revoking_waits_for_a_refresh_and_ends_the_newest_pair() {
    let setup = Setup::new().await;
    let (store, user) = (Gated::default(), "practitioner");
    let app = setup.app(store.clone());
    connect(&setup.fake, &app, user).await;
    setup.expire();
    store.close(user, Step::Swap);
    let caller = tokio::spawn(call(app.clone(), user.into()));
    store.reached().await;
    let revoking = tokio::spawn({
        let app = app.clone();
        async move { app.revoke(user).await }
    });
    tokio::task::yield_now().await;
    assert_eq!(setup.fake.count("revoke_oauth_token"), 0);
    store.open();
    revoking.await.unwrap().unwrap();
    // Whether the call came before the end of the connection is open.
    let _before_or_after = caller.await.unwrap();
    assert!(store.inner.load(user).await.unwrap().is_none());
    let requests = setup.fake.requests();
    let revoked = requests
        .iter()
        .find(|request| request.target.ends_with("/revoke"));
    let token = revoked.unwrap().body.as_ref().unwrap()["token"].clone();
    assert_eq!(token, "fake-access-3");
}

/// A place in a store where whoever comes waits until it opens.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Step {
    Load,
    Lease,
    Swap,
    Swapped,
    Release,
}

/// A store with a gate.
#[derive(Clone, Default)]
struct Gated {
    inner: MemoryStore,
    gate: Arc<Gate>,
}

#[derive(Default)]
struct Gate {
    closed: Mutex<Option<(&'static str, Step)>>,
    reached: Notify,
    opened: Notify,
    released: Notify,
}

impl Gated {
    fn close(&self, user: &'static str, step: Step) {
        *self.gate.closed.lock().unwrap() = Some((user, step));
    }

    async fn reached(&self) {
        self.gate.reached.notified().await;
    }

    fn open(&self) {
        *self.gate.closed.lock().unwrap() = None;
        self.gate.opened.notify_one();
    }

    /// A refresh has given its lease back, its last step.
    async fn released(&self) {
        self.gate.released.notified().await;
    }

    fn pass<'a, T: Send + 'a>(
        &'a self,
        user: &'a str,
        (before, after): (Option<Step>, Option<Step>),
        work: StoreFuture<'a, T>,
    ) -> StoreFuture<'a, T> {
        Box::pin(async move {
            self.stop(user, before).await;
            let done = work.await;
            self.stop(user, after).await;
            done
        })
    }

    async fn stop(&self, user: &str, step: Option<Step>) {
        let closed = *self.gate.closed.lock().unwrap();
        if let (Some((who, at)), Some(step)) = (closed, step)
            && who == user
            && at == step
        {
            self.gate.reached.notify_one();
            self.gate.opened.notified().await;
        }
    }
}

impl TokenStore for Gated {
    fn load<'a>(&'a self, user: &'a str) -> StoreFuture<'a, Option<TokenSet>> {
        let work = Box::pin(async move { self.inner.load(user).await });
        self.pass(user, (Some(Step::Load), None), work)
    }

    fn compare_and_swap<'a>(
        &'a self,
        user: &'a str,
        expected: Option<u64>,
        new: TokenSet,
    ) -> StoreFuture<'a, Swap> {
        let work = Box::pin(async move { self.inner.compare_and_swap(user, expected, new).await });
        self.pass(user, (Some(Step::Swap), Some(Step::Swapped)), work)
    }

    fn delete<'a>(&'a self, user: &'a str) -> StoreFuture<'a, ()> {
        self.inner.delete(user)
    }

    fn lease<'a>(
        &'a self,
        user: &'a str,
        owner: &'a str,
        now: SystemTime,
        deadline: SystemTime,
    ) -> StoreFuture<'a, Lease> {
        let work = self.inner.lease(user, owner, now, deadline);
        self.pass(user, (Some(Step::Lease), None), work)
    }

    fn release<'a>(&'a self, user: &'a str, owner: &'a str) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            self.stop(user, Some(Step::Release)).await;
            let done = self.inner.release(user, owner).await;
            self.gate.released.notify_one();
            done
        })
    }
}
