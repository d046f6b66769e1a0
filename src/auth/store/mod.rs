//! The token store: the trait, its results and its error.

mod filter;
mod guarded;
mod health;
mod memory;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use self::guarded::guarded;
use super::record::{ConnectionRecord, RecordError};

pub use filter::ConnectionFilter;
pub(super) use guarded::{STORE_TIMEOUT, Store, Swapped};
pub(super) use health::Reports;
pub use memory::MemoryStore;

/// The time after which [`TokenStore::swap_and_release`] does not wait for the release by default:
/// 500 ms. The tokens are saved, and the lease expires.
const RELEASE_TIMEOUT: Duration = Duration::from_millis(500);

/// The future that the methods of a [`TokenStore`] return.
pub type StoreFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// A durable store of one [`ConnectionRecord`] per user.
///
/// Several apps and environments may share a store, because the key of a record contains both.
/// `testing::contract::token_store` (feature `testing`) checks an implementation.
///
/// # Requirements for implementations
///
/// - **Durability.** A swap that returned [`Swap::Done`] survives a crash of the process, and every
///   later [`load`](TokenStore::load) sees it, also from other processes. Do not read from a
///   replica or a cache that may lag.
/// - **Atomicity.** A swap compares and writes in one step: of two swaps with the same `expected`
///   that change the generation, only one succeeds.
/// - **Errors of a swap.** A swap that returned an error was applied completely or not at all. The
///   caller retries with the same `expected`; if the first swap was applied, the caller finds its
///   own tokens in [`Swap::Lost`].
/// - **Absent tokens.** `None` means that the user has no tokens. Return an error for a record that
///   cannot be reached or read, because a user without tokens is asked to connect again.
/// - **Deletion.** Only [`delete`](TokenStore::delete) deletes records: no expiry, no eviction.
/// - **Fidelity.** Every field of a record is returned as it was stored. Keys are compared byte by
///   byte.
/// - **Deadlines.** A call that takes longer than 10 s counts as failed, and its future is dropped.
/// - **Leases.** A lease is advisory; a swap never depends on it, and it may be lost in a crash. A
///   lease can be acquired for a key without a record. The store measures leases with its own
///   clock: that of the database, or of the machine if all processes are on it.
/// - **Cancellation.** Dropping a future leaves its operation either done or not started, and
///   leaves nothing locked.
///
/// All methods may be called concurrently from any task.
/// An implementation that blocks must do so on its own thread.
pub trait TokenStore: Send + Sync + 'static {
    /// Returns the record with this key, or `None` if it does not exist.
    fn load<'a>(&'a self, key: &'a str) -> StoreFuture<'a, Option<ConnectionRecord>>;

    /// Replaces the record with the key of `new`, if its generation equals `expected`.
    ///
    /// `None` expects that no record has this key.
    /// The generation of `new` may equal `expected`: then its tokens are those that are stored.
    fn compare_and_swap(
        &self,
        expected: Option<u64>,
        new: ConnectionRecord,
    ) -> StoreFuture<'_, Swap>;

    /// Deletes the record with this key, if its generation equals `expected`.
    ///
    /// `None` deletes a record of any generation, also one that cannot be read.
    /// Returns [`Swap::Done`] if a record was deleted, and [`Swap::Lost`] with the record that is
    /// stored now otherwise. The lease of the key is unchanged.
    ///
    /// Only [`OAuthApp::revoke`](crate::auth::OAuthApp::revoke) and
    /// [`OAuthApp::forget`](crate::auth::OAuthApp::forget) call this method.
    fn delete<'a>(&'a self, key: &'a str, expected: Option<u64>) -> StoreFuture<'a, Swap>;

    /// Returns the records that match the filter and whose keys are greater than `after`, in the
    /// order of their keys.
    ///
    /// Returns `limit` records, or fewer if no other record matches.
    /// [`ConnectionFilter::matches`] decides; a database may narrow the records down first.
    fn list<'a>(
        &'a self,
        filter: &'a ConnectionFilter,
        after: Option<&'a str>,
        limit: usize,
    ) -> StoreFuture<'a, Vec<ConnectionRecord>>;

    /// Acquires or renews the lease to change a record, for the duration `ttl` from now.
    ///
    /// The lease is granted to `owner` if no other owner holds it, or if it has expired.
    fn lease<'a>(&'a self, key: &'a str, owner: &'a str, ttl: Duration) -> StoreFuture<'a, Lease>;

    /// Releases a lease before it expires.
    ///
    /// Does nothing if `owner` does not hold the lease.
    fn release<'a>(&'a self, key: &'a str, owner: &'a str) -> StoreFuture<'a, ()>;

    /// Acquires a lease like [`lease`](Self::lease), and returns the record with this key if the
    /// lease was granted.
    ///
    /// The record is read after the lease was acquired, so that it contains what the previous owner
    /// saved. By default this calls `lease` and [`load`](Self::load); implement it where one step
    /// saves a round trip to the database.
    fn lease_and_load<'a>(
        &'a self,
        key: &'a str,
        owner: &'a str,
        ttl: Duration,
    ) -> StoreFuture<'a, (Lease, Option<ConnectionRecord>)> {
        Box::pin(async move {
            let lease = guarded("lease", || self.lease(key, owner, ttl)).await?;
            let record = match lease {
                Lease::Granted => guarded("load", || self.load(key)).await?,
                Lease::Held { .. } => None,
            };
            Ok((lease, record))
        })
    }

    /// Replaces a record like [`compare_and_swap`](Self::compare_and_swap), and releases the lease of
    /// `owner` for the same key, whether the swap was done or lost.
    ///
    /// An error of the release alone is no error: the lease expires. By default this calls
    /// `compare_and_swap` and [`release`](Self::release); implement it where one step saves a round
    /// trip to the database.
    fn swap_and_release<'a>(
        &'a self,
        expected: Option<u64>,
        new: ConnectionRecord,
        owner: &'a str,
    ) -> StoreFuture<'a, Swap> {
        Box::pin(async move {
            let key = new.key.clone();
            let swap = guarded("compare_and_swap", || self.compare_and_swap(expected, new));
            let swap = swap.await?;
            let release = guarded("release", || self.release(&key, owner));
            let _expires = timeout(RELEASE_TIMEOUT, release).await;
            Ok(swap)
        })
    }
}

/// The result of [`TokenStore::compare_and_swap`] and [`TokenStore::delete`].
#[derive(Clone, Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "a result is created and matched once"
)]
pub enum Swap {
    /// The new record is saved, or the record is deleted.
    Done,
    /// The generation differed; contains the record that is stored now, if there is one.
    Lost(Option<ConnectionRecord>),
}

/// The result of [`TokenStore::lease`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lease {
    /// The owner holds the lease for the requested duration.
    Granted,
    /// Another owner holds the lease.
    Held {
        /// The time until the lease expires, unless its owner renews it.
        remaining: Duration,
    },
}

/// A failure of a [`TokenStore`].
#[derive(Clone)]
pub struct StoreError {
    source: Arc<dyn std::error::Error + Send + Sync>,
    is_transient: bool,
}

impl StoreError {
    /// Wraps the cause, whose texts must not contain a token.
    pub fn new(source: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self {
            source: Arc::new(source),
            is_transient: true,
        }
    }

    /// Sets whether waiting may help. Default: `true`.
    #[must_use]
    pub fn transient(mut self, is_transient: bool) -> Self {
        self.is_transient = is_transient;
        self
    }

    /// Returns whether waiting may help: the store is locked or cannot be reached for a while.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        self.is_transient
    }

    /// Returns whether a call of the store did not end within 10 s.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        matches!(self.source.downcast_ref(), Some(Fault::TimedOut(_)))
    }

    /// Returns whether the record of the user was read and cannot be decoded.
    #[must_use]
    pub fn is_unreadable(&self) -> bool {
        self.source.downcast_ref::<RecordError>().is_some()
    }

    /// Returns whether the store panicked.
    #[must_use]
    pub fn is_panic(&self) -> bool {
        matches!(self.source.downcast_ref(), Some(Fault::Panicked(_)))
    }
}

impl From<RecordError> for StoreError {
    fn from(error: RecordError) -> Self {
        Self::new(error).transient(false)
    }
}

/// A fault of a store that did not return an error, with the name of its method.
#[derive(Debug)]
enum Fault {
    TimedOut(&'static str),
    Panicked(&'static str),
    OtherRecord,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TimedOut(method) => write!(
                f,
                "timed out waiting for the token store: no result of `{method}` within {} s",
                STORE_TIMEOUT.as_secs()
            ),
            Self::Panicked(method) => {
                write!(f, "the token store panicked in `{method}`; fix the store")
            }
            Self::OtherRecord => {
                f.write_str("token store: returned the record of another key; fix the store")
            }
        }
    }
}

impl std::error::Error for Fault {}

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
