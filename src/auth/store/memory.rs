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
    rows: Arc<Mutex<BTreeMap<String, Row>>>,
}

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
    fn rows(&self) -> MutexGuard<'_, BTreeMap<String, Row>> {
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
        let mut rows = self.rows();
        let row = rows.entry(new.key.clone()).or_default();
        let present = row.record.as_ref().map(|record| record.generation);
        let swap = if present == expected {
            row.record = Some(new);
            Swap::Done
        } else {
            Swap::Lost(row.record.clone())
        };
        drop(rows);
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
        let now = Instant::now();
        let mut rows = self.rows();
        let row = rows.entry(key.to_string()).or_default();
        let lease = match &row.lease {
            Some((holder, until)) if holder != owner && *until > now => Lease::Held {
                remaining: *until - now,
            },
            _ => {
                let until = now.checked_add(ttl).unwrap_or(now + MAX_LEASE);
                row.lease = Some((owner.to_string(), until));
                Lease::Granted
            }
        };
        drop(rows);
        Box::pin(ready(Ok(lease)))
    }

    fn release<'a>(&'a self, key: &'a str, owner: &'a str) -> StoreFuture<'a, ()> {
        let mut rows = self.rows();
        if let Some(row) = rows.get_mut(key) {
            row.lease.take_if(|(holder, _)| holder == owner);
            remove_if_empty(&mut rows, key);
        }
        drop(rows);
        Box::pin(ready(Ok(())))
    }
}

fn remove_if_empty(rows: &mut BTreeMap<String, Row>, key: &str) {
    let empty = |row: &Row| row.record.is_none() && row.lease.is_none();
    if rows.get(key).is_some_and(empty) {
        rows.remove(key);
    }
}
