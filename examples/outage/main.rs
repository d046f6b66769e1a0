//! What one user sees while other users, or the token endpoint, are in trouble.
//!
//! ```text
//! cargo run --release --example outage
//! ```
//!
//! Everything runs in this process against the embedded fake, in about 45 s. The table shows the
//! calls of one healthy user in each phase, and the token requests of all users.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "an example prints, and stops if it cannot go on"
)]

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use fullscript::RateLimit;
use fullscript::auth::OAuthApp;
use fullscript::testing::{FakeFullscript, Fault, Script};
use serde_json::json;
use tokio::task::JoinSet;

/// The number of users whose tokens are expired when the token endpoint fails.
const USERS: usize = 1_500;

/// The time between two calls of the healthy user.
const INTERVAL: Duration = Duration::from_millis(25);

/// The time between two calls of each other user.
const OTHERS_INTERVAL: Duration = Duration::from_secs(3);

const PHASE: Duration = Duration::from_secs(8);

#[tokio::main]
async fn main() {
    println!("| trial | phase | calls | failures | p50 | p99 | token requests |");
    println!("|---|---|---:|---:|---:|---:|---:|");
    token_endpoint_fails().await;
    slow_calls_of_another_user().await;
    too_many_requests_of_another_user().await;
    operations_that_refuse_tokens().await;
}

/// 1,500 users have expired tokens while the token endpoint fails, first with 503, then silently.
async fn token_endpoint_fails() {
    let fake = FakeFullscript::start().await.unwrap();
    // The calls of all users fit into this limit: it is not what the trial is about.
    let limit = RateLimit::new(20_000, Duration::from_secs(300));
    let app = fake.app_builder().rate_limit(limit).build().unwrap();
    let users: Vec<_> = (0..USERS).map(|number| format!("user-{number}")).collect();
    for user in &users {
        connect(&fake, &app, user).await;
    }
    fake.advance(Duration::from_secs(7_200)).await;
    connect(&fake, &app, "healthy").await;
    let trial = "token endpoint fails, 1,500 users with expired tokens";
    measure(&fake, &app, trial, "before", PHASE).await;

    let outage = Arc::new(AtomicBool::new(true));
    fake.fault("create_oauth_token", Fault::status(503));
    let mut others = JoinSet::new();
    for (number, user) in users.into_iter().enumerate() {
        others.spawn(call_until_success(
            app.clone(),
            user,
            number,
            outage.clone(),
        ));
    }
    measure(&fake, &app, trial, "status 503", PHASE).await;
    fake.fault("create_oauth_token", Fault::silence());
    measure(&fake, &app, trial, "no response", PHASE).await;
    let most = most_requests_of_a_user(&fake);
    fake.end_faults();
    outage.store(false, Ordering::Relaxed);
    let ended = Instant::now();
    let (recovered, ()) = tokio::join!(
        async {
            let mut slowest = Duration::ZERO;
            while let Some(recovered) = others.join_next().await {
                slowest = slowest.max(recovered.unwrap().duration_since(ended));
            }
            slowest
        },
        measure(&fake, &app, trial, "after", PHASE)
    );
    println!(
        "\nToken requests of one user during the outage: {most} at most. \
         The last of {USERS} users had a new token {:.1} s after the outage.\n",
        recovered.as_secs_f64()
    );
    println!("| trial | phase | calls | failures | p50 | p99 | token requests |");
    println!("|---|---|---:|---:|---:|---:|---:|");
}

/// Another user makes 1,000 calls that take a second each.
async fn slow_calls_of_another_user() {
    let fake = FakeFullscript::start().await.unwrap();
    let app = fake.app_builder().build().unwrap();
    connect(&fake, &app, "healthy").await;
    connect(&fake, &app, "slow").await;
    let trial = "1,000 slow calls of another user";
    measure(&fake, &app, trial, "before", PHASE / 4).await;
    let slow = Script::json(200, &json!({"orders": []})).after(Duration::from_secs(1));
    fake.answer("list_orders", slow);
    let mut calls = JoinSet::new();
    for _ in 0..1_000 {
        let client = app.client("slow");
        calls.spawn(async move { client.list_orders().send().await.is_ok() });
    }
    measure(&fake, &app, trial, "during", PHASE / 2).await;
    let completed = calls.join_all().await;
    assert!(completed.into_iter().all(|is_ok| is_ok));
}

/// The server refuses another user's calls with 429.
async fn too_many_requests_of_another_user() {
    let fake = FakeFullscript::start().await.unwrap();
    let app = fake.app_builder().build().unwrap();
    connect(&fake, &app, "healthy").await;
    connect(&fake, &app, "refused").await;
    let trial = "429 with `Retry-After: 300` for another user";
    measure(&fake, &app, trial, "before", PHASE / 4).await;
    fake.fault("list_orders", Fault::rate_limited(Duration::from_secs(300)));
    let refused = app.client("refused").list_orders().send().await;
    assert!(refused.unwrap_err().is_rate_limited());
    measure(&fake, &app, trial, "during", PHASE / 4).await;
}

/// Two operations respond with 401 to every token.
async fn operations_that_refuse_tokens() {
    let fake = FakeFullscript::start().await.unwrap();
    let app = fake.app_builder().build().unwrap();
    connect(&fake, &app, "healthy").await;
    let trial = "two operations refuse every token, called 60 times";
    measure(&fake, &app, trial, "before", PHASE / 4).await;
    fake.fault("list_orders", Fault::expired_token());
    fake.fault("list_patients", Fault::expired_token());
    let client = app.client("healthy");
    let refused = async {
        for _ in 0..30 {
            assert!(client.list_orders().send().await.is_err());
            assert!(client.list_patients().send().await.is_err());
        }
    };
    tokio::join!(measure(&fake, &app, trial, "during", PHASE / 4), refused);
}

async fn connect(fake: &FakeFullscript, app: &OAuthApp, user: &str) {
    let request = app.authorize();
    let callback = fake.approve(request.url(), user);
    let code = app.callback(&callback, request.state()).unwrap();
    app.exchange(code).await.unwrap();
}

/// Calls the API as the healthy user for some time, and prints a line of the table.
async fn measure(
    fake: &FakeFullscript,
    app: &OAuthApp,
    trial: &str,
    phase: &str,
    duration: Duration,
) {
    let token_requests = || fake.count("create_oauth_token");
    let before = token_requests();
    let client = app.client("healthy");
    let end = Instant::now() + duration;
    let mut calls = JoinSet::new();
    let mut ticks = tokio::time::interval(INTERVAL);
    while Instant::now() < end {
        ticks.tick().await;
        let client = client.clone();
        calls.spawn(async move {
            let started = Instant::now();
            let is_ok = client.get_clinic().send().await.is_ok();
            (is_ok, started.elapsed())
        });
    }
    let results = calls.join_all().await;
    let failures = results.iter().filter(|(is_ok, _)| !is_ok).count();
    let mut times: Vec<_> = results
        .iter()
        .map(|(_, time)| time.as_secs_f64() * 1e3)
        .collect();
    times.sort_by(f64::total_cmp);
    let percentile = |percent: usize| times[(times.len() * percent / 100).min(times.len() - 1)];
    println!(
        "| {trial} | {phase} | {} | {failures} | {:.1} ms | {:.1} ms | {} |",
        times.len(),
        percentile(50),
        percentile(99),
        token_requests() - before
    );
}

/// Calls the API as another user until a call succeeds, and returns when that was.
///
/// The calls are spread over the interval. After the outage, the user calls every second.
async fn call_until_success(
    app: OAuthApp,
    user: String,
    number: usize,
    outage: Arc<AtomicBool>,
) -> Instant {
    let client = app.client(&user);
    tokio::time::sleep(OTHERS_INTERVAL * u32::try_from(number).unwrap() / USERS as u32).await;
    while client.get_clinic().send().await.is_err() {
        let interval = if outage.load(Ordering::Relaxed) {
            OTHERS_INTERVAL
        } else {
            Duration::from_secs(1)
        };
        tokio::time::sleep(interval).await;
    }
    Instant::now()
}

/// Returns the largest number of refresh requests with the same refresh token.
fn most_requests_of_a_user(fake: &FakeFullscript) -> usize {
    let mut requests: HashMap<String, usize> = HashMap::new();
    for request in fake.requests() {
        let body = request.body.unwrap_or_default();
        if let Some(token) = body["refresh_token"].as_str() {
            *requests.entry(token.into()).or_default() += 1;
        }
    }
    requests.into_values().max().unwrap_or(0)
}
