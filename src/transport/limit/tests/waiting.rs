//! Futures that wait for their turn, in tokio's paused time: a sleep here takes
//! none, and ends when nothing else is left to do.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, advance, sleep};

use crate::transport::limit::{Limiter, RateLimit, TooBusy, Turn};

const SECOND: Duration = Duration::from_secs(1);

/// One request a second, or nearly: the guard adds a 300th.
fn one_a_second() -> Arc<Limiter> {
    Arc::new(Limiter::new(RateLimit::new(1, SECOND)))
}

/// Polls once, as a stream does whose consumer then turns to something else.
fn poll<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// Waits for a turn, and says how long it took.
async fn timed(limiter: &Limiter, lane: &str) -> Duration {
    let start = Instant::now();
    limiter.turn(lane, None).await.unwrap();
    start.elapsed()
}

#[track_caller]
fn check_seconds(took: Duration, seconds: u64) {
    let expected = SECOND * 301 / 300 * seconds as u32;
    let late = took.checked_sub(expected.saturating_sub(Duration::from_millis(1)));
    let few = Duration::from_millis(20);
    assert!(late.is_some_and(|late| late < few), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn requests_of_one_user_go_first_come_first_served() {
    let limiter = one_a_second();
    let mut waiting = JoinSet::new();
    for number in 0..10 {
        let limiter = limiter.clone();
        waiting.spawn(async move {
            limiter.turn("user", None).await.unwrap();
            number
        });
    }
    for number in 0..10 {
        assert_eq!(waiting.join_next().await.unwrap().unwrap(), number);
    }
}

#[tokio::test(start_paused = true)]
async fn a_user_who_comes_late_is_served_beside_one_with_many_requests() {
    let limiter = one_a_second();
    let mut waiting = JoinSet::new();
    for _ in 0..1_000 {
        let limiter = limiter.clone();
        waiting.spawn(async move { limiter.turn("bulk", None).await });
    }
    sleep(SECOND / 2).await;
    // The next turn was bulk's already.
    let took = timed(&limiter, "light").await;
    assert!(took < SECOND * 2, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_turn_that_would_come_too_late_is_refused_at_once() {
    let limiter = one_a_second();
    limiter.turn("user", None).await.unwrap();
    let start = Instant::now();
    let refused = limiter.turn("user", Some(start + SECOND / 2)).await;
    assert_eq!(start.elapsed(), Duration::ZERO);
    check_seconds(refused.unwrap_err().wait, 1);
    // It costs nobody a turn.
    check_seconds(timed(&limiter, "user").await, 1);
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_before_count_for_the_deadline() {
    let limiter = one_a_second();
    let mut waiting = JoinSet::new();
    for lane in ["a", "a", "a", "a", "a", "b", "b"] {
        let limiter = limiter.clone();
        waiting.spawn(async move { limiter.turn(lane, None).await });
    }
    sleep(Duration::from_millis(1)).await;
    let soon = Some(Instant::now() + 3 * SECOND);
    // Four of its own and two of the other user are before it.
    check_seconds(limiter.turn("a", soon).await.unwrap_err().wait, 7);
    // The other two users have one turn each before it.
    check_seconds(limiter.turn("c", soon).await.unwrap_err().wait, 3);
    let late = Some(Instant::now() + 4 * SECOND);
    limiter.turn("c", late).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_request_that_waits_fails_at_its_deadline_at_the_latest() {
    let limiter = one_a_second();
    limiter.turn("a", None).await.unwrap();
    let until = Instant::now() + SECOND * 3 / 2;
    let mut second = pin!(limiter.turn("a", Some(until)));
    assert!(poll(second.as_mut()).is_pending());
    // The server says nothing, so the pause is a second from here.
    advance(SECOND * 9 / 10).await;
    limiter.throttled(None);
    let refused = second.await.unwrap_err();
    assert_eq!(refused.wait, SECOND);
    assert!(Instant::now() < until);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_that_has_passed_gets_no_turn() {
    let limiter = one_a_second();
    let until = Instant::now();
    advance(SECOND).await;
    let refused = limiter.turn("user", Some(until)).await;
    assert_eq!(
        refused,
        Err(TooBusy {
            wait: Duration::ZERO
        })
    );
    assert_eq!(timed(&limiter, "user").await, Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_future_gives_its_place_back() {
    let limiter = one_a_second();
    limiter.turn("user", None).await.unwrap();
    {
        let mut first = pin!(limiter.turn("user", None));
        let mut other = pin!(limiter.turn("other", None));
        assert!(poll(first.as_mut()).is_pending());
        assert!(poll(other.as_mut()).is_pending());
    }
    check_seconds(timed(&limiter, "user").await, 1);
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_behind_a_dropped_future_is_told() {
    for dropped in ["user", "other"] {
        let limiter = one_a_second();
        limiter.turn("user", None).await.unwrap();
        let start = Instant::now();
        let mut first = Box::pin(limiter.turn(dropped, None));
        assert!(poll(first.as_mut()).is_pending());
        let behind = limiter.clone();
        let behind = tokio::spawn(async move { behind.turn("user", None).await });
        sleep(SECOND / 2).await;
        drop(first);
        behind.await.unwrap().unwrap();
        check_seconds(start.elapsed(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_turn_that_was_given_but_not_taken_goes_to_the_next() {
    let limiter = one_a_second();
    limiter.turn("a", None).await.unwrap();
    let start = Instant::now();
    let mut first = Box::pin(limiter.turn("b", None));
    assert!(poll(first.as_mut()).is_pending());
    let next = limiter.clone();
    let next = tokio::spawn(async move { next.turn("c", None).await });
    // The task of the next looks, and the first, which nobody polls, is given
    // the turn.
    sleep(SECOND * 3 / 2).await;
    assert!(!next.is_finished());
    drop(first);
    next.await.unwrap().unwrap();
    assert!(start.elapsed() < SECOND * 21 / 10, "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_future_that_nobody_polls_holds_nobody_up_and_keeps_its_place() {
    let limiter = one_a_second();
    limiter.turn("a", None).await.unwrap();
    let mut idle = Box::pin(limiter.turn("idle", None));
    assert!(poll(idle.as_mut()).is_pending());
    // A turn that is not taken lapses after a second.
    assert!(timed(&limiter, "a").await < SECOND * 7 / 2);
    let behind = limiter.clone();
    let behind = tokio::spawn(async move { behind.turn("idle", None).await });
    sleep(Duration::from_millis(1)).await;
    idle.await.unwrap();
    assert!(!behind.is_finished());
    behind.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn requests_that_wait_in_a_lane_pass_a_future_that_nobody_polls() {
    let limiter = one_a_second();
    let mut waiting = JoinSet::new();
    for _ in 0..3 {
        let limiter = limiter.clone();
        waiting.spawn(async move { limiter.turn("a", None).await });
    }
    sleep(SECOND / 2).await;
    let mut idle = Box::pin(limiter.turn("idle", None));
    assert!(poll(idle.as_mut()).is_pending());
    let all = tokio::time::timeout(10 * SECOND, waiting.join_all());
    let turns = all.await.unwrap();
    assert!(turns.iter().all(Result::is_ok), "{turns:?}");
}

#[tokio::test(start_paused = true)]
async fn many_who_come_and_go_at_random_lose_no_turn() {
    let limiter = Arc::new(Limiter::new(RateLimit::new(100, SECOND)));
    let mut waiting = JoinSet::new();
    for number in 0..3_000_u64 {
        let limiter = limiter.clone();
        waiting.spawn(async move {
            sleep(Duration::from_millis(number * 7_919 % 5_000)).await;
            let lane = format!("user {}", number % 17);
            let patience = Duration::from_millis(number * 104_729 % 1_000);
            let turn = tokio::time::timeout(patience, limiter.turn(&lane, None));
            turn.await.is_ok()
        });
    }
    let sent = waiting.join_all().await.into_iter().filter(|sent| *sent);
    // Six seconds and the burst of a fifth at the start are the most there is.
    let sent = sent.count();
    assert!((480..=600).contains(&sent), "{sent}");
    // All of it is free again for those who come later.
    sleep(2 * SECOND).await;
    for _ in 0..20 {
        assert_eq!(timed(&limiter, "user").await, Duration::ZERO);
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_of_the_server_makes_all_wait() {
    let limiter = Arc::new(Limiter::new(RateLimit::default()));
    limiter.turn("user", None).await.unwrap();
    limiter.throttled(Some(30 * SECOND));
    let start = Instant::now();
    let until = Some(start + 29 * SECOND);
    let refused = limiter.turn("other", until).await;
    assert_eq!(refused, Err(TooBusy { wait: 30 * SECOND }));
    let took = timed(&limiter, "other").await;
    assert!((30 * SECOND..31 * SECOND).contains(&took), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_turn_that_was_given_before_a_refusal_is_not_taken_after_it() {
    let limiter = one_a_second();
    limiter.turn("a", None).await.unwrap();
    let mut first = Box::pin(limiter.turn("a", None));
    assert!(poll(first.as_mut()).is_pending());
    advance(SECOND * 11 / 10).await;
    let mut second = Box::pin(limiter.turn("b", None));
    assert!(poll(second.as_mut()).is_pending());
    limiter.throttled(Some(SECOND));
    let start = Instant::now();
    first.await.unwrap();
    assert!(start.elapsed() >= SECOND, "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn without_a_limit_nobody_waits() {
    for off in [RateLimit::off(), RateLimit::new(5, Duration::ZERO)] {
        let limiter = Limiter::new(off);
        limiter.throttled(Some(SECOND));
        for _ in 0..10_000 {
            let turn = pin!(limiter.turn("user", Some(Instant::now())));
            assert_eq!(poll(turn), Poll::Ready(Ok(Turn::AtOnce)));
        }
    }
}

#[test]
fn turns_can_be_awaited_on_any_thread() {
    fn check(_: impl Send) {}
    let limiter = one_a_second();
    check(limiter.turn("user", None));
}

#[test]
fn debug_shows_no_user() {
    let limiter = one_a_second();
    assert_eq!(format!("{limiter:?}"), "Limiter(..)");
}
