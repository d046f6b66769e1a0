//! Jobs over the connected users.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use fullscript::auth::{
    ConnectionFilter, ConnectionRecord, JobError, Lease, MemoryStore, OAuthApp, StoreError,
    StoreFuture, Swap, TokenStore, UserKey,
};
use fullscript::testing::{FakeFullscript, Fault};

use crate::stores::sqlite::Place;
use crate::stores::tokens;
use crate::support::{Connected, TWO_HOURS, at, connect, record_key};

/// A store that records the sizes of the pages, and fails some of them.
#[derive(Clone)]
struct Pages {
    inner: Arc<dyn TokenStore>,
    sizes: Arc<Mutex<Vec<usize>>>,
    failures: Arc<AtomicUsize>,
}

impl Pages {
    fn of(inner: Arc<dyn TokenStore>) -> Self {
        Self {
            inner,
            sizes: Arc::default(),
            failures: Arc::default(),
        }
    }
}

impl TokenStore for Pages {
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
        Box::pin(async move {
            let take = |left: usize| left.checked_sub(1);
            let fails = self
                .failures
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, take);
            if fails.is_ok() {
                return Err(StoreError::new(std::io::Error::other(
                    "the database is down",
                )));
            }
            let page = self.inner.list(filter, after, limit).await?;
            self.sizes.lock().unwrap().push(page.len());
            Ok(page)
        })
    }

    fn lease<'a>(&'a self, key: &'a str, owner: &'a str, ttl: Duration) -> StoreFuture<'a, Lease> {
        self.inner.lease(key, owner, ttl)
    }

    fn release<'a>(&'a self, key: &'a str, owner: &'a str) -> StoreFuture<'a, ()> {
        self.inner.release(key, owner)
    }
}

/// Creates an app with this number of connected users, who are not known to the fake.
async fn app_with(users: usize) -> (FakeFullscript, OAuthApp, Pages) {
    let fake = FakeFullscript::start().await.unwrap();
    let store = Pages::of(Arc::new(MemoryStore::new()));
    for number in 0..users {
        let record = tokens(user(number), 1).to_record();
        store.compare_and_swap(None, record).await.unwrap();
    }
    let app = fake.app_builder().store(store.clone()).build().unwrap();
    (fake, app, store)
}

fn user(number: usize) -> UserKey {
    UserKey::from(format!("user-{number:05}"))
}

#[tokio::test]
async fn fifty_thousand_connections_are_listed_in_pages_that_are_loaded_when_needed() {
    const USERS: usize = 50_000;
    let (_fake, app, store) = app_with(USERS).await;
    let started = Instant::now();
    let mut listed = app.connections(ConnectionFilter::new());
    for number in 0..USERS {
        let connection = listed.next().await.unwrap().unwrap();
        assert_eq!(connection.user, user(number));
        let loaded = store.sizes.lock().unwrap().len();
        assert_eq!(loaded, number / 500 + 1, "one page at a time");
    }
    assert!(listed.next().await.is_none());
    println!("50,000 connections: {:?}", started.elapsed());
    assert!(store.sizes.lock().unwrap().iter().all(|size| *size <= 500));
}

#[tokio::test]
async fn each_connection_is_listed_once_whatever_its_id_and_the_size_of_the_page() {
    let place = Place::new();
    let stores: [Arc<dyn TokenStore>; 2] = [
        Arc::new(MemoryStore::new()),
        Arc::new(place.open().await.unwrap()),
    ];
    // In the order of their bytes.
    let users = [
        "Clinic/1",
        "0",
        "1",
        "10",
        "A",
        "a",
        "a b",
        "a%2Fb",
        "\u{e9}",
        "\u{1f600}",
        "Staff/1",
        "a/b",
    ];
    let users = users.map(UserKey::from);
    for inner in stores {
        let store = Pages::of(inner);
        for user in &users {
            let record = tokens(user.clone(), 1).to_record();
            store.compare_and_swap(None, record).await.unwrap();
            // Another app in the same store.
            let mut other = tokens(user.clone(), 1);
            other.issuer.push('2');
            let swap = store.compare_and_swap(None, other.to_record());
            swap.await.unwrap();
        }
        let fake = FakeFullscript::start().await.unwrap();
        let app = fake.app_builder().store(store).build().unwrap();
        for page_size in [0, 1, 2, 3, 4, 5, 6, 11, 12, 13, usize::MAX] {
            for after in 0..=users.len() {
                let all = app.connections(ConnectionFilter::new());
                let mut listed = all.page_size(page_size);
                if let Some(before) = after.checked_sub(1) {
                    listed = listed.after(users[before].clone());
                }
                for user in &users[after..] {
                    let connection = listed.next().await.unwrap().unwrap();
                    assert_eq!(connection.user, *user, "{page_size}");
                }
                assert!(listed.next().await.is_none());
                assert!(listed.next().await.is_none());
            }
        }
    }
}

#[tokio::test]
async fn a_job_runs_once_for_each_user_and_for_a_few_at_a_time() {
    const USERS: usize = 3_000;
    for concurrency in [0, 1, 8, 1_000] {
        let (_fake, app, _store) = app_with(USERS).await;
        let running = Arc::new(AtomicUsize::new(0));
        let most = Arc::new(AtomicUsize::new(0));
        let runs: Arc<Mutex<BTreeMap<UserKey, usize>>> = Arc::default();
        let (most_seen, counted) = (Arc::clone(&most), Arc::clone(&runs));
        let report = app
            .for_each_user(ConnectionFilter::new(), concurrency, move |connection| {
                let (running, most) = (Arc::clone(&running), Arc::clone(&most_seen));
                *counted.lock().unwrap().entry(connection.user).or_default() += 1;
                async move {
                    most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    tokio::task::yield_now().await;
                    running.fetch_sub(1, Ordering::SeqCst);
                    Ok::<_, ()>(())
                }
            })
            .run()
            .await;
        assert!(report.is_complete());
        assert_eq!(report.done, USERS as u64);
        assert_eq!(report.checkpoint, Some(user(USERS - 1)));
        assert_eq!(most.load(Ordering::SeqCst), concurrency.clamp(1, 256));
        let runs = runs.lock().unwrap();
        assert!(runs.len() == USERS && runs.values().all(|runs| *runs == 1));
    }
}

#[tokio::test]
async fn failures_and_panics_stop_no_other_user_and_are_listed_up_to_a_bound() {
    let (_fake, app, _store) = app_with(2_500).await;
    let report = app
        .for_each_user(ConnectionFilter::new(), 8, |connection| {
            // A panic before the first await.
            assert!(!connection.user.id().ends_with('2'), "planted");
            async move {
                match connection.user.id().as_bytes().last().unwrap() % 5 {
                    0 => panic!("planted"),
                    1..3 => Err(connection.user.to_string()),
                    _ => Ok(()),
                }
            }
        })
        .run()
        .await;
    assert_eq!((report.done, report.failed), (1_000, 1_500));
    assert_eq!(report.failures.len(), 1_000);
    for failure in &report.failures {
        match &failure.error {
            JobError::Failed(error) => assert_eq!(*error, failure.user.to_string()),
            error => assert_eq!(*error, JobError::Panicked),
        }
    }
    assert!(!report.is_complete());
    assert_eq!(report.checkpoint, Some(user(2_499)));
}

#[tokio::test(start_paused = true)]
async fn a_job_that_was_stopped_in_the_middle_resumes_at_its_checkpoint() {
    const USERS: usize = 1_000;
    const CONCURRENCY: usize = 16;
    let (_fake, app, _store) = app_with(USERS).await;
    let runs: Arc<Mutex<BTreeMap<UserKey, usize>>> = Arc::default();
    let checkpoint: Arc<Mutex<Option<UserKey>>> = Arc::default();
    let mut rounds = 0;
    loop {
        rounds += 1;
        let (ended, saved) = (Arc::clone(&runs), Arc::clone(&checkpoint));
        let mut job = app
            .for_each_user(ConnectionFilter::new(), CONCURRENCY, move |connection| {
                let ended = Arc::clone(&ended);
                async move {
                    // Each 50th user takes long.
                    let number: u64 = connection.user.id()[5..].parse().unwrap();
                    let slow = u64::from(number.is_multiple_of(50)) * 400;
                    tokio::time::sleep(Duration::from_millis(10 + slow + number % 7)).await;
                    *ended.lock().unwrap().entry(connection.user).or_default() += 1;
                    Ok::<_, ()>(())
                }
            })
            .on_checkpoint(move |user| *saved.lock().unwrap() = Some(user.clone()));
        let from = checkpoint.lock().unwrap().clone();
        if let Some(from) = &from {
            job = job.after(from.clone());
        }
        match tokio::time::timeout(Duration::from_millis(700), job.run()).await {
            Ok(report) => {
                assert!(report.is_complete());
                break;
            }
            Err(_) => {
                let now = checkpoint.lock().unwrap().clone();
                assert!(now > from, "round {rounds} made no progress");
                // All users up to the checkpoint have ended.
                let runs = runs.lock().unwrap();
                let last = now.unwrap();
                assert!(
                    (0..USERS)
                        .map(user)
                        .take_while(|it| *it <= last)
                        .all(|it| runs.contains_key(&it))
                );
            }
        }
    }
    assert!(rounds > 2, "{rounds}");
    let runs = runs.lock().unwrap();
    assert_eq!(runs.len(), USERS, "no user is left out");
    let repeated = runs.values().map(|runs| runs - 1).sum::<usize>();
    println!("{rounds} rounds, {repeated} users repeated");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_for_long_stops_a_job_which_resumes_later() {
    let (_fake, app, store) = app_with(1_200).await;
    let job = |after: Option<UserKey>| {
        let job = app.for_each_user(ConnectionFilter::new(), 4, |_| async { Ok::<_, ()>(()) });
        match after {
            Some(after) => job.after(after),
            None => job,
        }
    };
    store.failures.store(3, Ordering::SeqCst);
    let report = job(None).run().await;
    assert!(report.is_complete(), "{report:?}");
    store.failures.store(usize::MAX, Ordering::SeqCst);
    let report = job(Some(user(700))).run().await;
    assert!(report.stopped.unwrap().is_store());
    assert_eq!((report.done, report.checkpoint), (0, None));
    store.failures.store(0, Ordering::SeqCst);
    let report = job(Some(user(700))).run().await;
    assert_eq!(report.done, 499);
    app.shutdown(Duration::from_secs(1)).await.unwrap();
    let report = job(None).run().await;
    assert!(report.stopped.unwrap().is_shut_down());
}

#[tokio::test]
async fn a_damaged_record_is_counted_and_stops_no_job() {
    let (_fake, app, store) = app_with(10).await;
    let mut damaged = tokens("user-00004", 2).to_record();
    damaged.scopes.push('x');
    store.compare_and_swap(Some(1), damaged).await.unwrap();
    let report = app
        .for_each_user(ConnectionFilter::new(), 2, |_| async { Ok::<_, ()>(()) })
        .run()
        .await;
    assert_eq!((report.done, report.unreadable), (9, 1));
    assert!(report.stopped.is_none());
}

#[tokio::test]
async fn tokens_that_expire_within_the_window_are_refreshed_and_no_others() {
    let connected = Connected::unlimited().await;
    let (fake, app) = (&connected.fake, &connected.app);
    for number in 0..12 {
        connect(fake, app, &format!("soon-{number}")).await;
    }
    connected.clock.advance(Duration::from_secs(3_600));
    connect(fake, app, "later").await;
    fake.end_connection("soon-3");
    // Another app of the same process list.
    let job = connected.another().build().unwrap();
    let report = job
        .refresh_ahead(TWO_HOURS - Duration::from_secs(60))
        .run()
        .await;
    // `practitioner` and eleven others.
    assert_eq!((report.done, report.failed), (12, 1), "{report:?}");
    assert_eq!(report.failures[0].user, UserKey::from("soon-3"));
    assert_eq!(connected.refreshes(), 13);
    let stored = connected.stored_of("soon-5").await.unwrap();
    assert_eq!(stored.expires_at(), at(3_600 + 7_200));
    assert_eq!(stored.used_at, at(0), "a job is no use");
    // The tokens are valid, and those that a call has cached are replaced within 30 s.
    job.client("soon-5").get_clinic().send().await.unwrap();
    assert_eq!(connected.refreshes(), 13);
    // A second run finds nothing to do.
    let report = job
        .refresh_ahead(TWO_HOURS - Duration::from_secs(60))
        .run()
        .await;
    assert_eq!((report.done, report.failed), (0, 0), "{report:?}");
    // Users who were not used are left out on request.
    let all = TWO_HOURS + Duration::from_secs(60);
    let used = job.refresh_ahead(all).used_within(Duration::from_secs(60));
    assert_eq!(used.run().await.done, 1);
    assert_eq!(connected.refreshes(), 14, "`later`");
    // All tokens expire in a window without an end.
    let endless = job.refresh_ahead(Duration::MAX);
    let report = endless.used_within(Duration::MAX).run().await;
    assert_eq!((report.done, report.failed), (13, 0), "{report:?}");
}

#[tokio::test]
async fn a_user_without_a_refresh_token_is_not_marked_before_the_token_expires() {
    let connected = Connected::unlimited().await;
    let mut record = connected.stored().await;
    record.refresh_token = None;
    record.generation += 1;
    let expected = Some(record.generation - 1);
    connected
        .store
        .compare_and_swap(expected, record.to_record())
        .await
        .unwrap();
    let report = connected.app.refresh_ahead(TWO_HOURS * 2).run().await;
    assert_eq!((report.done, report.failed), (1, 0), "{report:?}");
    assert!(connected.stored().await.needs_reconnect.is_none());
    assert_eq!(connected.refreshes(), 0);
    assert!(
        connected
            .store
            .load(&record_key("practitioner"))
            .await
            .unwrap()
            .is_some()
    );
}

#[tokio::test(start_paused = true)]
async fn refreshing_ahead_in_an_outage_ends_soon_and_the_next_run_repeats_it() {
    const USERS: usize = 200;
    let connected = Connected::unlimited().await;
    let (fake, app) = (&connected.fake, &connected.app);
    for number in 1..USERS {
        connect(fake, app, &format!("user-{number}")).await;
    }
    fake.fault("create_oauth_token", Fault::status(503));
    let started = tokio::time::Instant::now();
    let report = app.refresh_ahead(TWO_HOURS * 2).run().await;
    assert_eq!(report.failed, USERS as u64, "{}", report.done);
    assert!(
        started.elapsed() < Duration::from_secs(120),
        "{:?}",
        started.elapsed()
    );
    assert!(connected.refreshes() < 60, "{}", connected.refreshes());
    fake.end_faults();
    tokio::time::sleep(Duration::from_secs(60)).await;
    let report = app.refresh_ahead(TWO_HOURS * 2).run().await;
    assert_eq!(report.done, USERS as u64, "{:?}", report.failures.first());
}

#[tokio::test(start_paused = true)]
async fn refreshing_ahead_takes_half_of_the_permits_for_token_requests() {
    const USERS: u32 = 200;
    let connected = Connected::new().await;
    let (fake, app) = (&connected.fake, &connected.app);
    let unlimited = connected.another().rate_limit(fullscript::RateLimit::off());
    let unlimited = unlimited.build().unwrap();
    for number in 1..USERS {
        connect(fake, &unlimited, &format!("user-{number}")).await;
    }
    let started = tokio::time::Instant::now();
    let job = tokio::spawn(app.refresh_ahead(TWO_HOURS * 2).concurrency(64).run());
    // A call that waits for a refresh does not wait for the job.
    tokio::time::sleep(Duration::from_secs(5)).await;
    fake.expire_access_tokens();
    let called = tokio::time::Instant::now();
    let client = app.client(format!("user-{}", USERS - 1));
    client.get_clinic().send().await.unwrap();
    assert!(
        called.elapsed() < Duration::from_millis(500),
        "{:?}",
        called.elapsed()
    );
    let report = job.await.unwrap();
    assert_eq!(
        report.done,
        u64::from(USERS),
        "{:?}",
        report.failures.first()
    );
    // 5,000 requests in 5 minutes and a second: two fifths for OAuth, of which half.
    let shortest = Duration::from_millis(300) * (USERS - 1);
    let took = started.elapsed();
    assert!(
        took >= shortest && took < shortest + Duration::from_secs(5),
        "{took:?}"
    );
}
