//! An in-memory token store.

use std::collections::BTreeMap;
use std::fmt;
use std::future::ready;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::time::Instant;

use super::{ConnectionFilter, Lease, StoreFuture, Swap, TokenStore};
use crate::auth::record::ConnectionRecord;
use crate::lock::lock;

/// The lease that is granted for a duration too long to be added to the time: a year.
const MAX_LEASE: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// A token store in the memory of this process.
///
/// Use it for tests, and for apps whose users can reconnect after each restart.
#[derive(Clone, Default)]
pub struct MemoryStore {
    rows: Arc<Mutex<Rows>>,
}

type Rows = BTreeMap<String, Row>;

#[derive(Default)]
struct Row {
    record: Option<ConnectionRecord>,
    lease: Option<(String, Instant)>,
}

impl MemoryStore {
    /// Creates an empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Locks the rows. A poisoned lock is usable, because each row is written as a whole.
    fn rows(&self) -> MutexGuard<'_, Rows> {
        lock(&self.rows)
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").finish_non_exhaustive()
    }
}

impl TokenStore for MemoryStore {
    fn load<'a>(&'a self, key: &'a str) -> StoreFuture<'a, Option<ConnectionRecord>> {
        let record = self.rows().get(key).and_then(|row| row.record.clone());
        Box::pin(ready(Ok(record)))
    }

    fn compare_and_swap(
        &self,
        expected: Option<u64>,
        new: ConnectionRecord,
    ) -> StoreFuture<'_, Swap> {
        let swap = swap(&mut self.rows(), expected, new);
        Box::pin(ready(Ok(swap)))
    }

    fn delete<'a>(&'a self, key: &'a str, expected: Option<u64>) -> StoreFuture<'a, Swap> {
        let mut rows = self.rows();
        let row = rows.entry(key.to_string()).or_default();
        let fits =
            |stored: &mut ConnectionRecord| expected.is_none_or(|it| it == stored.generation);
        let swap = match row.record.take_if(fits) {
            Some(_) => Swap::Done,
            None => Swap::Lost(row.record.clone()),
        };
        remove_if_empty(&mut rows, key);
        drop(rows);
        Box::pin(ready(Ok(swap)))
    }

    fn list<'a>(
        &'a self,
        filter: &'a ConnectionFilter,
        after: Option<&'a str>,
        limit: usize,
    ) -> StoreFuture<'a, Vec<ConnectionRecord>> {
        let rows = self.rows();
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let records = rows
            .range::<str, _>((start, Bound::Unbounded))
            .filter_map(|(_, row)| row.record.as_ref())
            .filter(|record| filter.matches(record));
        let page = records.take(limit).cloned().collect();
        drop(rows);
        Box::pin(ready(Ok(page)))
    }

    fn lease<'a>(&'a self, key: &'a str, owner: &'a str, ttl: Duration) -> StoreFuture<'a, Lease> {
        let lease = lease(&mut self.rows(), key, owner, ttl);
        Box::pin(ready(Ok(lease)))
    }

    fn release<'a>(&'a self, key: &'a str, owner: &'a str) -> StoreFuture<'a, ()> {
        release(&mut self.rows(), key, owner);
        Box::pin(ready(Ok(())))
    }

    fn lease_and_load<'a>(
        &'a self,
        key: &'a str,
        owner: &'a str,
        ttl: Duration,
    ) -> StoreFuture<'a, (Lease, Option<ConnectionRecord>)> {
        let mut rows = self.rows();
        let lease = lease(&mut rows, key, owner, ttl);
        let row = rows.get(key).filter(|_| lease == Lease::Granted);
        let record = row.and_then(|row| row.record.clone());
        drop(rows);
        Box::pin(ready(Ok((lease, record))))
    }

    fn swap_and_release<'a>(
        &'a self,
        expected: Option<u64>,
        new: ConnectionRecord,
        owner: &'a str,
    ) -> StoreFuture<'a, Swap> {
        let mut rows = self.rows();
        let key = new.key.clone();
        let swap = swap(&mut rows, expected, new);
        release(&mut rows, &key, owner);
        drop(rows);
        Box::pin(ready(Ok(swap)))
    }
}

fn swap(rows: &mut Rows, expected: Option<u64>, new: ConnectionRecord) -> Swap {
    let row = rows.entry(new.key.clone()).or_default();
    let present = row.record.as_ref().map(|record| record.generation);
    if present == expected {
        row.record = Some(new);
        return Swap::Done;
    }
    Swap::Lost(row.record.clone())
}

fn lease(rows: &mut Rows, key: &str, owner: &str, ttl: Duration) -> Lease {
    let now = Instant::now();
    let row = rows.entry(key.to_string()).or_default();
    match &row.lease {
        Some((holder, until)) if holder != owner && *until > now => Lease::Held {
            remaining: *until - now,
        },
        _ => {
            let until = now.checked_add(ttl).unwrap_or(now + MAX_LEASE);
            row.lease = Some((owner.to_string(), until));
            Lease::Granted
        }
    }
}

fn release(rows: &mut Rows, key: &str, owner: &str) {
    if let Some(row) = rows.get_mut(key) {
        row.lease.take_if(|(holder, _)| holder == owner);
        remove_if_empty(rows, key);
    }
}

fn remove_if_empty(rows: &mut Rows, key: &str) {
    let empty = |row: &Row| row.record.is_none() && row.lease.is_none();
    if rows.get(key).is_some_and(empty) {
        rows.remove(key);
    }
}
