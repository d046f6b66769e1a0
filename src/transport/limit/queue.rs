//! The queue of waiting requests: one queue per user, served round-robin.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use super::budget::{Nanos, Pause};
use super::shared_limit::{Permits, SharedLimitEvent};
use super::supply::{Ask, OauthStep, Supply};

/// The time within which a granted permit must be redeemed: 1 s.
///
/// A future that is not polled for a while, for example in a stream whose consumer is busy, cannot
/// redeem its permit. After this time, the permit goes to another request.
const GRANT_TIMEOUT: Nanos = 1_000_000_000;

/// The divisor of the concurrency limit that no single user can take: a quarter.
///
/// Slow requests of one user therefore leave slots for the others.
const RESERVED: usize = 4;

/// The number of users above which waiting requests are not counted for a slice.
const MAX_COUNTED: usize = 25;

/// The requests that a 429 has paused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Paused {
    /// The calls of the user whose request was refused.
    User,
    /// The calls of all users.
    All,
    /// Requests to the token endpoint.
    Oauth,
}

/// The waiting requests, and what they wait for: the request budget and a slot of the concurrency
/// limit.
///
/// A permit includes both, so that a request that waits for one does not use up the other.
///
/// The queue knows no clock and no task: callers pass the time, and the queue returns the handles
/// (of type `H`) of the requests that must check again.
///
/// A permit is first granted and then redeemed, because the request that grants due permits is not
/// always the one that gets them. A granted permit is reserved in the budget; a redeemed permit is
/// counted as sent.
pub(super) struct Queue<H> {
    supply: Supply,
    /// The number of free slots.
    slots: usize,
    /// The number of granted and in-flight requests, each of which has a slot.
    in_flight: usize,
    /// The number of in-flight requests whose body a caller streams, and the largest one.
    streams: usize,
    max_streams: usize,
    /// Whether no further request gets a permit.
    is_closed: bool,
    slots_per_user: usize,
    /// The users with a waiting or in-flight request or a pause.
    users: HashMap<Arc<str>, UserQueue<H>>,
    /// The users that can get a permit, by position: the first one gets the next permit.
    rotation: BTreeMap<u64, Arc<str>>,
    last_position: u64,
    /// The number of users in `rotation` by their number of waiting requests.
    lengths: BTreeMap<usize, u64>,
    /// The paused users, by the time at which their pause changes.
    pauses: BTreeSet<(Nanos, Arc<str>)>,
    /// The users of the permits that were granted and not yet redeemed, by waiter number.
    granted: HashMap<u64, Arc<str>>,
    /// The times of grants by waiter number, oldest first; some may no longer be in `granted`.
    grants: VecDeque<(Nanos, u64)>,
    next_waiter: u64,
}

struct UserQueue<H> {
    /// The waiting requests, by waiter number: the first one gets the user's next permit.
    waiting: BTreeMap<u64, H>,
    /// The number of granted and in-flight requests, each of which has a slot.
    in_flight: usize,
    pause: Option<Pause>,
    position: Option<u64>,
    /// The number of waiting requests for which the user is counted in `lengths`.
    counted: usize,
}

/// A waiting request, which keeps its place in its user's queue until it is cancelled.
pub(super) struct Waiter<H> {
    number: u64,
    pub(super) user: Arc<str>,
    pub(super) handle: H,
}

/// The decision on a new request.
pub(super) enum Admission {
    /// The request of this user may be sent, and is counted as sent.
    Granted(Arc<str>),
    /// The request must wait.
    Wait,
    /// The permit would come at this time at the earliest, which is after the deadline.
    TooLate(Nanos),
}

/// The decision on a waiting request.
pub(super) enum Check {
    /// The request has a permit to redeem.
    Granted,
    Wait {
        /// The earliest time of the next permit, or `None` if the request waits for a slot.
        earliest: Option<Nanos>,
        /// The time of the next check. Most requests are notified before.
        check_at: Option<Nanos>,
    },
}

impl<H: Clone> Queue<H> {
    /// Creates a queue without limits if the supply is unlimited and `slots` is `usize::MAX`.
    pub(super) fn new(supply: Supply, slots: usize) -> Self {
        Self {
            supply,
            slots,
            in_flight: 0,
            streams: 0,
            max_streams: slots / 2,
            is_closed: false,
            slots_per_user: slots - slots / RESERVED,
            users: HashMap::new(),
            rotation: BTreeMap::new(),
            last_position: 0,
            lengths: BTreeMap::new(),
            pauses: BTreeSet::new(),
            granted: HashMap::new(),
            grants: VecDeque::new(),
            next_waiter: 0,
        }
    }

    /// Decides on a new request of a user.
    pub(super) fn admit(&mut self, now: Nanos, user: &str, until: Nanos) -> Admission {
        self.update_time(now);
        let ahead = self.granted.len() as u64 + self.permits_ahead(user);
        let at = self.earliest(now, ahead + 1).max(self.paused_until(user));
        if until < at {
            return Admission::TooLate(at);
        }
        let own = self.users.get_key_value(user);
        let has_slot =
            self.slots > 0 && own.is_none_or(|(user, queue)| queue.in_flight < self.slots_of(user));
        // Requests that cannot be sent now, for example those of a paused user, delay no others.
        let is_first =
            self.rotation.is_empty() && own.is_none_or(|(_, queue)| queue.waiting.is_empty());
        if is_first && has_slot && at <= now {
            let user = own.map_or_else(|| user.into(), |(user, _)| Arc::clone(user));
            self.take_slot(&user);
            // The permit was there just now.
            let _recorded = self.supply.record(now);
            return Admission::Granted(user);
        }
        Admission::Wait
    }

    /// Adds a request to its user's queue.
    pub(super) fn wait(&mut self, now: Nanos, user: &str, handle: H) -> Waiter<H> {
        let known = self.users.get_key_value(user);
        let user = known.map_or_else(|| user.into(), |(user, _)| Arc::clone(user));
        let number = self.next_waiter;
        self.next_waiter += 1;
        let waiter = Waiter {
            number,
            user,
            handle,
        };
        self.enqueue(now, &waiter);
        waiter
    }

    /// Grants all due permits, and decides on a waiting request.
    pub(super) fn check(&mut self, now: Nanos, waiter: &Waiter<H>, wake: &mut Vec<H>) -> Check {
        let is_granted = |queue: &Self| queue.granted.contains_key(&waiter.number);
        if is_granted(self) {
            return Check::Granted;
        }
        if !self.is_waiting(waiter) {
            // The request did not redeem its permit in time, or left the queue. It waits again,
            // before all later requests of its user.
            self.enqueue(now, waiter);
        }
        if self.grant_due(now, wake) && is_granted(self) {
            return Check::Granted;
        }
        let earliest = self.earliest(now, 1).max(self.paused_until(&waiter.user));
        Check::Wait {
            earliest: (earliest > now || self.is_in_rotation(&waiter.user)).then_some(earliest),
            check_at: self.check_at(now, waiter),
        }
    }

    /// Counts a request as sent if it has a permit. The request keeps its slot.
    pub(super) fn redeem(&mut self, now: Nanos, waiter: &Waiter<H>) -> bool {
        if self.granted.remove(&waiter.number).is_none() {
            return false;
        }
        let redeemed = self.supply.record(now);
        if !redeemed {
            self.free_slot(now, &waiter.user);
        }
        redeemed
    }

    /// Removes a request, and passes its unredeemed permit on.
    pub(super) fn cancel(&mut self, now: Nanos, waiter: &Waiter<H>, wake: &mut Vec<H>) {
        if self.granted.remove(&waiter.number).is_some() {
            self.free_slot(now, &waiter.user);
            self.grant_due(now, wake);
        } else if let Some(queue) = self.users.get_mut(&waiter.user)
            && queue.waiting.remove(&waiter.number).is_some()
        {
            wake.extend(queue.waiting.first_key_value().map(|(_, h)| h.clone()));
            self.place(now, &waiter.user);
        } else {
            return;
        }
        self.wake_first(wake);
    }

    /// Refuses all further requests, and those that wait.
    pub(super) fn close(&mut self, now: Nanos, wake: &mut Vec<H>) {
        self.is_closed = true;
        // A future with one of these permits may never be polled again.
        self.withdraw_grants(now, None);
        let waiting = self.users.values().flat_map(|queue| queue.waiting.values());
        wake.extend(waiting.cloned());
    }

    pub(super) fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// Returns the number of granted and in-flight requests.
    pub(super) fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Ends an in-flight request of a user, whose slot is free again.
    pub(super) fn release(&mut self, now: Nanos, user: &Arc<str>, wake: &mut Vec<H>) {
        self.free_slot(now, user);
        if !self.rotation.is_empty() {
            self.grant_due(now, wake);
            self.wake_first(wake);
        }
    }

    /// Counts an in-flight request as one whose body a caller streams, unless there are too many.
    pub(super) fn start_stream(&mut self) -> bool {
        let has_slot = self.streams < self.max_streams;
        self.streams += usize::from(has_slot);
        has_slot
    }

    /// Ends an in-flight request whose body a caller streamed.
    pub(super) fn end_stream(&mut self, now: Nanos, user: &Arc<str>, wake: &mut Vec<H>) {
        self.streams -= 1;
        self.release(now, user, wake);
    }

    /// Applies a 429 that a request of this user received.
    ///
    /// Only this user is paused, unless another one is paused at the same time: then the server
    /// refuses requests of the app, not of a user.
    ///
    /// Returns who is paused, if a pause starts or is extended.
    pub(super) fn throttled(
        &mut self,
        now: Nanos,
        user: &str,
        after: Option<Nanos>,
        wake: &mut Vec<H>,
    ) -> Option<Paused> {
        if self.supply.is_unlimited() {
            // Every request is sent at once if the limit is off.
            return None;
        }
        self.update_time(now);
        let is_paused = |user: &Arc<str>| {
            let pause = self.users.get(user).and_then(|queue| queue.pause.as_ref());
            pause.is_some_and(|pause| pause.until > now)
        };
        let mut paused = self.pauses.iter().map(|(_, paused)| paused);
        if paused.any(|paused| **paused != *user && is_paused(paused)) {
            return self.all_throttled(now, after, wake);
        }
        let known = self.users.get_key_value(user);
        let user = known.map_or_else(|| user.into(), |(user, _)| Arc::clone(user));
        let queue = self.queue_of(&user);
        let pause = Pause::after(queue.pause.as_ref(), now, after)?;
        let until = pause.until;
        let before = queue.pause.replace(pause);
        wake.extend(queue.waiting.values().cloned());
        if let Some(before) = before {
            self.pauses.remove(&(before.until, Arc::clone(&user)));
            self.pauses.remove(&(before.forget_at(), Arc::clone(&user)));
        }
        self.pauses.insert((until, Arc::clone(&user)));
        self.withdraw_grants(now, Some(&user));
        self.place(now, &user);
        Some(Paused::User)
    }

    /// Applies a 429 that concerns all users, and returns whether a pause starts or is extended.
    pub(super) fn all_throttled(
        &mut self,
        now: Nanos,
        after: Option<Nanos>,
        wake: &mut Vec<H>,
    ) -> Option<Paused> {
        if !self.supply.throttled(now, after) {
            return None;
        }
        // Requests with a granted permit wait again, and all requests check whether they can still
        // meet their deadline.
        self.withdraw_grants(now, None);
        let waiting = self.users.values().flat_map(|queue| queue.waiting.values());
        wake.extend(waiting.cloned());
        Some(Paused::All)
    }

    /// Decides on an OAuth request, which needs no slot and waits in no queue.
    pub(super) fn oauth(&mut self, now: Nanos) -> OauthStep {
        self.update_time(now);
        self.supply.oauth(now, self.granted.len() as u64)
    }

    pub(super) fn oauth_pace(&self) -> Option<Nanos> {
        self.supply.oauth_pace()
    }

    /// Applies a 429 for an OAuth request, and returns whether a pause starts or is extended.
    pub(super) fn oauth_throttled(&mut self, now: Nanos, after: Option<Nanos>) -> Option<Paused> {
        let is_later = self.supply.oauth_throttled(now, after);
        is_later.then_some(Paused::Oauth)
    }

    /// Returns a request to the store of a shared limit, if calls need it now.
    pub(super) fn ask(&mut self, now: Nanos) -> (Option<Ask>, Option<SharedLimitEvent>) {
        if self.is_closed || !matches!(self.supply, Supply::Shared(_)) {
            return (None, None);
        }
        self.update_time(now);
        let calls = self.granted.len() + self.sendable();
        match &mut self.supply {
            Supply::Shared(slices) => slices.ask(now, calls as u64),
            _ => (None, None),
        }
    }

    /// Applies the response of the store, or its failure.
    pub(super) fn answered(
        &mut self,
        now: Nanos,
        ask: &Ask,
        answer: Option<Permits>,
        wake: &mut Vec<H>,
    ) -> Option<SharedLimitEvent> {
        let Supply::Shared(slices) = &mut self.supply else {
            return None;
        };
        let event = slices.answered(now, ask, answer);
        if event == Some(SharedLimitEvent::Failed) {
            self.withdraw_grants(now, None);
        }
        if !self.grant_due(now, wake) {
            // The first request learns when to check again.
            self.wake_first(wake);
        }
        event
    }

    /// Returns the number of waiting requests that have a slot, counted for the first users.
    fn sendable(&self) -> usize {
        let users = self.rotation.values().filter_map(|user| {
            let queue = self.users.get(user)?;
            let slots = self.slots_of(user) - queue.in_flight;
            Some(queue.waiting.len().min(slots))
        });
        users.take(MAX_COUNTED).sum::<usize>().min(self.slots)
    }

    /// Returns the minimum number of permits before a new request of a user, if no request is
    /// cancelled.
    fn permits_ahead(&self, user: &str) -> u64 {
        let before = match self.users.get(user) {
            Some(own) if own.counted > 0 => own.counted,
            _ => return self.rotation.len() as u64,
        };
        let lengths = self.lengths.iter();
        lengths
            .map(|(&length, users)| length.min(before) as u64 * users)
            .sum()
    }

    fn earliest(&mut self, now: Nanos, n: u64) -> Nanos {
        self.supply.earliest(now, n)
    }

    fn paused_until(&self, user: &str) -> Nanos {
        let pause = self.users.get(user).and_then(|queue| queue.pause.as_ref());
        pause.map_or(0, |pause| pause.until)
    }

    /// Returns the slots that requests of a user can have. Requests of the app itself have no user.
    fn slots_of(&self, user: &str) -> usize {
        if user.is_empty() {
            usize::MAX
        } else {
            self.slots_per_user
        }
    }

    fn queue_of(&mut self, user: &Arc<str>) -> &mut UserQueue<H> {
        self.users
            .entry(Arc::clone(user))
            .or_insert_with(|| UserQueue {
                waiting: BTreeMap::new(),
                in_flight: 0,
                pause: None,
                position: None,
                counted: 0,
            })
    }

    fn is_waiting(&self, waiter: &Waiter<H>) -> bool {
        let queue = self.users.get(&waiter.user);
        queue.is_some_and(|queue| queue.waiting.contains_key(&waiter.number))
    }

    fn is_in_rotation(&self, user: &str) -> bool {
        self.slots > 0
            && self
                .users
                .get(user)
                .is_some_and(|queue| queue.position.is_some())
    }

    fn enqueue(&mut self, now: Nanos, waiter: &Waiter<H>) {
        let queue = self.queue_of(&waiter.user);
        queue.waiting.insert(waiter.number, waiter.handle.clone());
        self.place(now, &waiter.user);
    }

    /// Adds a user to the rotation or removes it, after its queue has changed.
    fn place(&mut self, now: Nanos, user: &Arc<str>) {
        let slots = self.slots_of(user);
        let Some(queue) = self.users.get_mut(user) else {
            return;
        };
        let is_paused = queue.pause.as_ref().is_some_and(|pause| pause.until > now);
        let can_get_permit = !is_paused && queue.in_flight < slots;
        let counted = if can_get_permit {
            queue.waiting.len()
        } else {
            0
        };
        if counted != queue.counted {
            if let Some(users) = self.lengths.get_mut(&queue.counted) {
                *users -= 1;
                if *users == 0 {
                    self.lengths.remove(&queue.counted);
                }
            }
            if counted > 0 {
                *self.lengths.entry(counted).or_default() += 1;
            }
            queue.counted = counted;
        }
        if counted == 0 {
            if let Some(position) = queue.position.take() {
                self.rotation.remove(&position);
            }
            if queue.waiting.is_empty() && queue.in_flight == 0 && queue.pause.is_none() {
                self.users.remove(user);
            }
        } else if queue.position.is_none() {
            self.last_position += 1;
            queue.position = Some(self.last_position);
            self.rotation.insert(self.last_position, Arc::clone(user));
        }
    }

    /// Grants the permits that are due, and returns whether there were any.
    fn grant_due(&mut self, now: Nanos, wake: &mut Vec<H>) -> bool {
        self.update_time(now);
        let last_position = self.last_position;
        let granted_before = self.granted.len();
        while !self.is_closed
            && self.slots > 0
            && !self.rotation.is_empty()
            && self.earliest(now, self.granted.len() as u64 + 1) <= now
            && let Some((_, user)) = self.rotation.pop_first()
        {
            let queue = self.queue_of(&user);
            queue.position = None;
            if let Some((number, handle)) = queue.waiting.pop_first() {
                self.take_slot(&user);
                wake.push(handle);
                self.grants.push_back((now, number));
                self.granted.insert(number, Arc::clone(&user));
            }
            self.place(now, &user);
        }
        let any = self.granted.len() > granted_before;
        if any {
            // A request that is now the first of its user must learn when to check.
            for user in self
                .rotation
                .range(last_position + 1..)
                .map(|(_, user)| user)
            {
                wake.extend(self.first_of(user).cloned());
            }
            self.wake_first(wake);
        }
        any
    }

    fn first_of(&self, user: &Arc<str>) -> Option<&H> {
        self.users.get(user)?.waiting.values().next()
    }

    fn wake_first(&self, wake: &mut Vec<H>) {
        let user = self.rotation.values().next();
        wake.extend(user.and_then(|user| self.first_of(user)).cloned());
    }

    fn take_slot(&mut self, user: &Arc<str>) {
        self.slots -= 1;
        self.in_flight += 1;
        self.queue_of(user).in_flight += 1;
    }

    fn free_slot(&mut self, now: Nanos, user: &Arc<str>) {
        self.slots += 1;
        self.in_flight -= 1;
        self.queue_of(user).in_flight -= 1;
        self.place(now, user);
    }

    /// Withdraws the unredeemed permits of a user, or of all users.
    fn withdraw_grants(&mut self, now: Nanos, of: Option<&Arc<str>>) {
        let is_affected = |user: &mut Arc<str>| of.is_none_or(|of| of == user);
        let withdrawn = self.granted.extract_if(|_, user| is_affected(user));
        for (_, user) in Vec::from_iter(withdrawn) {
            self.free_slot(now, &user);
        }
    }

    /// Ends grants and pauses whose time has passed.
    fn update_time(&mut self, now: Nanos) {
        while let Some((granted_at, number)) = self.grants.front() {
            let is_redeemed = !self.granted.contains_key(number);
            if !is_redeemed && expiry(*granted_at) > now {
                break;
            }
            let expired = self.granted.remove(number);
            self.grants.pop_front();
            if let Some(user) = expired {
                self.free_slot(now, &user);
            }
        }
        while self.pauses.first().is_some_and(|(at, _)| *at <= now)
            && let Some((_, user)) = self.pauses.pop_first()
        {
            let queue = self.queue_of(&user);
            // A pause is remembered for a while, because the next one is longer.
            let forget_at = queue.pause.as_ref().map(Pause::forget_at);
            match forget_at.filter(|at| *at > now) {
                Some(at) => {
                    self.pauses.insert((at, Arc::clone(&user)));
                }
                None => queue.pause = None,
            }
            self.place(now, &user);
        }
    }

    /// Returns the time at which the first request of a user should get its permit, or the time at
    /// which another request checks whether the ones before it are polled.
    fn check_at(&mut self, now: Nanos, waiter: &Waiter<H>) -> Option<Nanos> {
        let queue = self.users.get(&waiter.user)?;
        // An upper bound of the requests before this one, so that few of a long queue check.
        let ahead = waiter.number.saturating_sub(*queue.waiting.keys().next()?);
        let ahead = ahead.min(queue.waiting.len() as u64 - 1);
        if ahead > 0 {
            let delay = GRANT_TIMEOUT.saturating_mul(ahead.saturating_mul(ahead) + 1);
            return Some(now.saturating_add(delay));
        }
        let resumed_at = queue.pause.as_ref().map(|pause| pause.until);
        let resumed_at = resumed_at.filter(|until| *until > now);
        let grant_expires_at = self.grants.front().map(|grant| expiry(grant.0));
        let permit_at = match queue.position {
            Some(position) if self.slots > 0 => {
                // Positions of users without requests may lie in between, so the difference is an
                // upper bound.
                let users_ahead = position - self.rotation.keys().next()?;
                let users_ahead = users_ahead.min(self.rotation.len() as u64 - 1);
                let permits = self.granted.len() as u64 + users_ahead + 1;
                Some(self.supply.check_at(now, permits))
            }
            // A free slot wakes the first user, whose future may not be polled for a while.
            _ => Some(now.saturating_add(GRANT_TIMEOUT)),
        };
        [resumed_at, grant_expires_at, permit_at]
            .into_iter()
            .flatten()
            .min()
    }
}

/// Returns the time at which a granted permit expires.
fn expiry(granted_at: Nanos) -> Nanos {
    granted_at.saturating_add(GRANT_TIMEOUT)
}
