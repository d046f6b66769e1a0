//! 100,000 deliveries over an unreliable network to a receiver that crashes: each event is handled
//! once.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::time::{Duration, SystemTime};

use fullscript::webhook::{Claim, EventKey, EventLog, MemoryEventLog, Receiver, sign};
use serde_json::{Value, json};

use super::{HEADER, SECRET, at, receiver};
use crate::stores::sqlite::Place;

/// Seconds between the vendor's attempts.
const GAPS: [u64; 5] = [60, 300, 1_800, 3_600, 18_000];

const START: u64 = 1_767_225_600;

/// A deterministic random number generator.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }

    fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

/// A delivery in transit: its arrival time, its event and its attempt number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Sent {
    arrives: u64,
    event: u64,
    attempt: usize,
    /// A copy made by the network; the vendor does not wait for its response.
    is_copy: bool,
}

pub(crate) struct World<S> {
    chance: Chance,
    receiver: Receiver,
    pub(crate) event_log: S,
    /// Whether events can be lost: some are never sent, and the last attempt may fail like any
    /// other.
    pub(crate) misses: bool,
    sent: BinaryHeap<Reverse<Sent>>,
    /// How often each event was handled.
    pub(crate) handled: HashMap<u64, u32>,
    /// The time of the newest event that was claimed for each patient.
    newest: HashMap<u64, u64>,
    pub(crate) deliveries: u64,
    late: u64,
}

pub(crate) fn happened(event: u64) -> u64 {
    START + event
}

fn patient(event: u64) -> u64 {
    event % 50
}

pub(crate) fn payload(event: u64) -> Value {
    json!({
        "id": format!("event-{event}"),
        "type": "patient.updated",
        "created_at": happened(event),
        "data": {"patient": {"id": format!("patient-{}", patient(event))}},
    })
}

fn body(event: u64) -> Vec<u8> {
    json!({ "event": payload(event) }).to_string().into_bytes()
}

impl<S: EventLog> World<S> {
    pub(crate) fn new(event_log: S) -> Self {
        Self {
            chance: Chance(0x5EED),
            receiver: receiver(),
            event_log,
            misses: false,
            sent: BinaryHeap::new(),
            handled: HashMap::new(),
            newest: HashMap::new(),
            deliveries: 0,
            late: 0,
        }
    }

    async fn run(&mut self, events: u64) {
        self.deliver_all(events).await;
        assert_eq!(self.handled.len() as u64, events, "some were never handled");
        assert!(self.handled.values().all(|times| *times == 1));
    }

    pub(crate) async fn deliver_all(&mut self, events: u64) {
        for event in 0..events {
            if self.misses && self.chance.percent(2) {
                continue;
            }
            let arrives = happened(event) + self.chance.below(120);
            self.send(arrives, event, 0);
        }
        while let Some(Reverse(sent)) = self.sent.pop() {
            self.deliveries += 1;
            let answered = self.deliver(sent).await;
            // A response may be lost, so a handled event may be delivered again.
            let heard = answered && !self.chance.percent(10);
            if !heard && !sent.is_copy && sent.attempt < GAPS.len() {
                self.send(
                    sent.arrives + GAPS[sent.attempt],
                    sent.event,
                    sent.attempt + 1,
                );
            }
        }
    }

    fn send(&mut self, arrives: u64, event: u64, attempt: usize) {
        let sent = Sent {
            arrives,
            event,
            attempt,
            is_copy: false,
        };
        self.sent.push(Reverse(sent));
        if self.chance.percent(60) {
            self.sent.push(Reverse(Sent {
                arrives: arrives + self.chance.below(30),
                is_copy: true,
                ..sent
            }));
        }
    }

    /// Returns whether the response is a 200.
    async fn deliver(&mut self, sent: Sent) -> bool {
        // If no event may be lost, the last attempt succeeds.
        let is_last = sent.attempt == GAPS.len() && !self.misses;
        if !is_last && self.chance.percent(10) {
            return false;
        }
        let now = at(sent.arrives);
        let body = body(sent.event);
        let signed = at(sent.arrives - self.chance.below(5));
        let header = sign(SECRET, signed, &body);
        let delivery = self.receiver.receive([(HEADER, header)], &body, now);
        let event = delivery.unwrap().into_event().unwrap();
        let key = EventKey::from(&event);
        let deadline = now + Duration::from_secs(59);
        match self.event_log.claim(&key, now, deadline).await.unwrap() {
            Claim::Processed => true,
            Claim::HeldUntil(_) => false,
            Claim::Granted(grant) => {
                self.is_late_where_it_is(sent.event, grant.newer);
                if !is_last && self.chance.percent(10) {
                    // Crashes without releasing its claim.
                    return false;
                }
                if !is_last && self.chance.percent(10) {
                    self.event_log.release(&grant).await.unwrap();
                    return false;
                }
                *self.handled.entry(sent.event).or_default() += 1;
                self.event_log.acknowledge(&grant, now).await.unwrap();
                true
            }
        }
    }

    fn is_late_where_it_is(&mut self, event: u64, newer: Option<SystemTime>) {
        let newest = self.newest.entry(patient(event)).or_default();
        let expected = Some(*newest).filter(|newest| *newest > happened(event));
        assert_eq!(newer, expected.map(at));
        self.late += u64::from(newer.is_some());
        *newest = happened(event).max(*newest);
    }
}

#[tokio::test]
async fn every_event_of_a_hundred_thousand_deliveries_is_handled_once() {
    let mut world = World::new(MemoryEventLog::new());
    world.run(44_000).await;
    assert!(world.deliveries >= 100_000, "{}", world.deliveries);
    assert!(world.late > 1_000, "{}", world.late);
}

#[tokio::test]
async fn every_event_is_handled_once_with_a_file() {
    let place = Place::new();
    let mut world = World::new(place.open().await.unwrap().event_log());
    world.run(1_000).await;
    assert!(world.deliveries >= 2_000, "{}", world.deliveries);
}
