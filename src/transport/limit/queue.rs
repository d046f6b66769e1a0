//! Who is next: a lane for each user, and the lanes in turn.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use super::budget::{Budget, Nanos};

/// How long a turn that was given waits to be taken.
///
/// A future that is not polled for a while, as in a stream whose consumer is
/// busy, can't take its turn; after this the turn is for others.
const LAPSE: Nanos = 1_000_000_000;

/// The requests that wait, and the budget that they wait for.
///
/// It knows no clock and no task: the time is given, and those who should
/// look again are returned by their handles, of type `H`.
///
/// A turn is given first and taken later, because whoever gives it is not
/// always the one who gets it; it is in the budget from the moment it is
/// given, and it is counted as sent from the moment it is taken.
pub(super) struct Queue<H> {
    budget: Budget,
    /// The lanes in which somebody waits, by ticket: the first has the next
    /// turn.
    lanes: BTreeMap<u64, Lane<H>>,
    tickets: HashMap<Arc<str>, u64>,
    next_ticket: u64,
    /// Turns that were given and not yet taken: when, and to which seat.
    given: VecDeque<(Nanos, u64)>,
    next_seat: u64,
}

struct Lane<H> {
    name: Arc<str>,
    /// By number of the seat: the first has the next turn.
    waiting: BTreeMap<u64, H>,
}

/// The place of one request in its lane; it keeps it for good.
pub(super) struct Seat<H> {
    number: u64,
    lane: Arc<str>,
    pub(super) handle: H,
}

pub(super) enum Answer {
    /// The request may go and is counted as sent.
    Go,
    /// There is a queue to wait in.
    Wait,
    /// The turn can't come before this moment, which is too late.
    TooLate(Nanos),
}

pub(super) enum Look {
    /// The request may go and is counted as sent.
    Go,
    Wait {
        /// No turn comes before this moment.
        soonest: Nanos,
        /// When to look again, for the first of a lane; the others are told.
        again: Option<Nanos>,
    },
}

impl<H: Clone> Queue<H> {
    pub(super) fn new(budget: Budget) -> Self {
        Self {
            budget,
            lanes: BTreeMap::new(),
            tickets: HashMap::new(),
            next_ticket: 0,
            given: VecDeque::new(),
            next_seat: 0,
        }
    }

    /// Answers a request that has just come.
    pub(super) fn ask(&mut self, now: Nanos, lane: &str, until: Option<Nanos>) -> Answer {
        self.lapse(now);
        let free = self.lanes.is_empty();
        if !free && until.is_none() {
            return Answer::Wait;
        }
        let n = self.given.len() as u64 + self.ahead(lane) + 1;
        let at = self.budget.earliest(now, n);
        if until.is_some_and(|until| until < at) {
            return Answer::TooLate(at);
        }
        if free && at <= now {
            self.budget.record(now);
            return Answer::Go;
        }
        Answer::Wait
    }

    /// Makes a request wait.
    pub(super) fn seat(&mut self, lane: &str, handle: H) -> Seat<H> {
        let lane = match self.tickets.get_key_value(lane) {
            Some((name, _)) => name.clone(),
            None => lane.into(),
        };
        let number = self.next_seat;
        self.next_seat += 1;
        let seat = Seat {
            number,
            lane,
            handle,
        };
        self.sit(&seat);
        seat
    }

    /// Looks whether it is a request's turn, after giving whatever turns are
    /// due.
    pub(super) fn look(&mut self, now: Nanos, seat: &Seat<H>, wake: &mut Vec<H>) -> Look {
        if !self.is_waiting(seat) {
            if self.take(now, seat) {
                return Look::Go;
            }
            // It had a turn and did not take it: it waits again, before all
            // who came later.
            self.sit(seat);
        }
        if self.give(now, wake) && !self.is_waiting(seat) && self.take(now, seat) {
            return Look::Go;
        }
        Look::Wait {
            soonest: self.budget.earliest(now, 1),
            again: self.again(now, seat),
        }
    }

    /// Gives a place back, and with it a turn that was not taken.
    pub(super) fn leave(&mut self, now: Nanos, seat: &Seat<H>, wake: &mut Vec<H>) {
        if self.take_back(seat) {
            self.give(now, wake);
        } else if let Some(&ticket) = self.tickets.get(&seat.lane)
            && let Some(lane) = self.lanes.get_mut(&ticket)
            && lane.waiting.remove(&seat.number).is_some()
        {
            wake.extend(lane.waiting.first_key_value().map(|(_, h)| h.clone()));
            if lane.waiting.is_empty() {
                self.lanes.remove(&ticket);
                self.tickets.remove(&seat.lane);
            }
        } else {
            return;
        }
        self.wake_first(wake);
    }

    /// Takes a refusal of the server into account.
    pub(super) fn throttled(&mut self, now: Nanos, after: Option<Nanos>, wake: &mut Vec<H>) {
        if self.budget.throttled(now, after) {
            // Those who had a turn sit down again, and all look whether they
            // can still be in time.
            self.given.clear();
            let waiting = self.lanes.values().flat_map(|lane| lane.waiting.values());
            wake.extend(waiting.cloned());
        }
    }

    /// How many turns are given before a newcomer's if nobody leaves, at
    /// least.
    fn ahead(&self, lane: &str) -> u64 {
        let Some(own) = self.lane(lane) else {
            return self.lanes.len() as u64;
        };
        let before = own.waiting.len();
        let lanes = self.lanes.values();
        lanes
            .map(|lane| lane.waiting.len().min(before) as u64)
            .sum()
    }

    fn lane(&self, name: &str) -> Option<&Lane<H>> {
        self.lanes.get(self.tickets.get(name)?)
    }

    fn is_waiting(&self, seat: &Seat<H>) -> bool {
        self.lane(&seat.lane)
            .is_some_and(|lane| lane.waiting.contains_key(&seat.number))
    }

    fn sit(&mut self, seat: &Seat<H>) {
        let ticket = *self.tickets.entry(seat.lane.clone()).or_insert_with(|| {
            self.next_ticket += 1;
            self.next_ticket
        });
        let lane = self.lanes.entry(ticket).or_insert_with(|| Lane {
            name: seat.lane.clone(),
            waiting: BTreeMap::new(),
        });
        lane.waiting.insert(seat.number, seat.handle.clone());
    }

    /// Gives the turns that are due; says whether there were any.
    fn give(&mut self, now: Nanos, wake: &mut Vec<H>) -> bool {
        self.lapse(now);
        let last_ticket = self.next_ticket;
        let already = self.given.len();
        while !self.lanes.is_empty()
            && self.budget.earliest(now, self.given.len() as u64 + 1) <= now
            && let Some((_, mut lane)) = self.lanes.pop_first()
        {
            if let Some((number, handle)) = lane.waiting.pop_first() {
                self.given.push_back((now, number));
                wake.push(handle);
            }
            if lane.waiting.is_empty() {
                self.tickets.remove(&lane.name);
            } else {
                self.next_ticket += 1;
                self.tickets.insert(lane.name.clone(), self.next_ticket);
                self.lanes.insert(self.next_ticket, lane);
            }
        }
        let any = self.given.len() > already;
        if any {
            // Whoever is now the first of a lane has to know when to look.
            for lane in self.lanes.range(last_ticket + 1..).map(|(_, lane)| lane) {
                wake.extend(lane.waiting.values().next().cloned());
            }
            self.wake_first(wake);
        }
        any
    }

    fn wake_first(&self, wake: &mut Vec<H>) {
        let lane = self.lanes.values().next();
        wake.extend(lane.and_then(|lane| lane.waiting.values().next()).cloned());
    }

    fn take(&mut self, now: Nanos, seat: &Seat<H>) -> bool {
        let taken = self.take_back(seat);
        if taken {
            self.budget.record(now);
        }
        taken
    }

    fn take_back(&mut self, seat: &Seat<H>) -> bool {
        let given = self.given.iter().position(|given| given.1 == seat.number);
        given.and_then(|place| self.given.remove(place)).is_some()
    }

    fn lapse(&mut self, now: Nanos) {
        while matches!(self.given.front(), Some(given) if given.0.saturating_add(LAPSE) <= now) {
            self.given.pop_front();
        }
    }

    /// When the turn of a lane's first should come.
    fn again(&mut self, now: Nanos, seat: &Seat<H>) -> Option<Nanos> {
        let ticket = self.tickets.get(&seat.lane)?;
        let first = self.lanes.get(ticket)?.waiting.keys().next()?;
        if *first != seat.number {
            return None;
        }
        // Tickets of those who have left stand between the two at times.
        let lanes = ticket - self.lanes.keys().next()?;
        let lanes = lanes.min(self.lanes.len() as u64 - 1);
        let at = self
            .budget
            .earliest(now, self.given.len() as u64 + lanes + 1);
        let lapse = self
            .given
            .front()
            .map(|given| given.0.saturating_add(LAPSE));
        Some(lapse.map_or(at, |lapse| lapse.min(at)))
    }
}
