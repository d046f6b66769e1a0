//! An event log in memory.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::future::ready;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use super::{Claim, DEFAULT_AGE, EventKey, EventLog, EventLogFuture, Grant};
use crate::lock::lock;

/// Default capacity in events: a few tens of megabytes at most.
const CAPACITY: usize = 100_000;

/// An event log in the memory of this process, for tests and for handlers that may safely process
/// an event again after a restart.
///
/// Clones share their records. An event that was forgotten, because of its age or the capacity,
/// counts as new when it is delivered again.
#[derive(Clone)]
pub struct MemoryEventLog {
    records: Arc<Mutex<Records>>,
    capacity: usize,
    age: Duration,
}

#[derive(Default)]
struct Records {
    events: ByLastChange<Record>,
    /// Time of the newest event about each subject.
    subjects: ByLastChange<SystemTime>,
}

#[derive(Clone, Copy)]
struct Record {
    attempt: u64,
    state: State,
}

#[derive(Clone, Copy)]
enum State {
    HeldUntil(SystemTime),
    Released,
    Processed,
}

impl MemoryEventLog {
    /// Creates an empty event log for up to 100,000 events of 30 days.
    #[must_use]
    pub fn new() -> Self {
        Self {
            records: Arc::default(),
            capacity: CAPACITY,
            age: DEFAULT_AGE,
        }
    }

    /// Sets the maximum number of events, and of subjects whose newest event is remembered.
    /// Default: 100,000.
    ///
    /// The records that changed least recently are forgotten first, processed or not.
    #[must_use]
    pub fn capacity(mut self, events: usize) -> Self {
        self.capacity = events;
        self
    }

    /// Sets how long an event is remembered. Default: 30 days.
    #[must_use]
    pub fn age(mut self, age: Duration) -> Self {
        self.age = age;
        self
    }

    /// Records are written atomically, so a poisoned lock leaves no partial record.
    fn records(&self) -> MutexGuard<'_, Records> {
        lock(&self.records)
    }
}

impl Default for MemoryEventLog {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryEventLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryEventLog")
            .field("capacity", &self.capacity)
            .field("age", &self.age)
            .finish_non_exhaustive()
    }
}

impl EventLog for MemoryEventLog {
    fn is_processed<'a>(&'a self, key: &'a EventKey) -> EventLogFuture<'a, bool> {
        let records = self.records();
        let known = records.events.get(&key.id);
        let is_done = known.is_some_and(|record| matches!(record.state, State::Processed));
        drop(records);
        Box::pin(ready(Ok(is_done)))
    }

    fn claim<'a>(
        &'a self,
        key: &'a EventKey,
        now: SystemTime,
        deadline: SystemTime,
    ) -> EventLogFuture<'a, Claim> {
        let mut records = self.records();
        records.events.forget(self.capacity, self.age, now);
        records.subjects.forget(self.capacity, self.age, now);
        let claim = records.claim(key, now, deadline);
        records.events.forget(self.capacity, self.age, now);
        records.subjects.forget(self.capacity, self.age, now);
        drop(records);
        Box::pin(ready(Ok(claim)))
    }

    fn acknowledge<'a>(&'a self, grant: &'a Grant, now: SystemTime) -> EventLogFuture<'a, ()> {
        let mut records = self.records();
        let attempt = records.events.get(&grant.key).map(|record| record.attempt);
        let record = Record {
            attempt: attempt.unwrap_or(grant.attempt),
            state: State::Processed,
        };
        records.events.put(&grant.key, record, now);
        drop(records);
        Box::pin(ready(Ok(())))
    }

    fn release<'a>(&'a self, grant: &'a Grant) -> EventLogFuture<'a, ()> {
        if let Some(record) = self.records().events.get_mut(&grant.key)
            && record.attempt == grant.attempt
            && matches!(record.state, State::HeldUntil(_))
        {
            record.state = State::Released;
        }
        Box::pin(ready(Ok(())))
    }
}

impl Records {
    fn claim(&mut self, key: &EventKey, now: SystemTime, deadline: SystemTime) -> Claim {
        let known = self.events.get(&key.id).copied();
        match known.map(|record| record.state) {
            Some(State::Processed) => return Claim::Processed,
            Some(State::HeldUntil(until)) if until > now => return Claim::HeldUntil(until),
            _ => {}
        }
        let attempt = known.map_or(0, |record| record.attempt).saturating_add(1);
        let record = Record {
            attempt,
            state: State::HeldUntil(deadline),
        };
        self.events.put(&key.id, record, now);
        Claim::Granted(Grant {
            key: key.id.clone(),
            attempt,
            newer: self.newer(key, now),
        })
    }

    /// Returns the time of the newest known event about the same subject if it is newer than this
    /// event; otherwise records this event as the newest.
    fn newer(&mut self, key: &EventKey, now: SystemTime) -> Option<SystemTime> {
        let (subject, created_at) = (key.subject.as_ref()?, key.created_at?);
        let newest = self.subjects.get(subject).copied();
        let newer = newest.filter(|newest| *newest > created_at);
        let newest = newer.unwrap_or(created_at);
        self.subjects.put(subject, newest, now);
        newer
    }
}

/// Values by key, in order of their last change.
struct ByLastChange<V> {
    values: HashMap<Arc<str>, (u64, SystemTime, V)>,
    order: BTreeMap<u64, Arc<str>>,
    changes: u64,
}

impl<V> Default for ByLastChange<V> {
    fn default() -> Self {
        Self {
            values: HashMap::new(),
            order: BTreeMap::new(),
            changes: 0,
        }
    }
}

impl<V> ByLastChange<V> {
    fn get(&self, key: &str) -> Option<&V> {
        self.values.get(key).map(|(.., value)| value)
    }

    fn get_mut(&mut self, key: &str) -> Option<&mut V> {
        self.values.get_mut(key).map(|(.., value)| value)
    }

    fn put(&mut self, key: &str, value: V, now: SystemTime) {
        self.changes += 1;
        let key: Arc<str> = key.into();
        let old = self.values.insert(key.clone(), (self.changes, now, value));
        if let Some((change, ..)) = old {
            self.order.remove(&change);
        }
        self.order.insert(self.changes, key);
    }

    /// Removes values beyond the capacity and values that are too old.
    fn forget(&mut self, capacity: usize, age: Duration, now: SystemTime) {
        while let Some(first) = self.order.first_entry() {
            let is_old = self
                .values
                .get(first.get())
                .is_none_or(|(_, at, _)| now.duration_since(*at).is_ok_and(|since| since > age));
            if !is_old && self.values.len() <= capacity {
                break;
            }
            self.values.remove(&first.remove());
        }
    }
}
