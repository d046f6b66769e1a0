//! Tests of futures that wait for a permit, in tokio's paused time: a sleep takes no real time, and
//! ends when all other tasks are idle.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, advance, sleep};

use crate::transport::limit::{Entry, Limiter, NoPermit, Permit, Place, RateLimit, Waits};

pub(super) const SECOND: Duration = Duration::from_secs(1);

impl Limiter {
    /// Waits until a user's request may be sent, and counts it as sent.
    pub(super) async fn acquire(&self, user: &str, until: Instant) -> Result<Permit<'_>, NoPermit> {
        let place = match self.enter(user, until)? {
            Entry::Permit(permit) => return Ok(permit),
            Entry::Place(place) => place,
        };
        loop {
            place.granted(until, &mut Waits::default()).await?;
            if let Some(permit) = place.redeem() {
                return Ok(permit);
            }
        }
    }
}

/// A deadline after all permits of a test.
pub(super) fn far() -> Instant {
    Instant::now() + 1_000_000 * SECOND
}

/// Creates a limiter of one request per second; the margin adds 1/300 of a second.
fn one_per_second() -> Arc<Limiter> {
    Limiter::new(&RateLimit::new(1, SECOND), 1_000, "")
}

/// Polls a future once, like a stream whose consumer is then busy.
pub(super) fn poll<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// Acquires a permit, and returns how long that took.
pub(super) async fn timed(limiter: &Limiter, user: &str) -> Duration {
    let start = Instant::now();
    drop(limiter.acquire(user, far()).await.unwrap());
    start.elapsed()
}

#[track_caller]
fn check_seconds(took: Duration, seconds: u64) {
    let expected = SECOND * 301 / 300 * seconds as u32;
    let late = took.checked_sub(expected.saturating_sub(Duration::from_millis(1)));
    let few = Duration::from_millis(20);
    assert!(late.is_some_and(|late| late < few), "{took:?}");
}

/// Returns the time after which a request that the rate limit refused may be sent.
#[track_caller]
fn wait(refused: Result<Permit<'_>, NoPermit>) -> Duration {
    match refused {
        Err(NoPermit::RateLimit(wait)) => wait,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn requests_of_one_user_are_sent_in_order() {
    let limiter = one_per_second();
    let mut waiting = JoinSet::new();
    for number in 0..10 {
        let limiter = limiter.clone();
        waiting.spawn(async move {
            let _permit = limiter.acquire("user", far()).await.unwrap();
            number
        });
    }
    for number in 0..10 {
        assert_eq!(waiting.join_next().await.unwrap().unwrap(), number);
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_user_is_served_beside_a_user_with_many_requests() {
    let limiter = one_per_second();
    let mut waiting = JoinSet::new();
    for _ in 0..1_000 {
        let limiter = limiter.clone();
        waiting.spawn(async move { limiter.acquire("bulk", far()).await.is_ok() });
    }
    sleep(SECOND / 2).await;
    // The next permit was already due to the bulk user.
    let took = timed(&limiter, "light").await;
    assert!(took < SECOND * 2, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_permit_after_the_deadline_is_refused_at_once() {
    let limiter = one_per_second();
    drop(limiter.acquire("user", far()).await.unwrap());
    let start = Instant::now();
    let refused = limiter.acquire("user", start + SECOND / 2).await;
    assert_eq!(start.elapsed(), Duration::ZERO);
    check_seconds(wait(refused), 1);
    // The refusal uses no permit.
    check_seconds(timed(&limiter, "user").await, 1);
}

#[tokio::test(start_paused = true)]
async fn requests_ahead_in_the_queue_count_against_the_deadline() {
    let limiter = one_per_second();
    let mut waiting = JoinSet::new();
    for user in ["a", "a", "a", "a", "a", "b", "b"] {
        let limiter = limiter.clone();
        waiting.spawn(async move { limiter.acquire(user, far()).await.is_ok() });
    }
    sleep(Duration::from_millis(1)).await;
    let soon = Instant::now() + 3 * SECOND;
    // Four requests of the same user and two of the other are ahead.
    check_seconds(wait(limiter.acquire("a", soon).await), 7);
    // Each of the other two users has one permit ahead.
    check_seconds(wait(limiter.acquire("c", soon).await), 3);
    let late = Instant::now() + 4 * SECOND;
    drop(limiter.acquire("c", late).await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_waiting_request_fails_at_its_deadline_at_the_latest() {
    let limiter = one_per_second();
    drop(limiter.acquire("a", far()).await.unwrap());
    let until = Instant::now() + SECOND * 3 / 2;
    let mut second = pin!(limiter.acquire("a", until));
    assert!(poll(second.as_mut()).is_pending());
    // Without `Retry-After`, the pause is one second from now.
    advance(SECOND * 9 / 10).await;
    limiter.throttled("", None, true);
    let refused = second.await.unwrap_err();
    assert_eq!(refused, NoPermit::RateLimit(SECOND));
    assert!(Instant::now() < until);
}

#[tokio::test(start_paused = true)]
async fn a_passed_deadline_gets_no_permit() {
    let limiter = one_per_second();
    let until = Instant::now();
    advance(SECOND).await;
    let refused = limiter.acquire("user", until).await;
    assert_eq!(wait(refused), Duration::ZERO);
    assert_eq!(timed(&limiter, "user").await, Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_future_leaves_the_queue() {
    let limiter = one_per_second();
    drop(limiter.acquire("user", far()).await.unwrap());
    {
        let mut first = pin!(limiter.acquire("user", far()));
        let mut other = pin!(limiter.acquire("other", far()));
        assert!(poll(first.as_mut()).is_pending());
        assert!(poll(other.as_mut()).is_pending());
    }
    check_seconds(timed(&limiter, "user").await, 1);
}

#[tokio::test(start_paused = true)]
async fn the_next_request_after_a_dropped_future_is_notified() {
    for dropped in ["user", "other"] {
        let limiter = one_per_second();
        drop(limiter.acquire("user", far()).await.unwrap());
        let start = Instant::now();
        let mut first = Box::pin(limiter.acquire(dropped, far()));
        assert!(poll(first.as_mut()).is_pending());
        let behind = limiter.clone();
        let behind = tokio::spawn(async move { behind.acquire("user", far()).await.is_ok() });
        sleep(SECOND / 2).await;
        drop(first);
        assert!(behind.await.unwrap());
        check_seconds(start.elapsed(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_permit_of_a_dropped_future_goes_to_the_next_request() {
    let limiter = one_per_second();
    drop(limiter.acquire("a", far()).await.unwrap());
    let start = Instant::now();
    let mut first = Box::pin(limiter.acquire("b", far()));
    assert!(poll(first.as_mut()).is_pending());
    let next = limiter.clone();
    let next = tokio::spawn(async move { next.acquire("c", far()).await.is_ok() });
    // The task of the second request grants the permit to the first, which is not polled.
    sleep(SECOND * 3 / 2).await;
    assert!(!next.is_finished());
    drop(first);
    assert!(next.await.unwrap());
    assert!(start.elapsed() < SECOND * 21 / 10, "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn an_unpolled_future_delays_no_other_user_and_keeps_its_place() {
    let limiter = one_per_second();
    drop(limiter.acquire("a", far()).await.unwrap());
    let mut idle = Box::pin(limiter.acquire("idle", far()));
    assert!(poll(idle.as_mut()).is_pending());
    // A permit that is not redeemed expires after a second.
    assert!(timed(&limiter, "a").await < SECOND * 7 / 2);
    let behind = limiter.clone();
    let behind = tokio::spawn(async move { behind.acquire("idle", far()).await.is_ok() });
    sleep(Duration::from_millis(1)).await;
    drop(idle.await.unwrap());
    assert!(!behind.is_finished());
    assert!(behind.await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn waiting_requests_of_a_user_pass_an_unpolled_future_of_another() {
    let limiter = one_per_second();
    let mut waiting = JoinSet::new();
    for _ in 0..3 {
        let limiter = limiter.clone();
        waiting.spawn(async move { limiter.acquire("a", far()).await.is_ok() });
    }
    sleep(SECOND / 2).await;
    let mut idle = Box::pin(limiter.acquire("idle", far()));
    assert!(poll(idle.as_mut()).is_pending());
    let all = tokio::time::timeout(10 * SECOND, waiting.join_all());
    let permits = all.await.unwrap();
    assert!(permits.iter().all(|sent| *sent), "{permits:?}");
}

#[tokio::test(start_paused = true)]
async fn no_permit_is_lost_when_many_futures_are_dropped_at_random() {
    let limiter = Limiter::new(&RateLimit::new(100, SECOND), 10_000, "");
    let mut waiting = JoinSet::new();
    for number in 0..3_000_u64 {
        let limiter = limiter.clone();
        waiting.spawn(async move {
            sleep(Duration::from_millis(number * 7_919 % 5_000)).await;
            let user = format!("user {}", number % 17);
            let timeout = Duration::from_millis(number * 104_729 % 1_000);
            let permit = tokio::time::timeout(timeout, limiter.acquire(&user, far()));
            permit.await.is_ok()
        });
    }
    let sent = waiting.join_all().await.into_iter().filter(|sent| *sent);
    // The maximum is six seconds of permits and the burst of a fifth at the start.
    let sent = sent.count();
    assert!((480..=600).contains(&sent), "{sent}");
    // Later requests can use the whole limit again.
    sleep(2 * SECOND).await;
    for _ in 0..20 {
        assert_eq!(timed(&limiter, "user").await, Duration::ZERO);
    }
}

#[tokio::test(start_paused = true)]
async fn a_429_delays_all_users() {
    let limiter = Limiter::new(&RateLimit::default(), 256, "");
    drop(limiter.acquire("user", far()).await.unwrap());
    limiter.throttled("", Some(30 * SECOND), true);
    let start = Instant::now();
    let until = start + 29 * SECOND;
    let refused = limiter.acquire("other", until).await;
    assert_eq!(wait(refused), 30 * SECOND);
    let took = timed(&limiter, "other").await;
    assert!((30 * SECOND..31 * SECOND).contains(&took), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_permit_granted_before_a_429_is_not_redeemed_after_it() {
    let limiter = one_per_second();
    drop(limiter.acquire("a", far()).await.unwrap());
    let mut first = Box::pin(limiter.acquire("a", far()));
    assert!(poll(first.as_mut()).is_pending());
    advance(SECOND * 11 / 10).await;
    let mut second = Box::pin(limiter.acquire("b", far()));
    assert!(poll(second.as_mut()).is_pending());
    limiter.throttled("", Some(SECOND), true);
    let start = Instant::now();
    drop(first.await.unwrap());
    assert!(start.elapsed() >= SECOND, "{:?}", start.elapsed());
}

/// Enters the queue of a limiter that has no permit.
fn place<'l>(limiter: &'l Limiter, user: &str) -> Place<'l> {
    match limiter.enter(user, far()) {
        Ok(Entry::Place(place)) => place,
        _ => panic!("a permit is free"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_leaves_the_queue_pays_nothing_and_returns_to_its_place() {
    let limiter = one_per_second();
    drop(limiter.acquire("user", far()).await.unwrap());
    let start = Instant::now();
    let [first, second, third] = ["user", "user", "user"].map(|user| place(&limiter, user));
    first.granted(far(), &mut Waits::default()).await.unwrap();
    check_seconds(start.elapsed(), 1);
    // Its token expired.
    first.leave();
    assert!(first.redeem().is_none());
    second.granted(far(), &mut Waits::default()).await.unwrap();
    check_seconds(start.elapsed(), 1);
    drop(second.redeem().unwrap());
    let [mut one, mut other] = [Waits::default(); 2];
    let mut returned = pin!(first.granted(far(), &mut one));
    let mut waiting = pin!(third.granted(far(), &mut other));
    assert!(poll(returned.as_mut()).is_pending() && poll(waiting.as_mut()).is_pending());
    returned.await.unwrap();
    assert!(first.redeem().is_some());
    check_seconds(start.elapsed(), 2);
    waiting.await.unwrap();
    check_seconds(start.elapsed(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_permit_that_was_withdrawn_is_not_redeemed() {
    let limiter = one_per_second();
    drop(limiter.acquire("user", far()).await.unwrap());
    let place = place(&limiter, "user");
    place.granted(far(), &mut Waits::default()).await.unwrap();
    limiter.throttled("user", Some(5 * SECOND), false);
    assert!(place.redeem().is_none());
    let start = Instant::now();
    place.granted(far(), &mut Waits::default()).await.unwrap();
    assert_eq!(start.elapsed(), 5 * SECOND);
    assert!(place.redeem().is_some() && place.redeem().is_none());
}

#[tokio::test(start_paused = true)]
async fn without_a_limit_no_request_waits() {
    for off in [RateLimit::off(), RateLimit::new(5, Duration::ZERO)] {
        let limiter = Limiter::new(&off, usize::MAX, "");
        limiter.throttled("", Some(SECOND), true);
        for _ in 0..10_000 {
            let permit = pin!(limiter.acquire("user", Instant::now()));
            assert!(matches!(poll(permit), Poll::Ready(Ok(_))));
        }
    }
}

#[test]
fn permits_can_be_awaited_on_any_thread() {
    fn check(_: impl Send) {}
    let limiter = one_per_second();
    check(limiter.acquire("user", far()));
}

#[test]
fn debug_shows_no_user() {
    let limiter = one_per_second();
    assert_eq!(format!("{limiter:?}"), "Limiter(..)");
}

#[test]
fn a_permit_costs_little_beside_fifty_thousand_waiting_users() {
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut took = [0, 50_000].map(|waiting| {
            let limiter = Limiter::new(&RateLimit::new(10, SECOND), 100_000, "");
            let users: Vec<_> = (0..waiting)
                .map(|number| format!("user {number}"))
                .collect();
            let mut places: Vec<_> = users
                .iter()
                .map(|user| Box::pin(limiter.acquire(user, far())))
                .collect();
            for place in &mut places {
                let _first_ten = poll(place.as_mut());
            }
            let start = std::time::Instant::now();
            for _ in 0..10_000 {
                let mut place = pin!(limiter.acquire("another", far()));
                let _waits = poll(place.as_mut());
            }
            start.elapsed()
        });
        took.sort();
        assert!(took[1] < 20 * took[0], "{took:?}");
    });
}

#[tokio::test(start_paused = true)]
async fn a_closed_limiter_refuses_requests_and_waits_for_those_in_flight() {
    let limiter = Limiter::new(&RateLimit::default(), 2, "");
    let permits = [
        limiter.acquire("a", far()).await.unwrap(),
        limiter.acquire("b", far()).await.unwrap(),
    ];
    let waiting = limiter.clone();
    let waiting = tokio::spawn(async move { waiting.acquire("c", far()).await.err() });
    sleep(SECOND).await;
    limiter.close();
    assert_eq!(waiting.await.unwrap(), Some(NoPermit::Closed));
    let refused = limiter.acquire("a", far()).await;
    assert_eq!(refused.unwrap_err(), NoPermit::Closed);
    assert_eq!(limiter.in_flight(), 2);
    let drained = limiter.clone();
    let drained = tokio::spawn(async move { drained.drained().await });
    for permit in permits {
        sleep(SECOND).await;
        assert!(!drained.is_finished());
        drop(permit);
    }
    drained.await.unwrap();
    limiter.drained().await;
}

#[tokio::test(start_paused = true)]
async fn unpolled_futures_of_a_user_delay_the_same_user_by_seconds_only() {
    for (idle, concurrency) in [(1, 1_000), (3, 1_000), (1, 1), (3, 2)] {
        let limit = RateLimit::new(1, SECOND);
        let limiter = Limiter::new(&limit, concurrency, "");
        let permit = limiter.acquire("a", far()).await.unwrap();
        let mut unpolled: Vec<_> = (0..idle)
            .map(|_| Box::pin(limiter.acquire("a", far())))
            .collect();
        for future in &mut unpolled {
            assert!(poll(future.as_mut()).is_pending());
        }
        if concurrency > 2 {
            drop(permit);
        } else {
            let start = Instant::now();
            let mut live = pin!(limiter.acquire("a", far()));
            assert!(poll(live.as_mut()).is_pending());
            drop(permit);
            drop(live.await.unwrap());
            let took = start.elapsed();
            assert!(took < 20 * SECOND, "{idle} {concurrency}: {took:?}");
            continue;
        }
        let took = timed(&limiter, "a").await;
        assert!(took < 20 * SECOND, "{idle} {concurrency}: {took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_closed_limiter_grants_nothing_to_futures_that_wait() {
    for polled in [false, true] {
        let limiter = Limiter::new(&RateLimit::off(), 1, "");
        let permit = limiter.acquire("a", far()).await.unwrap();
        let mut idle = Box::pin(limiter.acquire("b", far()));
        assert!(poll(idle.as_mut()).is_pending());
        limiter.close();
        let closing = limiter.clone();
        let closing = tokio::spawn(async move { closing.drained().await });
        tokio::task::yield_now().await;
        drop(permit);
        if polled {
            assert_eq!(idle.await.unwrap_err(), NoPermit::Closed);
        }
        let drained = tokio::time::timeout(SECOND, closing).await;
        drained.expect("the last permit was dropped").unwrap();
        assert_eq!(limiter.in_flight(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_limiter_that_is_closed_after_a_grant_is_drained() {
    let limiter = Limiter::new(&RateLimit::off(), 1, "");
    let permit = limiter.acquire("a", far()).await.unwrap();
    let mut granted = Box::pin(limiter.acquire("b", far()));
    assert!(poll(granted.as_mut()).is_pending());
    drop(permit);
    limiter.close();
    let drained = tokio::time::timeout(SECOND, limiter.drained()).await;
    drained.expect("nothing is in flight");
    assert_eq!(granted.await.unwrap_err(), NoPermit::Closed);
}

#[tokio::test(start_paused = true)]
async fn oauth_requests_are_sent_beside_a_saturating_job() {
    let limiter = Limiter::new(&RateLimit::new(100, 10 * SECOND), 1_000, "");
    let mut waiting = JoinSet::new();
    for _ in 0..2_000 {
        let limiter = limiter.clone();
        waiting.spawn(async move { limiter.acquire("bulk", far()).await.is_ok() });
    }
    sleep(25 * SECOND).await;
    let mut longest = Duration::ZERO;
    // Nearly a tenth of the limit.
    for _ in 0..40 {
        let start = Instant::now();
        let sent = limiter.acquire_oauth(start + 30 * SECOND).await;
        longest = longest.max(start.elapsed());
        sent.unwrap();
        sleep(SECOND * 21 / 20).await;
    }
    assert!(longest < SECOND / 2, "{longest:?}");
}
