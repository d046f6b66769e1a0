//! Tests of the concurrency limit, in tokio's paused time.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::waiting::{SECOND, far, poll, timed};
use crate::transport::limit::{Limiter, NoPermit, RateLimit};

#[tokio::test(start_paused = true)]
async fn streamed_bodies_have_half_of_the_slots_at_most() {
    for (slots, expected) in [(1, 0), (2, 1), (3, 1), (8, 4)] {
        let limiter = Limiter::new(&RateLimit::off(), slots, "");
        let mut streams = Vec::new();
        // No caller ever reads its body.
        for _ in 0..3 * slots {
            let permit = limiter.acquire("", Instant::now()).await.unwrap();
            streams.extend(permit.into_stream(&limiter));
        }
        assert_eq!(streams.len(), expected);
        assert_eq!(limiter.in_flight(), expected);
        drop(streams);
        assert_eq!(limiter.in_flight(), 0);
        let permit = limiter.acquire("", Instant::now()).await.unwrap();
        assert_eq!(permit.into_stream(&limiter).is_some(), expected > 0);
    }
}

#[tokio::test(start_paused = true)]
async fn one_user_with_slow_requests_leaves_slots_for_the_others() {
    for concurrency in [4, 20, 256] {
        let limiter = Limiter::new(&RateLimit::default(), concurrency, "");
        let mut slow = JoinSet::new();
        for _ in 0..900 {
            let limiter = limiter.clone();
            slow.spawn(async move {
                let _permit = limiter.acquire("slow", far()).await.unwrap();
                sleep(10 * SECOND).await;
            });
        }
        sleep(SECOND).await;
        let start = Instant::now();
        let reserved = concurrency / 4;
        let others: Vec<_> = (0..reserved)
            .map(|number| format!("user {number}"))
            .collect();
        let mut permits = Vec::new();
        for user in &others {
            permits.push(limiter.acquire(user, far()).await.unwrap());
        }
        assert_eq!(start.elapsed(), Duration::ZERO);
        // The next user waits for the first slot that is free, before the other 800 requests.
        let took = timed(&limiter, "next").await;
        assert!(took <= 9 * SECOND, "{took:?}");
        drop(permits);
        slow.join_all().await;
    }
}

#[tokio::test(start_paused = true)]
async fn slots_go_round_robin_to_the_users_that_wait() {
    let limiter = Limiter::new(&RateLimit::off(), 2, "");
    let mut waiting = JoinSet::new();
    for (number, user) in ["a", "a", "a", "a", "b", "b", "c"].into_iter().enumerate() {
        let limiter = limiter.clone();
        waiting.spawn(async move {
            sleep(Duration::from_millis(number as u64)).await;
            let _permit = limiter.acquire(user, far()).await.unwrap();
            sleep(SECOND).await;
            user
        });
    }
    let mut order = Vec::new();
    while let Some(user) = waiting.join_next().await {
        order.push(user.unwrap());
    }
    assert_eq!(order, ["a", "a", "b", "c", "a", "b", "a"]);
}

#[tokio::test(start_paused = true)]
async fn a_request_without_a_slot_fails_at_its_deadline_and_names_the_concurrency_limit() {
    let limiter = Limiter::new(&RateLimit::default(), 1, "");
    let _permit = limiter.acquire("a", far()).await.unwrap();
    let start = Instant::now();
    let refused = limiter.acquire("b", start + 5 * SECOND).await;
    assert_eq!(refused.unwrap_err(), NoPermit::Concurrency);
    assert_eq!(start.elapsed(), 5 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_slot_passes_an_unpolled_future() {
    let limiter = Limiter::new(&RateLimit::off(), 1, "");
    let permit = limiter.acquire("a", far()).await.unwrap();
    let mut idle = Box::pin(limiter.acquire("idle", far()));
    assert!(poll(idle.as_mut()).is_pending());
    let behind = limiter.clone();
    let behind = tokio::spawn(async move { behind.acquire("b", far()).await.is_ok() });
    sleep(SECOND).await;
    let start = Instant::now();
    drop(permit);
    assert!(behind.await.unwrap());
    assert!(start.elapsed() <= 2 * SECOND, "{:?}", start.elapsed());
    drop(idle.await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn slots_come_back_whatever_happens_at_random() {
    let limiter = Limiter::new(&RateLimit::new(200, SECOND), 8, "");
    let mut calls = JoinSet::new();
    for number in 0..4_000_u64 {
        let limiter = limiter.clone();
        calls.spawn(async move {
            sleep(Duration::from_millis(number * 7_919 % 30_000)).await;
            let user = format!("user {}", number % 7);
            let patience = Duration::from_millis(number * 104_729 % 2_000);
            let permit = limiter.acquire(&user, Instant::now() + 2 * patience);
            if let Ok(Ok(permit)) = tokio::time::timeout(patience, permit).await {
                sleep(Duration::from_millis(number * 31 % 90)).await;
                if number % 97 == 0 {
                    let after = (number % 2 == 0).then_some(SECOND / 3);
                    limiter.throttled(&user, after, number % 5 == 0);
                }
                drop(permit);
            }
        });
    }
    while let Some(call) = calls.join_next().await {
        call.unwrap();
    }
    assert_eq!(limiter.in_flight(), 0);
    sleep(130 * SECOND).await;
    let users: Vec<_> = (0..8).map(|number| format!("user {number}")).collect();
    let mut all = Vec::new();
    for user in &users {
        all.push(limiter.acquire(user, Instant::now()).await.unwrap());
    }
}
