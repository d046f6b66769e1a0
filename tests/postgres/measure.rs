//! What the stores cost: statements per refresh, and how many operations a server takes.
//!
//! The rates are printed (`--nocapture`) and not asserted, because they depend on the machine.

use std::time::{Duration, Instant, SystemTime};

use fullscript::RateLimit;
use fullscript::auth::{Lease, TokenStore};
use fullscript::encryption::{EncryptedStore, EncryptionKey, KeyRing};
use fullscript::postgres::PostgresStore;
use fullscript::testing::FakeFullscript;
use fullscript::webhook::{Claim, EventKey, EventLog};

use crate::cluster::{Cluster, shared};

async fn store(cluster: &Cluster) -> PostgresStore {
    let builder = cluster.builder(cluster.pooled()).await;
    builder.connect().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refresh_takes_three_round_trips() {
    const USERS: usize = 200;
    const COUNTED: usize = 20;
    const AT_A_TIME: usize = 30;
    /// A refresh that takes longer renews its lease.
    const LEASE_RENEWAL: Duration = Duration::from_millis(500);
    let Some(cluster) = shared() else { return };
    let url = cluster.new_database("refreshes").await;
    let builder = cluster.builder(url).await;
    let keys = KeyRing::new(EncryptionKey::generate().unwrap());
    let store = EncryptedStore::new(builder.connect().await.unwrap(), keys);
    let fake = FakeFullscript::start().await.unwrap();
    let app = fake.app_builder().rate_limit(RateLimit::off()).store(store);
    let app = app.build().unwrap();
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
    let call = async |user: &String| app.client(user.as_str()).get_clinic().send().await;
    let mut counted = 0;
    for (number, user) in users[..COUNTED].iter().enumerate() {
        if number == 0 {
            fake.end_connection(user);
        }
        let before = cluster.transactions("refreshes").await;
        let started = Instant::now();
        let called = call(user).await;
        let is_renewed = started.elapsed() >= LEASE_RENEWAL;
        // A token that the server rejects costs no more.
        assert_eq!(
            called.is_err_and(|error| error.needs_reconnect()),
            number == 0
        );
        let statements = cluster.transactions("refreshes").await - before;
        assert!(
            statements == 3 || is_renewed,
            "{statements} for user {number}"
        );
        counted += usize::from(statements == 3);
    }
    assert!(counted > COUNTED / 2, "{counted}");
    let users = &users[COUNTED..];
    let started = Instant::now();
    for some in users.chunks(AT_A_TIME) {
        let calls: Vec<_> = some
            .iter()
            .map(|user| tokio::spawn(app.client(user.as_str()).get_clinic().send()))
            .collect();
        for call in calls {
            call.await.unwrap().unwrap();
        }
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
