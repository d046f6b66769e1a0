//! How long a call may take, how often it is repeated, how many may be sent.

use std::time::Duration;

use fullscript::{CallOptions, RateLimit, testing};

use super::{builder, client, good};
use crate::support::{Act, Misbehaving, answer_with};

#[tokio::test]
async fn the_time_of_a_call_holds_for_all_attempts() {
    let server = Misbehaving::start([Act::Silence]).await;
    let options = CallOptions::new()
        .timeout(Duration::from_millis(600))
        .attempt_timeout(Duration::from_millis(100));
    let client = client(&server.url()).with_options(options);
    let started = std::time::Instant::now();
    let error = client.get_clinic().send().await.unwrap_err();
    assert!(error.is_timeout() && error.is_transient(), "{error}");
    assert!(started.elapsed() < Duration::from_secs(3));
    assert!(server.requests().len() >= 2);
}

#[tokio::test]
async fn retry_after_is_heeded_where_there_is_time_for_it() {
    let wait =
        |seconds: &str| Act::Answer(answer_with(429, &format!("retry-after: {seconds}\r\n"), ""));
    let server = Misbehaving::start([wait("1"), good()]).await;
    let started = std::time::Instant::now();
    let client = client(&server.url());
    assert_eq!(client.get_clinic().send().await.unwrap().attempts(), 2);
    assert!(started.elapsed() >= Duration::from_secs(1));
    // Longer than the call may take: told at once.
    let server = Misbehaving::start([wait("120"), good()]).await;
    let client = super::client(&server.url());
    let error = client.get_clinic().send().await.unwrap_err();
    assert!(error.is_rate_limited() && error.is_transient(), "{error}");
    assert_eq!(error.retry_after(), Some(Duration::from_secs(120)));
    assert_eq!(server.requests().len(), 1);
    // Whoever calls now would wait for the limit, and is told so too.
    let error = client.get_clinic().send().await.unwrap_err();
    assert!(
        error.is_rate_limited() && !error.may_have_arrived(),
        "{error}"
    );
    assert!(error.retry_after().unwrap() > Duration::from_secs(60));
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn no_number_of_a_server_or_a_caller_is_too_large() {
    let forever = Act::Answer(answer_with(
        503,
        "retry-after: 18446744073709551615\r\n",
        "",
    ));
    let server = Misbehaving::start([forever, good()]).await;
    let options = CallOptions::new()
        .timeout(Duration::MAX)
        .attempt_timeout(Duration::MAX);
    let client = builder(&server.url()).options(options).build().unwrap();
    let error = client.get_clinic().send().await.unwrap_err();
    assert_eq!(error.retry_after(), Some(Duration::from_secs(86_400)));
    client.get_clinic().send().await.unwrap();
}

#[tokio::test]
async fn a_storm_of_429_ends_with_the_budget() {
    let refuse = Act::Answer(answer_with(429, "retry-after: 0\r\n", ""));
    let server = Misbehaving::start([refuse]).await;
    let client = builder(&server.url())
        .rate_limit(RateLimit::off())
        .build()
        .unwrap();
    for _ in 0..200 {
        let error = client.get_clinic().send().await.unwrap_err();
        assert!(error.is_rate_limited());
    }
    // 500 tokens at 5 a retry: 100 retries besides the 200 calls.
    assert_eq!(server.requests().len(), 300);
}

#[tokio::test]
async fn the_limit_of_requests_holds_and_can_be_turned_off() {
    let server = Misbehaving::start([good()]).await;
    let limit = RateLimit::new(3, Duration::from_secs(3_600));
    let options = CallOptions::new().timeout(Duration::from_millis(200));
    let client = builder(&server.url())
        .rate_limit(limit)
        .options(options)
        .build()
        .unwrap();
    let mut sent = 0;
    let error = loop {
        match client.get_clinic().send().await {
            Ok(_) => sent += 1,
            Err(error) => break error,
        }
    };
    assert!((1..=3).contains(&sent), "{sent}");
    assert!(
        error.is_rate_limited() && !error.may_have_arrived(),
        "{error}"
    );
    assert_eq!(error.attempts(), 0);
    assert!(error.retry_after().is_some());
    assert_eq!(server.requests().len(), sent);
    let off = builder(&server.url()).rate_limit(RateLimit::off());
    let client = off.build().unwrap();
    for _ in 0..10 {
        client.get_clinic().send().await.unwrap();
    }
    assert_eq!(server.requests().len(), sent + 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_calls_at_once_are_all_answered() {
    let fake = testing::FakeFullscript::start().await.unwrap();
    let client = fake
        .client_builder()
        .rate_limit(RateLimit::off())
        .build()
        .unwrap();
    let calls: Vec<_> = (0..10_000)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { client.get_clinic().send().await.map(|_| ()) })
        })
        .collect();
    for call in calls {
        call.await.unwrap().unwrap();
    }
    assert_eq!(fake.count("get_clinic"), 10_000);
}
