//! A simulation of users that send requests through the queue.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::time::Duration;

use crate::transport::limit::RateLimit;
use crate::transport::limit::budget::{Nanos, nanos};
use crate::transport::limit::queue::{Admission, Check, Queue, Waiter};
use crate::transport::limit::supply::{OauthStep, Supply};

pub(super) const SECOND: Nanos = 1_000_000_000;
pub(super) const WINDOW: Nanos = 300 * SECOND;
pub(super) const LIMIT: usize = 5_000;

/// Returns when a user makes the next request, given the time at which the last one was sent.
pub(super) type Habit = Box<dyn FnMut(Nanos, &mut Random) -> Option<Nanos>>;

pub(super) struct Simulation {
    queue: Queue<usize>,
    users: Vec<User>,
    /// The events by time, numbered so that the order is deterministic.
    events: BinaryHeap<Reverse<(Nanos, usize, Event)>>,
    scheduled: usize,
    waited: usize,
    requests: HashMap<usize, Request>,
    random: Random,
    /// The time at which each request was sent.
    pub(super) sent: Vec<Nanos>,
    pub(super) now: Nanos,
}

struct User {
    id: String,
    habit: Habit,
    sent: usize,
    longest_wait: Nanos,
}

struct Request {
    user: usize,
    requested_at: Nanos,
    /// A request has one timer at a time.
    timer: Option<Nanos>,
    waiter: Waiter<usize>,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Request { user: usize },
    Notified { request: usize },
    Timer { request: usize },
}

/// A xorshift generator, which gives the same numbers in every run.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn between(&mut self, from: Nanos, to: Nanos) -> Nanos {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        from + self.0 % (to - from)
    }
}

impl Simulation {
    /// Creates a simulation with the vendor's limit.
    pub(super) fn new() -> Self {
        Self::with_limit(LIMIT as u32, Duration::from_nanos(WINDOW))
    }

    pub(super) fn with_limit(requests: u32, window: Duration) -> Self {
        Self {
            queue: Queue::new(Supply::new(&RateLimit::new(requests, window)), usize::MAX),
            users: Vec::new(),
            events: BinaryHeap::new(),
            scheduled: 0,
            waited: 0,
            requests: HashMap::new(),
            random: Random(0x9e37_79b9_7f4a_7c15),
            sent: Vec::new(),
            now: 0,
        }
    }

    /// Adds a user with `requests` in-flight requests from a time on.
    pub(super) fn user(&mut self, from: Nanos, requests: usize, habit: Habit) -> usize {
        let user = self.users.len();
        self.users.push(User {
            id: format!("user {user}"),
            habit,
            sent: 0,
            longest_wait: 0,
        });
        for _ in 0..requests {
            self.schedule(from, Event::Request { user });
        }
        user
    }

    /// Adds a user that always has `requests` waiting requests.
    pub(super) fn bulk_user(&mut self, from: Nanos, requests: usize) -> usize {
        self.user(from, requests, Box::new(|now, _| Some(now)))
    }

    /// Adds a user with one request at a time and 1 to 30 s between two requests.
    pub(super) fn light_user(&mut self) -> usize {
        let habit = |now, random: &mut Random| Some(now + random.between(SECOND, 30 * SECOND));
        self.user(0, 1, Box::new(habit))
    }

    pub(super) fn run_until(&mut self, done: impl Fn(&Self) -> bool) {
        while !done(self) {
            let Reverse((at, _, event)) = self.events.pop().expect("no request is lost");
            self.now = at;
            match event {
                Event::Request { user } => self.request(user),
                Event::Notified { request } => self.check(request),
                Event::Timer { request } => {
                    let timer = self.requests.get(&request).and_then(|r| r.timer);
                    if timer == Some(at) {
                        self.check(request);
                    }
                }
            }
        }
    }

    pub(super) fn run_for(&mut self, time: Nanos) {
        let end = self.now + time;
        self.run_until(|simulation| {
            let next = simulation.events.peek();
            next.is_none_or(|Reverse((at, _, _))| *at > end)
        });
        self.now = end;
    }

    /// Applies a 429 that concerns all users.
    pub(super) fn throttled(&mut self, retry_after: Option<Duration>) {
        let mut wake = Vec::new();
        self.queue
            .all_throttled(self.now, retry_after.map(nanos), &mut wake);
        self.wake(wake);
    }

    /// Applies a 429 for a request of one user.
    pub(super) fn user_throttled(&mut self, user: usize, retry_after: Option<Duration>) {
        let mut wake = Vec::new();
        let id = &self.users[user].id;
        self.queue
            .throttled(self.now, id, retry_after.map(nanos), &mut wake);
        self.wake(wake);
    }

    /// Sends an OAuth request if that is possible now.
    pub(super) fn oauth(&mut self) -> bool {
        let sent = matches!(self.queue.oauth(self.now), OauthStep::Send);
        if sent {
            self.sent.push(self.now);
        }
        sent
    }

    pub(super) fn sent_by(&self, user: usize) -> usize {
        self.users[user].sent
    }

    pub(super) fn longest_wait(&self, user: usize) -> Nanos {
        self.users[user].longest_wait
    }

    fn schedule(&mut self, at: Nanos, event: Event) {
        self.scheduled += 1;
        self.events.push(Reverse((at, self.scheduled, event)));
    }

    fn request(&mut self, user: usize) {
        let id = &self.users[user].id;
        match self.queue.admit(self.now, id, Nanos::MAX) {
            Admission::Granted(_) => self.send(user, self.now),
            Admission::TooLate(_) => unreachable!("no deadline was given"),
            Admission::Wait => {
                let requested_at = self.now;
                self.waited += 1;
                let number = self.waited;
                let waiter = self.queue.wait(self.now, id, number);
                self.requests.insert(
                    number,
                    Request {
                        user,
                        requested_at,
                        timer: None,
                        waiter,
                    },
                );
                self.check(number);
            }
        }
    }

    fn check(&mut self, number: usize) {
        // The request may have been sent already: it had a timer, or was notified twice.
        let Some(request) = self.requests.get_mut(&number) else {
            return;
        };
        let mut wake = Vec::new();
        let (user, requested_at) = (request.user, request.requested_at);
        match self.queue.check(self.now, &request.waiter, &mut wake) {
            Check::Granted => {
                assert!(self.queue.redeem(self.now, &request.waiter));
                self.requests.remove(&number);
                self.send(user, requested_at);
            }
            Check::Wait { check_at, .. } => {
                assert!(
                    check_at.is_none_or(|at| at > self.now),
                    "the timer fires forever"
                );
                if request.timer != check_at {
                    request.timer = check_at;
                    if let Some(at) = check_at {
                        self.schedule(at, Event::Timer { request: number });
                    }
                }
            }
        }
        self.wake(wake);
    }

    fn wake(&mut self, requests: Vec<usize>) {
        for request in requests {
            self.schedule(self.now, Event::Notified { request });
        }
    }

    fn send(&mut self, number: usize, requested_at: Nanos) {
        self.sent.push(self.now);
        // The response arrives at once.
        let mut wake = Vec::new();
        let id = self.users[number].id.as_str().into();
        self.queue.release(self.now, &id, &mut wake);
        self.wake(wake);
        let user = &mut self.users[number];
        user.sent += 1;
        user.longest_wait = user.longest_wait.max(self.now - requested_at);
        if let Some(at) = (user.habit)(self.now, &mut self.random) {
            self.schedule(at, Event::Request { user: number });
        }
    }
}

/// Returns the largest number of requests in any window, both ends included.
pub(super) fn most_in_any(window: Nanos, sent: &[Nanos]) -> usize {
    assert!(sent.is_sorted());
    let mut first = 0;
    let counts = sent.iter().enumerate().map(|(last, at)| {
        while at - sent[first] > window {
            first += 1;
        }
        last - first + 1
    });
    counts.max().unwrap_or(0)
}

/// Returns the smallest number of requests in any window between two times, only the later end
/// included.
pub(super) fn fewest_in_any(window: Nanos, from: Nanos, to: Nanos, sent: &[Nanos]) -> usize {
    // The count is smallest just before a request enters the window.
    let begins = sent.iter().filter(|&&at| at >= from && at + window < to);
    let counts = begins.map(|&at| {
        let first = sent.partition_point(|&s| s <= at);
        sent.partition_point(|&s| s <= at + window) - first
    });
    counts.min().expect("the time is longer than a window")
}
