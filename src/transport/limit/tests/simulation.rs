//! Users who send through a queue, in simulated time.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::num::NonZeroU32;
use std::time::Duration;

use crate::transport::limit::budget::{Budget, Nanos, nanos};
use crate::transport::limit::queue::{Answer, Look, Queue, Seat};

pub(super) const SECOND: Nanos = 1_000_000_000;
pub(super) const WINDOW: Nanos = 300 * SECOND;
pub(super) const LIMIT: usize = 5_000;

/// When a user whose request was sent at a moment asks for the next one.
pub(super) type Habit = Box<dyn FnMut(Nanos, &mut Random) -> Option<Nanos>>;

pub(super) struct Simulation {
    queue: Queue<usize>,
    users: Vec<User>,
    /// What happens when; numbered, so that the order is always the same.
    events: BinaryHeap<Reverse<(Nanos, usize, Event)>>,
    happened: usize,
    asked: usize,
    requests: HashMap<usize, Request>,
    random: Random,
    /// When each request was sent.
    pub(super) sent: Vec<Nanos>,
    pub(super) now: Nanos,
}

struct User {
    lane: String,
    habit: Habit,
    sent: usize,
    longest_wait: Nanos,
}

struct Request {
    user: usize,
    asked: Nanos,
    /// A request has one timer at a time.
    timer: Option<Nanos>,
    seat: Seat<usize>,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Ask { user: usize },
    Told { request: usize },
    Timer { request: usize },
}

/// A xorshift generator: the same numbers in every run.
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
    /// With the vendor's limit.
    pub(super) fn new() -> Self {
        Self::with_limit(LIMIT as u32, Duration::from_nanos(WINDOW))
    }

    pub(super) fn with_limit(requests: u32, window: Duration) -> Self {
        let requests = NonZeroU32::new(requests).unwrap();
        Self {
            queue: Queue::new(Budget::new(requests, window)),
            users: Vec::new(),
            events: BinaryHeap::new(),
            happened: 0,
            asked: 0,
            requests: HashMap::new(),
            random: Random(0x9e37_79b9_7f4a_7c15),
            sent: Vec::new(),
            now: 0,
        }
    }

    /// A user with so many requests under way from a moment on.
    pub(super) fn user(&mut self, from: Nanos, requests: usize, habit: Habit) -> usize {
        let user = self.users.len();
        self.users.push(User {
            lane: format!("user {user}"),
            habit,
            sent: 0,
            longest_wait: 0,
        });
        for _ in 0..requests {
            self.happens(from, Event::Ask { user });
        }
        user
    }

    /// A user who always has so many requests waiting.
    pub(super) fn bulk_user(&mut self, from: Nanos, requests: usize) -> usize {
        self.user(from, requests, Box::new(|now, _| Some(now)))
    }

    /// A user with one request at a time, and 1 to 30 s between two.
    pub(super) fn light_user(&mut self) -> usize {
        let habit = |now, random: &mut Random| Some(now + random.between(SECOND, 30 * SECOND));
        self.user(0, 1, Box::new(habit))
    }

    pub(super) fn run_until(&mut self, done: impl Fn(&Self) -> bool) {
        while !done(self) {
            let Reverse((at, _, event)) = self.events.pop().expect("nothing is lost");
            self.now = at;
            match event {
                Event::Ask { user } => self.ask(user),
                Event::Told { request } => self.look(request),
                Event::Timer { request } => {
                    let timer = self.requests.get(&request).and_then(|r| r.timer);
                    if timer == Some(at) {
                        self.look(request);
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

    pub(super) fn throttled(&mut self, retry_after: Option<Duration>) {
        let mut wake = Vec::new();
        self.queue
            .throttled(self.now, retry_after.map(nanos), &mut wake);
        self.wake(wake);
    }

    pub(super) fn sent_by(&self, user: usize) -> usize {
        self.users[user].sent
    }

    pub(super) fn longest_wait(&self, user: usize) -> Nanos {
        self.users[user].longest_wait
    }

    fn happens(&mut self, at: Nanos, event: Event) {
        self.happened += 1;
        self.events.push(Reverse((at, self.happened, event)));
    }

    fn ask(&mut self, user: usize) {
        let lane = &self.users[user].lane;
        match self.queue.ask(self.now, lane, None) {
            Answer::Go => self.send(user, self.now),
            Answer::TooLate(_) => unreachable!("no deadline was given"),
            Answer::Wait => {
                let asked = self.now;
                self.asked += 1;
                let number = self.asked;
                let seat = self.queue.seat(lane, number);
                self.requests.insert(
                    number,
                    Request {
                        user,
                        asked,
                        timer: None,
                        seat,
                    },
                );
                self.look(number);
            }
        }
    }

    fn look(&mut self, number: usize) {
        // A request that was sent had a timer, or was told twice.
        let Some(request) = self.requests.get_mut(&number) else {
            return;
        };
        let mut wake = Vec::new();
        let (user, asked) = (request.user, request.asked);
        match self.queue.look(self.now, &request.seat, &mut wake) {
            Look::Go => {
                self.requests.remove(&number);
                self.send(user, asked);
            }
            Look::Wait { again, .. } => {
                assert!(again.is_none_or(|at| at > self.now), "it fires for ever");
                if request.timer != again {
                    request.timer = again;
                    if let Some(at) = again {
                        self.happens(at, Event::Timer { request: number });
                    }
                }
            }
        }
        self.wake(wake);
    }

    fn wake(&mut self, requests: Vec<usize>) {
        for request in requests {
            self.happens(self.now, Event::Told { request });
        }
    }

    fn send(&mut self, number: usize, asked: Nanos) {
        self.sent.push(self.now);
        let user = &mut self.users[number];
        user.sent += 1;
        user.longest_wait = user.longest_wait.max(self.now - asked);
        if let Some(at) = (user.habit)(self.now, &mut self.random) {
            self.happens(at, Event::Ask { user: number });
        }
    }
}

/// The largest number of moments in any stretch of a length, both ends
/// included.
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

/// The smallest number of moments in any stretch of a length within a longer
/// one, only the latest end included.
pub(super) fn fewest_in_any(window: Nanos, from: Nanos, to: Nanos, sent: &[Nanos]) -> usize {
    // The count is least just before a request comes in.
    let begins = sent.iter().filter(|&&at| at >= from && at + window < to);
    let counts = begins.map(|&at| {
        let first = sent.partition_point(|&s| s <= at);
        sent.partition_point(|&s| s <= at + window) - first
    });
    counts.min().expect("the stretch is longer than a window")
}
