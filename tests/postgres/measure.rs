//! What the stores cost: statements per refresh, and how many operations a server takes.
//!
//! The rates are printed (`--nocapture`) and not asserted, because they depend on the machine.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use fullscript::RateLimit;
use fullscript::auth::{ConnectionFilter, ConnectionRecord, Lease, StoreFuture, Swap, TokenStore};
use fullscript::postgres::PostgresStore;
use fullscript::testing::FakeFullscript;
use fullscript::webhook::{Claim, EventKey, EventLog};

use crate::cluster::{Cluster, shared};

/// A store that notes the calls of its methods. Each is one statement, unless another process
/// interferes.
struct Noted(PostgresStore, Arc<Mutex<Vec<&'static str>>>);

impl Noted {
    fn note(&self, method: &'static str) -> &PostgresStore {
        self.1.lock().unwrap().push(method);
        &self.0
    }
}

impl TokenStore for Noted {
    fn load<'a>(&'a self, key: &'a str) -> StoreFuture<'a, Option<ConnectionRecord>> {
        self.note("load").load(key)
    }

    fn compare_and_swap(
        &self,
        expected: Option<u64>,
        new: ConnectionRecord,
    ) -> StoreFuture<'_, Swap> {
        self.note("swap").compare_and_swap(expected, new)
    }

    fn delete<'a>(&'a self, key: &'a str, expected: Option<u64>) -> StoreFuture<'a, Swap> {
        self.note("delete").delete(key, expected)
    }

    fn list<'a>(
        &'a self,
        filter: &'a ConnectionFilter,
        after: Option<&'a str>,
        limit: usize,
    ) -> StoreFuture<'a, Vec<ConnectionRecord>> {
        self.note("list").list(filter, after, limit)
    }

    fn lease<'a>(&'a self, key: &'a str, owner: &'a str, ttl: Duration) -> StoreFuture<'a, Lease> {
        self.note("lease").lease(key, owner, ttl)
    }

    fn release<'a>(&'a self, key: &'a str, owner: &'a str) -> StoreFuture<'a, ()> {
        self.note("release").release(key, owner)
    }
}

async fn store(cluster: &Cluster) -> PostgresStore {
    let builder = cluster.builder(cluster.pooled()).await;
    builder.connect().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refresh_takes_five_statements() {
    const USERS: usize = 200;
    let Some(cluster) = shared() else { return };
    let noted = Arc::default();
    let fake = FakeFullscript::start().await.unwrap();
    let app = fake
        .app_builder()
        .rate_limit(RateLimit::off())
        .store(Noted(store(cluster).await, Arc::clone(&noted)))
        .build()
        .unwrap();
    let users: Vec<String> = (0..USERS)
        .map(|user| format!("practitioner-{user}"))
        .collect();
    for user in &users {
        let request = app.authorize();
        let callback = fake.approve(request.url(), user);
        let code = app.callback(&callback, request.state()).unwrap();
        app.exchange(code).await.unwrap();
    }
    fake.expire_access_tokens();
    noted.lock().unwrap().clear();
    app.client(users[0].as_str())
        .get_clinic()
        .send()
        .await
        .unwrap();
    let methods = noted.lock().unwrap().clone();
    assert_eq!(methods, ["load", "lease", "load", "swap", "release"]);
    let started = Instant::now();
    let calls: Vec<_> = users[1..]
        .iter()
        .map(|user| tokio::spawn(app.client(user.as_str()).get_clinic().send()))
        .collect();
    for call in calls {
        call.await.unwrap().unwrap();
    }
    let rate = users.len() as f64 / started.elapsed().as_secs_f64();
    println!("{rate:.0} refreshes/s, with the fake and the calls in the same process");
    assert_eq!(fake.count("create_oauth_token"), 2 * USERS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_claims_and_swaps_are_each_granted_once() {
    const TASKS: u64 = 16;
    const EACH: u64 = 100;
    let Some(cluster) = shared() else { return };
    let store = store(cluster).await;
    let log = store.event_log();
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600);
    let started = Instant::now();
    let tasks = (0..TASKS).map(|task| {
        let log = log.clone();
        tokio::spawn(async move {
            for number in 0..EACH {
                let key = EventKey::new(format!("{task}-{number}"));
                let claim = log
                    .claim(&key, now, now + Duration::from_secs(60))
                    .await
                    .unwrap();
                let Claim::Granted(grant) = claim else {
                    panic!("{claim:?}")
                };
                log.acknowledge(&grant, now).await.unwrap();
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    let rate = (TASKS * EACH) as f64 / started.elapsed().as_secs_f64();
    println!("{rate:.0} events/s, each claimed and acknowledged");
    let started = Instant::now();
    let tasks = (0..TASKS).map(|task| {
        let store = store.clone();
        tokio::spawn(async move {
            for _ in 0..EACH {
                let key = format!("lease-{task}");
                let lease = store.lease(&key, "owner", Duration::from_secs(2)).await;
                assert_eq!(lease.unwrap(), Lease::Granted);
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    let rate = (TASKS * EACH) as f64 / started.elapsed().as_secs_f64();
    println!("{rate:.0} leases/s");
}
