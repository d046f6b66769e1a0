//! Where tokens rest.

mod memory;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::SystemTime;

use super::token::TokenSet;

pub use memory::MemoryStore;

/// What a store's methods return.
pub type StoreFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// Keeps one [`TokenSet`] for each user.
///
/// A store serves one app, that is one client id on one environment: give
/// each app a store of its own, for user ids of two may be the same.
///
/// # What an implementation guarantees
///
/// - A swap that answered [`Swap::Done`] survives a crash of the process, and
///   is seen by every later [`load`](TokenStore::load), also from other
///   processes: nothing is read from a replica or a cache that may lag.
/// - A swap compares and writes in one step: of two with the same
///   `expected`, one is done.
/// - A swap that answered an error may have been done or not, but not in
///   part. The caller tries again with the same `expected`; where the first
///   had been done after all it finds its own tokens in [`Swap::Lost`].
/// - No tokens means that there are none. Tokens that can't be reached or read
///   are an error, for a user without tokens is asked to connect again.
/// - Nothing is deleted but by [`delete`](TokenStore::delete): no expiry, no
///   eviction.
/// - Every field of a [`TokenSet`] comes back as it was given, times and
///   lifetimes to the millisecond at least.
/// - A lease is only a courtesy between processes; a swap never depends on it,
///   and it may be lost in a crash. It can be taken for a user who has no
///   tokens, and ends with [`delete`](TokenStore::delete).
/// - A future that is dropped leaves what it began either done or not begun,
///   and nothing locked.
///
/// All methods may be called at once from any task. An implementation that
/// blocks does it on a thread of its own.
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
