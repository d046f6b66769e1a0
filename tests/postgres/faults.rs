//! Faults of the server, of PgBouncer and of the network. Each test has a cluster of its own.

use std::error::Error as _;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use fullscript::RateLimit;
use fullscript::auth::{ConnectionRecord, RecordData, StoreError, Swap, TokenStore};
use fullscript::postgres::{PostgresError, PostgresStore};
use fullscript::shared_limit::SharedLimitEvent;
use fullscript::testing::FakeFullscript;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::cluster::{Cluster, url};

/// The bound of each operation, that of a token store.
const BOUND: Duration = Duration::from_secs(10);

fn record(generation: u64) -> ConnectionRecord {
    ConnectionRecord::new("user", generation, RecordData::new(vec![7]))
}

async fn connect(cluster: &Cluster, url: String) -> PostgresStore {
    cluster.builder(url).await.connect().await.unwrap()
}

/// Saves the next generation. If that fails, it may have been saved or not.
async fn save(store: &PostgresStore, generation: u64) -> Result<(), PostgresError> {
    let expected = generation.checked_sub(1).filter(|expected| *expected > 0);
    match store.compare_and_swap(expected, record(generation)).await {
        Ok(Swap::Done) => Ok(()),
        Ok(Swap::Lost(present)) => {
            // An earlier attempt was saved, although it failed.
            assert!(
                present == Some(record(generation)),
                "{generation}: {present:?}"
            );
            Ok(())
        }
        Err(error) => Err(cause(&error)),
    }
}

fn cause(error: &StoreError) -> PostgresError {
    let cause: &PostgresError = error.source().unwrap().downcast_ref().unwrap();
    cause.clone()
}

/// Saves one generation after the other beside `faults`, and for a while after them. A save that
/// fails is repeated. Returns the number of failures.
async fn save_beside(store: &PostgresStore, faults: impl FnOnce() + Send + 'static) -> usize {
    let faults = tokio::task::spawn_blocking(faults);
    let (mut generation, mut failures, mut after) = (0, 0, 0);
    while after < 20 {
        after += usize::from(faults.is_finished());
        generation += 1;
        loop {
            let started = Instant::now();
            let saved = save(store, generation).await;
            assert!(started.elapsed() < BOUND, "{:?}", started.elapsed());
            match saved {
                Ok(()) => break,
                Err(error) => {
                    assert!(error.is_transient(), "{error} {error:?}");
                    failures += 1;
                    assert!(failures < 50, "{error} {error:?}");
                }
            }
        }
        // Nothing that was saved is lost, and nothing else was saved.
        assert!(
            store.load("user").await.unwrap_or(Some(record(generation)))
                == Some(record(generation))
        );
    }
    faults.await.unwrap();
    failures
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pooler_that_is_killed_and_restarted_loses_nothing_that_was_saved() {
    let Some(cluster) = Cluster::start().map(Arc::new) else {
        return;
    };
    let store = connect(&cluster, cluster.pooled()).await;
    let server = Arc::clone(&cluster);
    let failures = save_beside(&store, move || {
        for _ in 0..5 {
            server.command("kill-bouncer");
            server.command("start-bouncer");
        }
    });
    println!("failed and repeated: {}", failures.await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed_and_restarted_loses_nothing_that_was_saved() {
    let Some(cluster) = Cluster::start().map(Arc::new) else {
        return;
    };
    for url in [cluster.direct(), cluster.pooled()] {
        let store = connect(&cluster, url).await;
        let server = Arc::clone(&cluster);
        let failures = save_beside(&store, move || {
            for _ in 0..2 {
                server.command("kill");
                server.command("start");
            }
        });
        println!("failed and repeated: {}", failures.await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_became_read_only_is_left_and_used_again_when_it_accepts_writes() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    for url in [cluster.direct(), cluster.pooled()] {
        let store = connect(&cluster, url).await;
        save(&store, 1).await.unwrap();
        cluster
            .run_sql(
                "ALTER SYSTEM SET default_transaction_read_only = on;; SELECT pg_reload_conf()",
            )
            .await;
        // The server tells its processes soon.
        let error = loop {
            if let Err(error) = save(&store, 2).await {
                break error;
            }
            tokio::task::yield_now().await;
        };
        assert!(error.is_transient(), "{error:?}");
        assert!(error.to_string().contains("read-only"), "{error}");
        cluster
            .run_sql(
                "SET default_transaction_read_only = off;; \
                 ALTER SYSTEM RESET default_transaction_read_only;; SELECT pg_reload_conf()",
            )
            .await;
        save(&store, 2).await.unwrap();
        assert!(store.load("user").await.unwrap() == Some(record(2)));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_uses_its_part_of_the_limit_while_the_server_is_gone_and_says_so() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let events: Arc<Mutex<Vec<SharedLimitEvent>>> = Arc::default();
    let noted = Arc::clone(&events);
    let shared = connect(&cluster, cluster.pooled()).await.rate_limit();
    let limit = RateLimit::new(600, Duration::from_secs(60))
        .shared(shared, 4)
        .on_shared_limit_event(move |event| noted.lock().unwrap().push(event));
    let fake = FakeFullscript::builder().stateless().start().await.unwrap();
    let client = fake.client_builder().rate_limit(limit).build().unwrap();
    let call_until = async |expected: &[SharedLimitEvent]| {
        let calls = async {
            while *events.lock().unwrap() != expected {
                client.get_clinic().send().await.unwrap();
            }
        };
        tokio::time::timeout(6 * BOUND, calls).await.unwrap();
    };
    client.get_clinic().send().await.unwrap();
    assert!(events.lock().unwrap().is_empty());
    for gone in ["kill", "kill-bouncer"] {
        events.lock().unwrap().clear();
        cluster.command(gone);
        call_until(&[SharedLimitEvent::Failed]).await;
        // The part of this process.
        client.get_clinic().send().await.unwrap();
        cluster.command(&gone.replace("kill", "start"));
        call_until(&[SharedLimitEvent::Failed, SharedLimitEvent::Recovered]).await;
    }
}

/// A proxy whose connections can stop to carry data without being closed.
struct Proxy {
    port: u16,
    /// Whether no connection carries data.
    is_black_hole: Arc<AtomicBool>,
    /// The generation of the connections that carry data.
    generation: Arc<AtomicU32>,
}

impl Proxy {
    async fn start(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let is_black_hole = Arc::new(AtomicBool::new(false));
        let generation = Arc::new(AtomicU32::new(0));
        let (hole, current) = (Arc::clone(&is_black_hole), Arc::clone(&generation));
        tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let server = TcpStream::connect(("127.0.0.1", server)).await.unwrap();
                let (client, server) = (client.into_split(), server.into_split());
                let own = current.load(Ordering::Relaxed);
                for (mut from, mut to) in [(client.0, server.1), (server.0, client.1)] {
                    let (hole, current) = (Arc::clone(&hole), Arc::clone(&current));
                    tokio::spawn(async move {
                        let mut bytes = [0; 8192];
                        while let Ok(length @ 1..) = from.read(&mut bytes).await {
                            let is_lost = hole.load(Ordering::Relaxed)
                                || current.load(Ordering::Relaxed) != own;
                            if is_lost {
                                // Keeps both sockets open.
                                std::future::pending::<()>().await;
                            }
                            if to.write_all(&bytes[..length]).await.is_err() {
                                break;
                            }
                        }
                    });
                }
            }
        });
        Self {
            port,
            is_black_hole,
            generation,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_carry_no_data_are_replaced_and_each_call_ends_in_time() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    for server in [cluster.port, cluster.bouncer] {
        let proxy = Proxy::start(server).await;
        let store = connect(&cluster, url(proxy.port)).await;
        save(&store, 1).await.unwrap();
        // The existing connections are lost without a trace, as by a NAT that restarts.
        proxy.generation.fetch_add(1, Ordering::Relaxed);
        let started = Instant::now();
        save(&store, 2).await.unwrap();
        assert!(started.elapsed() < Duration::from_secs(5));
        assert!(store.load("user").await.unwrap() == Some(record(2)));
        // The server's machine is gone.
        proxy.is_black_hole.store(true, Ordering::Relaxed);
        let started = Instant::now();
        let many = (0..8).map(|_| {
            let store = store.clone();
            tokio::spawn(async move { store.load("user").await })
        });
        for failed in many.collect::<Vec<_>>() {
            let error = cause(&failed.await.unwrap().unwrap_err());
            assert!(error.is_transient(), "{error:?}");
        }
        assert!(started.elapsed() < BOUND, "{:?}", started.elapsed());
        proxy.is_black_hole.store(false, Ordering::Relaxed);
        save(&store, 3).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_accepts_connections_and_hangs_is_passed_over() {
    let Some(cluster) = crate::cluster::shared() else {
        return;
    };
    // Nobody accepts, so the handshake of TCP succeeds and nothing is answered.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let hangs = listener.local_addr().unwrap().port();
    let url = format!(
        "postgres://postgres@127.0.0.1:{hangs},127.0.0.1:{}/postgres",
        cluster.port
    );
    let store = connect(cluster, url).await;
    for generation in 1..5 {
        save(&store, generation).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_is_dropped_leaves_nothing_locked() {
    let Some(cluster) = crate::cluster::shared() else {
        return;
    };
    let builder = cluster.builder(cluster.pooled()).await.connections(2);
    let store = builder.connect().await.unwrap();
    save(&store, 1).await.unwrap();
    for generation in 2..200 {
        let swap = save(&store, generation);
        // Dropped at some moment, which differs.
        let micros = Duration::from_micros(20 * generation);
        let _dropped = tokio::time::timeout(micros, swap).await;
        save(&store, generation).await.unwrap();
    }
    assert!(store.load("user").await.unwrap() == Some(record(199)));
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named_without_the_url() {
    let port = crate::cluster::free_port();
    let url = format!("postgres://user:planted@127.0.0.1:{port}/planted");
    let started = Instant::now();
    let error = PostgresStore::connect(url).await.unwrap_err();
    assert!(
        error.is_transient() && started.elapsed() < BOUND,
        "{error:?}"
    );
    let text = format!("{error} {error:?} {}", error.source().unwrap());
    assert!(
        text.contains("not reachable") && text.contains("refused"),
        "{text}"
    );
    assert!(!text.contains("planted"), "{text}");
}
