//! Deadlines, retry budgets, rate limits and concurrency limits.

use std::time::Duration;

use fullscript::http::Method;
use fullscript::{CallOptions, RateLimit, testing};
use httpmock::{MockServer, Then};

use super::clinic;
use crate::support::{Act, Misbehaving, answer, builder, client, on_get};

fn wait(status: u16, seconds: &str) -> impl FnOnce(Then) -> Then {
    move |then| then.status(status).header("retry-after", seconds)
}

#[tokio::test]
async fn the_timeout_of_a_call_covers_all_attempts() {
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
async fn retry_after_is_honored_within_the_deadline() {
    let server = MockServer::start_async().await;
    let busy = on_get(&server, "/api/clinic", wait(429, "1")).await;
    busy.up_to_n_times_async(1).await;
    on_get(&server, "/api/clinic", clinic).await;
    let started = std::time::Instant::now();
    let call = client(&server.base_url()).get_clinic();
    assert_eq!(call.send().await.unwrap().attempts(), 2);
    assert!(started.elapsed() >= Duration::from_secs(1));
    // The delay ends after the deadline, so the call fails immediately.
    let server = MockServer::start_async().await;
    let mock = on_get(&server, "/api/clinic", wait(429, "120")).await;
    let client = client(&server.base_url());
    let error = client.get_clinic().send().await.unwrap_err();
    assert!(error.is_rate_limited() && error.is_transient(), "{error}");
    assert_eq!(error.retry_after(), Some(Duration::from_secs(120)));
    mock.assert_async().await;
    // The next call would wait past its deadline for a permit, so it fails without a request.
    let error = client.get_clinic().send().await.unwrap_err();
    assert!(
        error.is_rate_limited() && !error.may_have_arrived(),
        "{error}"
    );
    assert!(error.retry_after().unwrap() > Duration::from_secs(50));
    mock.assert_async().await;
}

#[tokio::test]
async fn huge_delays_and_timeouts_cause_no_overflow() {
    let server = MockServer::start_async().await;
    let forever = wait(503, "18446744073709551615");
    let busy = on_get(&server, "/api/clinic", forever).await;
    busy.up_to_n_times_async(1).await;
    on_get(&server, "/api/clinic", clinic).await;
    let options = CallOptions::new()
        .timeout(Duration::MAX)
        .attempt_timeout(Duration::MAX);
    let client = client(&server.base_url()).with_options(options);
    let error = client.get_clinic().send().await.unwrap_err();
    assert_eq!(error.retry_after(), Some(Duration::from_secs(86_400)));
    client.get_clinic().send().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn retries_after_429_end_with_the_retry_budget() {
    let server = Misbehaving::start([Act::Answer(answer(429, "text/plain", ""))]).await;
    let client = builder(&server.url())
        .rate_limit(RateLimit::off())
        .build()
        .unwrap();
    for _ in 0..200 {
        let error = client.get_clinic().send().await.unwrap_err();
        assert!(error.is_rate_limited());
    }
    // The budget of 500 tokens allows 100 retries at 5 tokens each, besides the 200 first attempts.
    assert_eq!(server.requests().len(), 300);
}

#[tokio::test]
async fn the_rate_limit_is_enforced_and_can_be_disabled() {
    let server = MockServer::start_async().await;
    let mock = on_get(&server, "/api/clinic", clinic).await;
    let limit = RateLimit::new(3, Duration::from_secs(3_600));
    let options = CallOptions::new().timeout(Duration::from_millis(200));
    let client = builder(&server.base_url())
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
    mock.assert_calls_async(sent).await;
    let off = builder(&server.base_url()).rate_limit(RateLimit::off());
    let client = off.build().unwrap();
    for _ in 0..10 {
        client.get_clinic().send().await.unwrap();
    }
    mock.assert_calls_async(sent + 10).await;
}

#[tokio::test]
async fn a_body_that_is_streamed_keeps_its_slot_until_it_ends() {
    let file = answer(200, "text/plain", "file");
    let empty = Act::Answer(answer(200, "text/plain", ""));
    let cut = Act::AnswerAndClose(file.replace("length: 4", "length: 5"));
    let whole = Act::Answer(file);
    for (act, is_read) in [
        (whole.clone(), true),
        (whole, false),
        (empty, true),
        (cut, true),
    ] {
        let server = Misbehaving::start([act, Act::Silence]).await;
        let client = builder(&server.url()).concurrency(2).build().unwrap();
        let stream = client.request(Method::GET, "/api/file").send_bytes();
        let mut stream = stream.await.unwrap().into_inner();
        let mut calls = tokio::task::JoinSet::new();
        for _ in 0..2 {
            calls.spawn(client.get_clinic().send());
        }
        while server.requests().len() < 2 {
            tokio::task::yield_now().await;
        }
        // Both calls wait for one slot, as long as the body is not read.
        for _ in 0..1_000 {
            tokio::task::yield_now().await;
        }
        assert_eq!(server.requests().len(), 2);
        if is_read {
            while let Ok(Some(_)) = stream.chunk().await {}
        }
        let ended = is_read.then_some(stream);
        while server.requests().len() < 3 {
            tokio::task::yield_now().await;
        }
        drop(ended);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_concurrent_calls_all_complete() {
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
