//! The shared rate limit under saturation: how much of it is used, and what it costs.

use std::time::{Duration, Instant};

use fullscript::testing::FakeFullscript;
use fullscript::{CallOptions, Clock, RateLimit};

use crate::checker::most_in_a_window;
use crate::cluster::shared;

const PROCESSES: u32 = 8;

/// The calls of each process at a time, more than a slice has permits.
const CALLS: usize = 30;

/// The variable that sets the window in seconds. That of the vendor has 300.
const WINDOW: &str = "FULLSCRIPT_TEST_PERMITS_WINDOW";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_processes_use_98_percent_of_what_the_limit_grants_with_two_statements_a_second() {
    let Some(cluster) = shared() else { return };
    let seconds: u32 = std::env::var(WINDOW).map_or(10, |text| text.parse().unwrap());
    let window = Duration::from_secs(seconds.into());
    // As many in a second as the vendor allows.
    let requests = seconds * 5_000 / 300;
    let url = cluster.new_database("permits").await;
    let builder = cluster.builder(url).await;
    let fake = FakeFullscript::builder().stateless().start().await.unwrap();
    let begin = fake.clock().now();
    // A permit counts for the window, the guard, the precision of times, and the life of a slice.
    let margins = window / 300 * 2 + (window / 150).max(Duration::from_secs(1));
    let counted = window + margins;
    let ends = Instant::now() + counted + window + Duration::from_secs(2);
    let mut calls = Vec::new();
    for _ in 0..PROCESSES {
        let limit = builder.connect().await.unwrap().rate_limit();
        let limit = RateLimit::new(requests, window).shared(limit, PROCESSES);
        let client = fake.client_builder().rate_limit(limit).build().unwrap();
        // Calls may wait for longer than the default deadline.
        let client = client.with_options(CallOptions::new().timeout(Duration::from_secs(3_600)));
        for _ in 0..CALLS {
            let client = client.clone();
            calls.push(tokio::spawn(async move {
                while Instant::now() < ends {
                    client.get_clinic().send().await.unwrap();
                }
            }));
        }
    }
    let before = cluster.transactions("permits").await;
    let started = Instant::now();
    tokio::time::sleep_until(ends.into()).await;
    let statements = cluster.transactions("permits").await - before;
    let each = statements as f64 / f64::from(PROCESSES) / started.elapsed().as_secs_f64();
    for call in calls {
        call.abort();
        let has_failed = call.await.is_err_and(|error| error.is_panic());
        assert!(!has_failed);
    }
    let times: Vec<Duration> = fake
        .take_requests()
        .iter()
        .map(|request| request.received_at.duration_since(begin).unwrap())
        .collect();
    let most = most_in_a_window(&times, window);
    let used = most as f64 / f64::from(requests);
    let usable = window.as_secs_f64() / counted.as_secs_f64();
    println!(
        "{most} of {requests} requests in {window:?}, {:.1} % of the limit and {:.1} % of what can \
         be used; {each:.2} statements/s of each process",
        used * 100.0,
        used / usable * 100.0
    );
    assert!(used <= 1.0, "{used}");
    assert!(used / usable >= 0.98, "{used}");
    assert!(each <= 2.0, "{each}");
}
