//! An in-memory token store.

use std::collections::HashMap;
use std::fmt;
use std::future::ready;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::time::Instant;

use super::{Lease, StoreFuture, Swap, TokenStore};
use crate::auth::token::TokenSet;
use crate::lock::lock;

/// A token store in the memory of this process.
///
/// Use it for tests, and for apps whose users can reconnect after each restart.
#[derive(Clone, Default)]
pub struct MemoryStore {
    rows: Arc<Mutex<HashMap<String, Row>>>,
}

#[derive(Default)]
struct Row {
    tokens: Option<TokenSet>,
    lease: Option<(String, Instant)>,
}

impl MemoryStore {
    /// Creates an empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Locks the rows. A poisoned lock is usable, because each row is written as a whole.
    fn rows(&self) -> MutexGuard<'_, HashMap<String, Row>> {
        lock(&self.rows)
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").finish_non_exhaustive()
    }
}

impl TokenStore for MemoryStore {
    fn load<'a>(&'a self, user: &'a str) -> StoreFuture<'a, Option<TokenSet>> {
        let tokens = self.rows().get(user).and_then(|row| row.tokens.clone());
        Box::pin(ready(Ok(tokens)))
    }

    fn compare_and_swap<'a>(
        &'a self,
        user: &'a str,
        expected: Option<u64>,
        new: TokenSet,
    ) -> StoreFuture<'a, Swap> {
        let mut rows = self.rows();
        let row = rows.entry(user.to_string()).or_default();
        let present = row.tokens.as_ref().map(|tokens| tokens.generation);
        let swap = if present == expected {
            row.tokens = Some(new);
            Swap::Done
        } else {
            Swap::Lost(row.tokens.clone())
        };
        drop(rows);
        Box::pin(ready(Ok(swap)))
    }

    fn delete<'a>(&'a self, user: &'a str, expected: Option<u64>) -> StoreFuture<'a, Swap> {
        let mut rows = self.rows();
        let row = rows.entry(user.to_string()).or_default();
        let fits = |stored: &mut TokenSet| expected.is_none_or(|it| it == stored.generation);
        let swap = match row.tokens.take_if(fits) {
            Some(_) => Swap::Done,
            None => Swap::Lost(row.tokens.clone()),
        };
        remove_if_empty(&mut rows, user);
        drop(rows);
        Box::pin(ready(Ok(swap)))
    }

    fn lease<'a>(&'a self, user: &'a str, owner: &'a str, ttl: Duration) -> StoreFuture<'a, Lease> {
        let now = Instant::now();
        let mut rows = self.rows();
        let row = rows.entry(user.to_string()).or_default();
        let lease = match &row.lease {
            Some((holder, until)) if holder != owner && *until > now => Lease::Held {
                remaining: *until - now,
            },
            _ => {
                row.lease = Some((owner.to_string(), now + ttl));
                Lease::Granted
            }
        };
        drop(rows);
        Box::pin(ready(Ok(lease)))
    }

    fn release<'a>(&'a self, user: &'a str, owner: &'a str) -> StoreFuture<'a, ()> {
        let mut rows = self.rows();
        if let Some(row) = rows.get_mut(user) {
            row.lease.take_if(|(holder, _)| holder == owner);
            remove_if_empty(&mut rows, user);
        }
        drop(rows);
        Box::pin(ready(Ok(())))
    }
}

fn remove_if_empty(rows: &mut HashMap<String, Row>, user: &str) {
    let empty = |row: &Row| row.tokens.is_none() && row.lease.is_none();
    if rows.get(user).is_some_and(empty) {
        rows.remove(user);
    }
}
