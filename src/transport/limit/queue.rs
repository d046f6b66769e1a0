//! The queue of waiting requests: one queue per user, served round-robin.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use super::budget::{Budget, Nanos};

/// The time within which a granted permit must be redeemed: 1 s.
///
/// A future that is not polled for a while, for example in a stream whose consumer is busy, cannot
/// redeem its permit. After this time, the permit goes to another request.
const GRANT_TIMEOUT: Nanos = 1_000_000_000;

/// The waiting requests, and the request budget that they wait for.
///
/// The queue knows no clock and no task: callers pass the time, and the queue returns the handles
/// (of type `H`) of the requests that must check again.
///
/// A permit is first granted and then redeemed, because the request that grants due permits is not
/// always the one that gets them. A granted permit is reserved in the budget; a redeemed permit is
/// counted as sent.
pub(super) struct Queue<H> {
    budget: Budget,
    /// The users with waiting requests, by position: the first one gets the next permit.
    users: BTreeMap<u64, UserQueue<H>>,
    positions: HashMap<Arc<str>, u64>,
    last_position: u64,
    /// The permits that were granted and not yet redeemed: the time and the waiter.
    granted: VecDeque<(Nanos, u64)>,
    next_waiter: u64,
}

struct UserQueue<H> {
    user: Arc<str>,
    /// The waiting requests, by waiter number: the first one gets the user's next permit.
    waiting: BTreeMap<u64, H>,
}

/// A waiting request, which keeps its place in its user's queue until it is cancelled.
pub(super) struct Waiter<H> {
    number: u64,
    user: Arc<str>,
    pub(super) handle: H,
}

/// The decision on a new request.
pub(super) enum Admission {
    /// The request may be sent, and is counted as sent.
    Granted,
    /// The request must wait.
    Wait,
    /// The permit would come at this time at the earliest, which is after the deadline.
    TooLate(Nanos),
}

/// The decision on a waiting request.
pub(super) enum Check {
    /// The request may be sent, and is counted as sent.
    Granted,
    Wait {
        /// The earliest time of the next permit.
        earliest: Nanos,
        /// The time of the next check, for the first request of a user. The others are notified.
        check_at: Option<Nanos>,
    },
}

impl<H: Clone> Queue<H> {
    pub(super) fn new(budget: Budget) -> Self {
        Self {
            budget,
            users: BTreeMap::new(),
            positions: HashMap::new(),
            last_position: 0,
            granted: VecDeque::new(),
            next_waiter: 0,
        }
    }

    /// Decides on a new request of a user.
    pub(super) fn admit(&mut self, now: Nanos, user: &str, until: Nanos) -> Admission {
        self.expire_grants(now);
        let is_empty = self.users.is_empty();
        let n = self.granted.len() as u64 + self.permits_ahead(user) + 1;
        let at = self.budget.earliest(now, n);
        if until < at {
            return Admission::TooLate(at);
        }
        if is_empty && at <= now {
            self.budget.record(now);
            return Admission::Granted;
        }
        Admission::Wait
    }

    /// Adds a request to its user's queue.
    pub(super) fn wait(&mut self, user: &str, handle: H) -> Waiter<H> {
        let user = match self.positions.get_key_value(user) {
            Some((user, _)) => user.clone(),
            None => user.into(),
        };
        let number = self.next_waiter;
        self.next_waiter += 1;
        let waiter = Waiter {
            number,
            user,
            handle,
        };
        self.enqueue(&waiter);
        waiter
    }

    /// Grants all due permits, and decides on a waiting request.
    pub(super) fn check(&mut self, now: Nanos, waiter: &Waiter<H>, wake: &mut Vec<H>) -> Check {
        if !self.is_waiting(waiter) {
            if self.redeem(now, waiter) {
                return Check::Granted;
            }
            // The request did not redeem its permit in time. It waits again, before all later
            // requests of its user.
            self.enqueue(waiter);
        }
        if self.grant_due(now, wake) && !self.is_waiting(waiter) && self.redeem(now, waiter) {
            return Check::Granted;
        }
        Check::Wait {
            earliest: self.budget.earliest(now, 1),
            check_at: self.check_at(now, waiter),
        }
    }

    /// Removes a request, and passes its unredeemed permit on.
    pub(super) fn cancel(&mut self, now: Nanos, waiter: &Waiter<H>, wake: &mut Vec<H>) {
        if self.remove_grant(waiter) {
            self.grant_due(now, wake);
        } else if let Some(&position) = self.positions.get(&waiter.user)
            && let Some(queue) = self.users.get_mut(&position)
            && queue.waiting.remove(&waiter.number).is_some()
        {
            wake.extend(queue.waiting.first_key_value().map(|(_, h)| h.clone()));
            if queue.waiting.is_empty() {
                self.users.remove(&position);
                self.positions.remove(&waiter.user);
            }
        } else {
            return;
        }
        self.wake_first(wake);
    }

    /// Applies a 429 of the server.
    pub(super) fn throttled(&mut self, now: Nanos, after: Option<Nanos>, wake: &mut Vec<H>) {
        if self.budget.throttled(now, after) {
            // Requests with a granted permit wait again, and all requests check whether they can
            // still meet their deadline.
            self.granted.clear();
            let waiting = self.users.values().flat_map(|queue| queue.waiting.values());
            wake.extend(waiting.cloned());
        }
    }

    /// Returns the minimum number of permits before a new request of a user, if no request is
    /// cancelled.
    fn permits_ahead(&self, user: &str) -> u64 {
        let Some(own) = self.queue_of(user) else {
            return self.users.len() as u64;
        };
        let before = own.waiting.len();
        let queues = self.users.values();
        queues
            .map(|queue| queue.waiting.len().min(before) as u64)
            .sum()
    }

    fn queue_of(&self, user: &str) -> Option<&UserQueue<H>> {
        self.users.get(self.positions.get(user)?)
    }

    fn is_waiting(&self, waiter: &Waiter<H>) -> bool {
        self.queue_of(&waiter.user)
            .is_some_and(|queue| queue.waiting.contains_key(&waiter.number))
    }

    fn enqueue(&mut self, waiter: &Waiter<H>) {
        let position = *self
            .positions
            .entry(waiter.user.clone())
            .or_insert_with(|| {
                self.last_position += 1;
                self.last_position
            });
        let queue = self.users.entry(position).or_insert_with(|| UserQueue {
            user: waiter.user.clone(),
            waiting: BTreeMap::new(),
        });
        queue.waiting.insert(waiter.number, waiter.handle.clone());
    }

    /// Grants the permits that are due, and returns whether there were any.
    fn grant_due(&mut self, now: Nanos, wake: &mut Vec<H>) -> bool {
        self.expire_grants(now);
        let last_position = self.last_position;
        let granted_before = self.granted.len();
        while !self.users.is_empty()
            && self.budget.earliest(now, self.granted.len() as u64 + 1) <= now
            && let Some((_, mut queue)) = self.users.pop_first()
        {
            if let Some((number, handle)) = queue.waiting.pop_first() {
                self.granted.push_back((now, number));
                wake.push(handle);
            }
            if queue.waiting.is_empty() {
                self.positions.remove(&queue.user);
            } else {
                self.last_position += 1;
                self.positions
                    .insert(queue.user.clone(), self.last_position);
                self.users.insert(self.last_position, queue);
            }
        }
        let any = self.granted.len() > granted_before;
        if any {
            // A request that is now the first of its user must learn when to check.
            for queue in self
                .users
                .range(last_position + 1..)
                .map(|(_, queue)| queue)
            {
                wake.extend(queue.waiting.values().next().cloned());
            }
            self.wake_first(wake);
        }
        any
    }

    fn wake_first(&self, wake: &mut Vec<H>) {
        let queue = self.users.values().next();
        wake.extend(
            queue
                .and_then(|queue| queue.waiting.values().next())
                .cloned(),
        );
    }

    /// Redeems the permit of a request, if it has one.
    fn redeem(&mut self, now: Nanos, waiter: &Waiter<H>) -> bool {
        let redeemed = self.remove_grant(waiter);
        if redeemed {
            self.budget.record(now);
        }
        redeemed
    }

    fn remove_grant(&mut self, waiter: &Waiter<H>) -> bool {
        let index = self
            .granted
            .iter()
            .position(|grant| grant.1 == waiter.number);
        index.and_then(|index| self.granted.remove(index)).is_some()
    }

    fn expire_grants(&mut self, now: Nanos) {
        while matches!(self.granted.front(), Some(grant) if expiry(grant) <= now) {
            self.granted.pop_front();
        }
    }

    /// Returns the time at which the first request of a user should get its permit.
    fn check_at(&mut self, now: Nanos, waiter: &Waiter<H>) -> Option<Nanos> {
        let position = self.positions.get(&waiter.user)?;
        let first = self.users.get(position)?.waiting.keys().next()?;
        if *first != waiter.number {
            return None;
        }
        // Positions of users without requests may lie in between, so the difference is an upper
        // bound.
        let users_ahead = position - self.users.keys().next()?;
        let users_ahead = users_ahead.min(self.users.len() as u64 - 1);
        let at = self
            .budget
            .earliest(now, self.granted.len() as u64 + users_ahead + 1);
        let expiry = self.granted.front().map(expiry);
        Some(expiry.map_or(at, |expiry| expiry.min(at)))
    }
}

/// Returns the time at which a granted permit expires.
fn expiry(grant: &(Nanos, u64)) -> Nanos {
    grant.0.saturating_add(GRANT_TIMEOUT)
}
