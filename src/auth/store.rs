//! Where tokens rest.

use std::collections::HashMap;
use std::fmt;
use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use super::token::TokenSet;

/// What a store's methods return.
pub type StoreFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// Keeps one [`TokenSet`] for each user.
///
/// # What an implementation guarantees
///
/// - A swap that answered [`Swap::Done`] survives a crash of the process, and
///   is seen by every later [`load`](TokenStore::load), also from other
///   processes.
/// - A swap compares and writes in one step: of two with the same
///   `expected`, one is done.
/// - Nothing is deleted but by [`delete`](TokenStore::delete): no expiry, no
///   eviction.
/// - A lease is only a courtesy between processes; a swap never depends on it.
///
/// All methods may be called at once from any task.
pub trait TokenStore: Send + Sync + 'static {
    /// The tokens of a user, if there are any.
    fn load<'a>(&'a self, user: &'a str) -> StoreFuture<'a, Option<TokenSet>>;

    /// Replaces the tokens of a user if their generation is the one expected
    /// (`None`: there are none yet).
    fn compare_and_swap<'a>(
        &'a self,
        user: &'a str,
        expected: Option<u64>,
        new: TokenSet,
    ) -> StoreFuture<'a, Swap>;

    /// Forgets a user. Only revoking and forgetting do this.
    fn delete<'a>(&'a self, user: &'a str) -> StoreFuture<'a, ()>;

    /// Asks to be the one who refreshes this user's tokens until `deadline`.
    ///
    /// Granted to `owner` when nobody holds it, when `owner` does already, or
    /// when the holder's deadline is before `now`.
    fn lease<'a>(
        &'a self,
        user: &'a str,
        owner: &'a str,
        now: SystemTime,
        deadline: SystemTime,
    ) -> StoreFuture<'a, Lease>;

    /// Gives a lease back before its deadline; nothing if `owner` has none.
    fn release<'a>(&'a self, user: &'a str, owner: &'a str) -> StoreFuture<'a, ()>;
}

/// How a swap ended.
#[derive(Clone, Debug)]
pub enum Swap {
    /// The new tokens are saved.
    Done,
    /// Somebody was faster; these are there now, or none.
    Lost(Option<TokenSet>),
}

/// How a request for a lease ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lease {
    /// It is ours until the deadline.
    Granted,
    /// Somebody else has it, until then at the latest.
    HeldUntil(SystemTime),
}

/// A store that failed.
#[derive(Clone)]
pub struct StoreError {
    source: Arc<dyn std::error::Error + Send + Sync>,
}

impl StoreError {
    /// Wraps the cause. Make sure that its texts hold no token.
    pub fn new(source: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self {
            source: Arc::new(source),
        }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the token store failed")
    }
}

impl fmt::Debug for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreError")
            .field("source", &self.source)
            .finish()
    }
}

impl std::error::Error for StoreError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&*self.source)
    }
}

/// Keeps tokens in this process alone: for tests, and for apps whose users
/// connect again after each restart.
#[derive(Clone, Default)]
pub struct MemoryStore {
    rows: Arc<Mutex<HashMap<String, Row>>>,
}

#[derive(Default)]
struct Row {
    tokens: Option<TokenSet>,
    lease: Option<(String, SystemTime)>,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A row is written whole, so a panic elsewhere leaves nothing half done.
    fn rows(&self) -> MutexGuard<'_, HashMap<String, Row>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
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

    fn delete<'a>(&'a self, user: &'a str) -> StoreFuture<'a, ()> {
        self.rows().remove(user);
        Box::pin(ready(Ok(())))
    }

    fn lease<'a>(
        &'a self,
        user: &'a str,
        owner: &'a str,
        now: SystemTime,
        deadline: SystemTime,
    ) -> StoreFuture<'a, Lease> {
        let mut rows = self.rows();
        let row = rows.entry(user.to_string()).or_default();
        let lease = match &row.lease {
            Some((holder, until)) if holder != owner && *until > now => Lease::HeldUntil(*until),
            _ => {
                row.lease = Some((owner.to_string(), deadline));
                Lease::Granted
            }
        };
        drop(rows);
        Box::pin(ready(Ok(lease)))
    }

    fn release<'a>(&'a self, user: &'a str, owner: &'a str) -> StoreFuture<'a, ()> {
        let mut rows = self.rows();
        if let Some(row) = rows.get_mut(user)
            && row
                .lease
                .as_ref()
                .is_some_and(|(holder, _)| holder == owner)
        {
            row.lease = None;
        }
        drop(rows);
        Box::pin(ready(Ok(())))
    }
}
