//! Stores tokens, an event log and a shared rate limit in an SQLite file.

mod database;
mod error;
mod event_log;
mod file;
mod rate_limit;
mod rows;
mod schema;
mod worker;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use self::database::Database;
use self::worker::{Access, Worker};
use crate::auth::{
    ConnectionFilter, ConnectionRecord, Lease, StoreError, StoreFuture, Swap, TokenStore,
};
use crate::clock::{Clock, SystemClock};

use self::error::Failure;
pub use self::error::SqliteError;
pub use self::event_log::SqliteEventLog;
pub use self::rate_limit::SqliteRateLimit;

/// A token store in an SQLite file, for the processes of one machine.
///
/// Cheap to clone; clones share two connections, on threads that end with the last of them. Any
/// number of processes may open the same file. Two stores on the same file have the same content.
///
/// - A swap that returned [`Swap::Done`] is durable and survives a power failure. Concurrent writes
///   are saved with one write to the disk.
/// - Reads wait for no other process. A write that waits for a lock of another process fails after
///   8 s.
/// - A file that was deleted, moved, replaced or cut off while it is open is an error of every
///   call, and so is a symbolic link that leads to another file by now: nothing is reported as saved
///   that cannot be opened again.
/// - On Unix, only the owner may access the file and those next to it (`-wal`, `-shm`): they are
///   created with mode 0600, and existing ones are restricted to it. A file of another user is
///   refused, also for root, unless it is shared with a group of the process and with nobody else
///   (a Kubernetes volume with `fsGroup`).
/// - Wrap the store in an [`EncryptedStore`](crate::encryption::EncryptedStore) to encrypt the
///   tokens in the file.
///
/// The file must be on a local disk, because SQLite's shared memory does not work over a network.
/// Mount its directory into a container, not the file alone: the newest tokens are in the log next
/// to it.
/// Do not restore an old copy of the file while it works: each refresh rotates the refresh token,
/// so most refresh tokens of a copy are invalid.
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("tokens.db");
/// use fullscript::auth::OAuthApp;
/// use fullscript::sqlite::SqliteStore;
///
/// let store = SqliteStore::open(path).await?;
/// let app = OAuthApp::builder(fullscript::Environment::UsSandbox).store(store);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Clone)]
pub struct SqliteStore {
    workers: Workers,
}

/// A thread for reads, which wait for no lock, and one for writes.
#[derive(Clone)]
struct Workers {
    reads: Worker,
    writes: Worker,
}

impl Workers {
    fn submit<T: Send + 'static>(
        &self,
        access: Access,
        work: impl FnMut(&Database) -> Result<T, Failure> + Send + 'static,
    ) -> impl Future<Output = Result<T, SqliteError>> + Send + 'static {
        let worker = if access == Access::Read {
            &self.reads
        } else {
            &self.writes
        };
        let result = worker.submit(access, work);
        async { result.await.map_err(SqliteError::from) }
    }
}

impl SqliteStore {
    /// Opens the file at `path`, creating it if it does not exist, and migrates an older one.
    ///
    /// # Errors
    /// Returns a [`SqliteError`] if the file cannot be created, read or written, belongs to another
    /// application, or was created by a newer version of this crate. The file is not changed in
    /// these cases.
    pub async fn open(path: impl Into<PathBuf>) -> Result<Self, SqliteError> {
        let path = path.into();
        let also = path.clone();
        // Created and migrated by the first, so that the second waits for no lock.
        let writes = Worker::start(move || Database::open(&path)).await?;
        let reads = Worker::start(move || Database::open(&also)).await?;
        Ok(Self {
            workers: Workers { reads, writes },
        })
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore").finish_non_exhaustive()
    }
}

/// Each method queues its work when it is called, so dropping the future does not cancel it.
impl TokenStore for SqliteStore {
    fn load<'a>(&'a self, key: &'a str) -> StoreFuture<'a, Option<ConnectionRecord>> {
        let key = key.to_string();
        self.submit(Access::Read, move |database| database.rows().load(&key))
    }

    fn compare_and_swap(
        &self,
        expected: Option<u64>,
        new: ConnectionRecord,
    ) -> StoreFuture<'_, Swap> {
        self.submit(Access::Write, move |database| {
            database.rows().swap(expected, &new)
        })
    }

    fn delete<'a>(&'a self, key: &'a str, expected: Option<u64>) -> StoreFuture<'a, Swap> {
        let key = key.to_string();
        self.submit(Access::Write, move |database| {
            database.rows().delete(&key, expected)
        })
    }

    fn list<'a>(
        &'a self,
        filter: &'a ConnectionFilter,
        after: Option<&'a str>,
        limit: usize,
    ) -> StoreFuture<'a, Vec<ConnectionRecord>> {
        let (filter, after) = (filter.clone(), after.map(str::to_string));
        self.submit(Access::Read, move |database| {
            database.rows().list(&filter, after.as_deref(), limit)
        })
    }

    fn lease<'a>(&'a self, key: &'a str, owner: &'a str, ttl: Duration) -> StoreFuture<'a, Lease> {
        let (key, owner) = (key.to_string(), owner.to_string());
        self.submit(Access::Relaxed, move |database| {
            // Read when the work runs, because it may have been queued for long.
            let now = SystemClock.now();
            database.rows().lease(&key, &owner, now, ttl)
        })
    }

    fn release<'a>(&'a self, key: &'a str, owner: &'a str) -> StoreFuture<'a, ()> {
        let (key, owner) = (key.to_string(), owner.to_string());
        self.submit(Access::Relaxed, move |database| {
            database.rows().release(&key, &owner)
        })
    }

    fn lease_and_load<'a>(
        &'a self,
        key: &'a str,
        owner: &'a str,
        ttl: Duration,
    ) -> StoreFuture<'a, (Lease, Option<ConnectionRecord>)> {
        let (key, owner) = (key.to_string(), owner.to_string());
        self.submit(Access::Relaxed, move |database| {
            let rows = database.rows();
            let lease = rows.lease(&key, &owner, SystemClock.now(), ttl)?;
            let record = match lease {
                Lease::Granted => rows.load(&key)?,
                Lease::Held { .. } => None,
            };
            Ok((lease, record))
        })
    }

    fn swap_and_release<'a>(
        &'a self,
        expected: Option<u64>,
        new: ConnectionRecord,
        owner: &'a str,
    ) -> StoreFuture<'a, Swap> {
        let owner = owner.to_string();
        self.submit(Access::Write, move |database| {
            let rows = database.rows();
            let swap = rows.swap(expected, &new)?;
            rows.release(&new.key, &owner)?;
            Ok(swap)
        })
    }
}

impl SqliteStore {
    fn submit<T: Send + 'static>(
        &self,
        access: Access,
        work: impl FnMut(&Database) -> Result<T, Failure> + Send + 'static,
    ) -> StoreFuture<'static, T> {
        let result = self.workers.submit(access, work);
        Box::pin(async {
            result.await.map_err(|error| {
                let is_transient = error.is_transient();
                StoreError::new(error).transient(is_transient)
            })
        })
    }
}
