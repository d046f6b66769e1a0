//! Tests of processes that share a limit, in tokio's paused time: each limiter is a process.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use tokio::time::{Instant, sleep};

use super::simulation::{LIMIT, WINDOW, fewest_in_any, most_in_any};
use crate::clock::Clock;
use crate::transport::limit::budget::Nanos;
use crate::transport::limit::shared_limit::{
    MemoryLimit, PermitRequest, Permits, SharedLimit, SharedLimitError, SharedLimitEvent,
    SharedLimitFuture,
};
use crate::transport::limit::{Entry, Limiter, NoPermit, RateLimit, Waits};

const SECOND: Duration = Duration::from_secs(1);

/// A clock that shows tokio's time.
#[derive(Clone)]
struct TokioClock(Instant);

impl Clock for TokioClock {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600) + self.0.elapsed()
    }
}

/// A store that takes a while, and can fail or hang.
#[derive(Clone)]
struct Store {
    requests: u32,
    memory: MemoryLimit,
    is_failing: Arc<AtomicBool>,
    is_hanging: Arc<AtomicBool>,
    takes: Arc<AtomicU64>,
    events: Arc<Mutex<Vec<SharedLimitEvent>>>,
}

impl Store {
    fn new() -> Self {
        Self::of(LIMIT)
    }

    fn of(requests: usize) -> Self {
        Self {
            requests: requests as u32,
            memory: MemoryLimit::new().clock(TokioClock(Instant::now())),
            is_failing: Arc::default(),
            is_hanging: Arc::default(),
            takes: Arc::default(),
            events: Arc::default(),
        }
    }

    fn process(&self, processes: u32) -> Arc<Limiter> {
        let limit = RateLimit::new(self.requests, Duration::from_nanos(WINDOW));
        let events = Arc::clone(&self.events);
        let limit = limit
            .shared(self.clone(), processes)
            .on_shared_limit_event(move |event| events.lock().unwrap().push(event));
        Limiter::new(&limit, 256, "us-sandbox/app")
    }
}

impl SharedLimit for Store {
    fn take<'a>(&'a self, app: &'a str, request: PermitRequest) -> SharedLimitFuture<'a, Permits> {
        Box::pin(async move {
            self.takes.fetch_add(1, Ordering::SeqCst);
            sleep(Duration::from_millis(2)).await;
            if self.is_hanging.load(Ordering::SeqCst) {
                std::future::pending::<()>().await;
            }
            if self.is_failing.load(Ordering::SeqCst) {
                return Err(SharedLimitError::new(std::io::Error::other("gone")));
            }
            self.memory.take(app, request).await
        })
    }
}

/// The times at which requests were sent, of all processes.
#[derive(Clone)]
struct Log {
    start: Instant,
    sent: Arc<Mutex<Vec<Nanos>>>,
}

impl Log {
    fn new() -> Self {
        Self {
            start: Instant::now(),
            sent: Arc::default(),
        }
    }

    fn add(&self) {
        let at = self.start.elapsed().as_nanos() as Nanos;
        self.sent.lock().unwrap().push(at);
    }

    fn sent(&self) -> Vec<Nanos> {
        self.sent.lock().unwrap().clone()
    }

    /// Sends requests of a user one after another, until the process ends.
    fn saturate(&self, limiter: &Arc<Limiter>, user: String) -> tokio::task::JoinHandle<()> {
        let (log, limiter) = (self.clone(), Arc::clone(limiter));
        tokio::spawn(async move {
            while let Ok(permit) = limiter.acquire(&user, far()).await {
                log.add();
                drop(permit);
            }
        })
    }
}

fn far() -> Instant {
    Instant::now() + 1_000_000 * SECOND
}

#[track_caller]
fn check_limit(sent: &[Nanos]) {
    let most = most_in_any(WINDOW, sent);
    assert!(most <= LIMIT, "{most} in a window");
}

/// Returns the number of requests until a time, from another one on.
fn between(sent: &[Nanos], from: Duration, to: Duration) -> usize {
    let before = |at: Duration| sent.partition_point(|sent| *sent < at.as_nanos() as Nanos);
    before(to) - before(from)
}

fn windows(windows: u32) -> Duration {
    Duration::from_nanos(WINDOW) * windows
}

#[tokio::test(start_paused = true)]
async fn two_saturated_processes_never_exceed_the_limit_and_use_97_percent_of_it() {
    let store = Store::new();
    let log = Log::new();
    let processes = [store.process(2), store.process(2)];
    let mut own = Vec::new();
    for process in &processes {
        let of_process = Log {
            sent: Arc::default(),
            ..log.clone()
        };
        for user in 0..40 {
            let (log, of_process) = (log.clone(), of_process.clone());
            let process = Arc::clone(process);
            tokio::spawn(async move {
                let user = format!("user {}", user % 10);
                while let Ok(permit) = process.acquire(&user, far()).await {
                    log.add();
                    of_process.add();
                    drop(permit);
                }
            });
        }
        own.push(of_process);
    }
    sleep(windows(4)).await;
    let sent = log.sent();
    check_limit(&sent);
    // The first window has no burst.
    let used = between(&sent, windows(1), windows(4)) as f64 / (3 * LIMIT) as f64;
    assert!(used >= 0.97, "{used} of the limit");
    // A window between two bursts.
    let span = WINDOW + WINDOW / 50;
    let end = windows(4).as_nanos() as Nanos;
    let fewest = fewest_in_any(span, WINDOW, end, &sent);
    assert!(fewest >= LIMIT * 97 / 100, "{fewest} in a window");
    let shares: Vec<_> = own.iter().map(|log| log.sent().len()).collect();
    // A burst goes to the process that asks first.
    let is_fair = shares.iter().all(|share| share * 3 >= sent.len());
    assert!(is_fair, "{shares:?}");
    let statements = store.takes.load(Ordering::SeqCst) as f64;
    let per_second = statements / windows(4).as_secs_f64() / 2.0;
    assert!(
        per_second < 3.0,
        "{per_second} requests to the store per second"
    );
}

#[tokio::test(start_paused = true)]
async fn users_of_a_process_are_served_in_turn_and_light_users_wait_for_seconds_at_most() {
    let store = Store::new();
    let (log, other) = (Log::new(), store.process(2));
    for task in 0..100 {
        log.saturate(&other, format!("other {}", task % 10));
    }
    let process = store.process(2);
    let users: Vec<_> = (0..10).map(|_| Log::new()).collect();
    for (number, user) in users.iter().enumerate() {
        // Some users have many requests at a time, some have few.
        for _ in 0..number * 3 + 4 {
            user.saturate(&process, format!("user {number}"));
        }
    }
    sleep(windows(1)).await;
    let (mut total, mut longest) = (Duration::ZERO, Duration::ZERO);
    for _ in 0..200 {
        let start = Instant::now();
        drop(process.acquire("light", far()).await.unwrap());
        total += start.elapsed();
        longest = longest.max(start.elapsed());
        sleep(SECOND).await;
    }
    assert!(total < 400 * SECOND, "{total:?}");
    assert!(longest < 8 * SECOND, "{longest:?}");
    let counts: Vec<_> = users.iter().map(|user| user.sent().len()).collect();
    let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
    assert!(*least * 10 >= *most * 9, "{counts:?}");
}

#[tokio::test(start_paused = true)]
async fn a_restart_hands_out_no_new_burst() {
    let store = Store::new();
    let log = Log::new();
    // A window without requests, after which there is a burst.
    drop(store.process(1).acquire("user", far()).await.unwrap());
    sleep(windows(2)).await;
    let from = log.start.elapsed();
    for _ in 0..10 {
        let process = store.process(1);
        let tasks: Vec<_> = (0..100)
            .map(|task| log.saturate(&process, format!("user {task}")))
            .collect();
        sleep(20 * SECOND).await;
        process.close();
        for task in tasks {
            task.await.unwrap();
        }
    }
    let sent = log.sent();
    check_limit(&sent);
    let burst = between(&sent, from, from + 3 * SECOND);
    assert!((900..=1_100).contains(&burst), "{burst} at first");
    let after = between(&sent, from + 20 * SECOND, from + 200 * SECOND);
    // One for each pace.
    assert!((2_000..=2_600).contains(&after), "{after} after the burst");
}

#[tokio::test(start_paused = true)]
async fn a_process_without_calls_asks_the_store_for_nothing() {
    let store = Store::new();
    let process = store.process(2);
    sleep(windows(1)).await;
    assert_eq!(store.takes.load(Ordering::SeqCst), 0);
    drop(process.acquire("user", far()).await.unwrap());
    sleep(windows(1)).await;
    assert_eq!(store.takes.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn a_process_uses_its_part_while_the_store_fails_or_hangs() {
    // Less than the vendor's limit, so that the test is fast.
    let limit = 1_000;
    for hangs in [false, true] {
        let store = Store::of(limit);
        let log = Log::new();
        let fault = if hangs {
            &store.is_hanging
        } else {
            &store.is_failing
        };
        let processes = [store.process(2), store.process(2)];
        for task in 0..120 {
            log.saturate(&processes[task % 2], format!("user {task}"));
        }
        sleep(windows(2)).await;
        fault.store(true, Ordering::SeqCst);
        let failed_from = store.takes.load(Ordering::SeqCst);
        sleep(windows(3)).await;
        let probes = store.takes.load(Ordering::SeqCst) - failed_from;
        fault.store(false, Ordering::SeqCst);
        sleep(windows(2)).await;
        let sent = log.sent();
        // Each process reports each change once.
        let events = store.events.lock().unwrap().clone();
        let [failed, recovered] = [SharedLimitEvent::Failed, SharedLimitEvent::Recovered];
        assert_eq!(events, [failed, failed, recovered, recovered]);
        let most = most_in_any(WINDOW, &sent);
        assert!(most <= limit, "{most} in a window");
        let during = between(&sent, windows(3), windows(5));
        assert!(during >= 2 * limit * 95 / 100, "{during} while it fails");
        // Every second or two, of each process.
        assert!(
            (700..=2_000).contains(&probes),
            "{probes} requests to the store"
        );
        let after = between(&sent, windows(6), windows(7));
        assert!(after >= limit * 97 / 100, "{after} when it is back");
        let before = store.takes.load(Ordering::SeqCst);
        sleep(10 * SECOND).await;
        let takes = store.takes.load(Ordering::SeqCst) - before;
        assert!(takes >= 20, "{takes} requests to the store when it is back");
    }
}

#[tokio::test(start_paused = true)]
async fn a_process_without_waiting_calls_learns_that_the_store_is_back() {
    let store = Store::new();
    let process = store.process(2);
    store.is_failing.store(true, Ordering::SeqCst);
    drop(process.acquire("user", far()).await.unwrap());
    store.is_failing.store(false, Ordering::SeqCst);
    // Light traffic, which the part of the process allows at once.
    for _ in 0..20 {
        sleep(SECOND).await;
        drop(process.acquire("user", far()).await.unwrap());
    }
    let takes = store.takes.load(Ordering::SeqCst);
    assert!(takes >= 10, "{takes} requests to the store");
}

#[tokio::test(start_paused = true)]
async fn a_call_and_a_token_request_wait_for_the_store_for_a_second_and_within_the_deadline() {
    let store = Store::new();
    store.is_hanging.store(true, Ordering::SeqCst);
    let process = store.process(2);
    let start = Instant::now();
    let refused = process.acquire("user", start + SECOND / 3).await;
    assert!(
        matches!(refused, Err(NoPermit::RateLimit(_))),
        "{refused:?}"
    );
    let waited = start.elapsed();
    assert!(waited >= SECOND / 3 && waited < SECOND / 2, "{waited:?}");
    drop(process.acquire("user", far()).await.unwrap());
    let waited = start.elapsed();
    assert!(waited < SECOND + SECOND / 10, "{waited:?}");

    let process = store.process(2);
    let start = Instant::now();
    process.acquire_oauth(far()).await.unwrap();
    let waited = start.elapsed();
    assert!(waited < SECOND + SECOND / 10, "{waited:?}");
    // The store is not asked again at once.
    process.acquire_oauth(far()).await.unwrap();
    assert_eq!(start.elapsed(), waited);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_panics_counts_as_failed() {
    struct Panics;
    impl SharedLimit for Panics {
        fn take<'a>(&'a self, _: &'a str, _: PermitRequest) -> SharedLimitFuture<'a, Permits> {
            panic!("on purpose")
        }
    }
    // A listener that panics fails no call.
    let limit = RateLimit::default().shared(Panics, 2);
    let limit = limit.on_shared_limit_event(|_| panic!("on purpose"));
    let process = Limiter::new(&limit, 256, "app");
    let start = Instant::now();
    drop(process.acquire("user", far()).await.unwrap());
    process.acquire_oauth(far()).await.unwrap();
    assert!(start.elapsed() < SECOND, "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn token_requests_do_not_wait_behind_the_calls_of_any_process() {
    let store = Store::new();
    let log = Log::new();
    let processes = [store.process(2), store.process(2)];
    for process in &processes {
        for task in 0..60 {
            log.saturate(process, format!("user {task}"));
        }
    }
    sleep(windows(2)).await;
    let start = Instant::now();
    for number in 0..20 {
        processes[number % 2].acquire_oauth(far()).await.unwrap();
        log.add();
    }
    let waited = start.elapsed();
    assert!(waited < 20 * SECOND, "{waited:?}");
    sleep(windows(1)).await;
    check_limit(&log.sent());
}

#[tokio::test(start_paused = true)]
async fn a_429_pauses_the_user_or_the_process() {
    let store = Store::new();
    let process = store.process(2);
    drop(process.acquire("a", far()).await.unwrap());
    process.throttled("a", Some(10 * SECOND), false);
    let start = Instant::now();
    drop(process.acquire("b", far()).await.unwrap());
    assert!(start.elapsed() < SECOND, "{:?}", start.elapsed());
    drop(process.acquire("a", far()).await.unwrap());
    assert!(start.elapsed() >= 10 * SECOND, "{:?}", start.elapsed());

    sleep(windows(2)).await;
    process.throttled("a", Some(10 * SECOND), true);
    let takes = store.takes.load(Ordering::SeqCst);
    let start = Instant::now();
    let soon = process.acquire("b", start + 9 * SECOND).await;
    assert!(matches!(soon, Err(NoPermit::RateLimit(_))), "{soon:?}");
    assert_eq!(store.takes.load(Ordering::SeqCst), takes);
    drop(process.acquire("b", far()).await.unwrap());
    assert!(start.elapsed() >= 10 * SECOND, "{:?}", start.elapsed());
    // No process has a burst for a window.
    let log = Log::new();
    let other = store.process(2);
    for task in 0..100 {
        log.saturate(&other, format!("user {task}"));
    }
    sleep(30 * SECOND).await;
    let sent = log.sent().len();
    assert!((300..=500).contains(&sent), "{sent} requests in 30 s");
}

#[tokio::test(start_paused = true)]
async fn a_permit_that_is_not_used_in_time_is_lost_and_the_call_gets_another_one() {
    let store = Store::new();
    let process = store.process(2);
    let Ok(Entry::Place(place)) = process.enter("user", far()) else {
        panic!("there is no permit without the store");
    };
    place.granted(far(), &mut Waits::default()).await.unwrap();
    sleep(3 * SECOND).await;
    assert!(place.redeem().is_none());
    place.granted(far(), &mut Waits::default()).await.unwrap();
    assert!(place.redeem().is_some());
    assert_eq!(store.takes.load(Ordering::SeqCst), 2);
}

mod state {
    //! The arithmetic alone.

    use super::*;

    const FIVE_MINUTES: Duration = Duration::from_secs(300);

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600 + seconds)
    }

    fn take(state: &mut Option<Vec<u8>>, now: SystemTime, permits: u32) -> Permits {
        let request = PermitRequest::of_calls(5_000, FIVE_MINUTES, permits);
        let (new, permits) = request.apply(state.as_deref(), now);
        *state = Some(new);
        permits
    }

    /// Returns a state with an unused burst.
    fn idle(until: u64) -> Option<Vec<u8>> {
        let mut state = None;
        take(&mut state, at(until) - 2 * FIVE_MINUTES, 0);
        state
    }

    #[test]
    fn a_state_is_a_few_kilobytes_and_an_unreadable_one_counts_as_none() {
        let mut state = idle(0);
        let mut largest = 0;
        for tenths in 0..6_000 {
            let now = at(0) + Duration::from_millis(100 * tenths);
            take(&mut state, now, 25);
            // The longest state has calls and OAuth requests in each second.
            let oauth = PermitRequest::of_oauth(5_000, 300 * SECOND, 1);
            let (next, _) = oauth.apply(state.as_deref(), now);
            largest = largest.max(next.len());
            state = Some(next);
        }
        assert!((3_000..=4_096).contains(&largest), "{largest} bytes");
        let readable = state.unwrap();
        for length in [0, 1, readable.len() - 1] {
            let mut cut = Some(readable[..length].to_vec());
            assert_eq!(take(&mut cut, at(10_000), 25).granted, 1);
        }
        let huge = br#"{"version":1,"calls":[[1,18446744073709551615],[18446744073709551615,2]],"oauth":[],"without_burst":null,"kept_until":18446744073709551615,"is_oauth_next":true}"#;
        assert_eq!(take(&mut Some(huge.to_vec()), at(0), 25).granted, 1);
    }

    #[test]
    fn a_clock_that_is_set_back_neither_stops_the_limit_nor_gives_a_burst() {
        for back in [1, 10, 299, 300, 1_000, 86_400, 1_767_225_600] {
            let mut state = idle(100_000);
            assert_eq!(take(&mut state, at(100_000), 2_000).granted, 1_000);
            let now = at(100_000) - Duration::from_secs(back);
            let then = take(&mut state, now, 2_000);
            assert!(then.granted <= 25, "{} after {back} s back", then.granted);
            assert!(then.wait < Duration::from_secs(2), "{:?}", then.wait);
            let later = take(&mut state, now + Duration::from_secs(60), 2_000).granted;
            assert!((700..=830).contains(&later), "{later} after {back} s back");
        }
    }

    #[test]
    fn a_window_is_full_at_the_limit_and_its_permits_come_back_after_it() {
        let mut state = idle(0);
        let mut granted = 0;
        for second in 0..300 {
            granted += take(&mut state, at(second), 5_000).granted;
        }
        assert!((4_900..=5_000).contains(&granted), "{granted} in a window");
        let next = take(&mut state, at(300), 5_000).granted;
        assert!(next <= 20, "{next} in the next second");
        let burst = take(&mut state, at(700), 5_000).granted;
        assert_eq!(burst, 1_000);
    }

    #[test]
    fn a_time_before_1970_and_a_window_of_any_length_are_taken() {
        for window in [1, 1_000, u64::MAX / 2_000, u64::MAX] {
            for now in [SystemTime::UNIX_EPOCH - FIVE_MINUTES, at(0)] {
                let window = Duration::from_millis(window);
                let request = PermitRequest::of_calls(u32::MAX, window, 25);
                let (state, first) = request.apply(None, now);
                assert!(first.granted >= 1, "{first:?}");
                let (_, second) = request.apply(Some(&state), now);
                assert!(second.granted <= 25, "{second:?}");
            }
        }
    }
}
