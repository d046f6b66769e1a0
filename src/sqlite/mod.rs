//! Stores tokens and an event log in an SQLite file.

mod cipher;
mod database;
mod error;
mod event_log;
mod file;
mod rows;
mod schema;
mod worker;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use self::cipher::Keys;
use self::database::Database;
use self::worker::{Access, Worker};
use crate::auth::{Lease, StoreError, StoreFuture, Swap, TokenSet, TokenStore};
use crate::clock::{Clock, SystemClock};

pub use self::cipher::EncryptionKey;
use self::error::Failure;
pub use self::error::SqliteError;
pub use self::event_log::SqliteEventLog;

/// A token store in an SQLite file, for the processes of one machine.
///
/// Cheap to clone; clones share one connection, on a thread that ends with the last of them. Any
/// number of processes may open the same file. Two stores on the same file have the same content.
///
/// - A swap that returned [`Swap::Done`] is durable and survives a power failure. Concurrent writes
///   are saved with one write to the disk.
/// - On Unix, only the owner may access the file and those next to it (`-wal`, `-shm`): they are
///   created with mode 0600, and existing ones are restricted to it.
/// - With an [`EncryptionKey`] the tokens are encrypted in the file. Their metadata is not: user,
///   owner, scopes, times.
///
/// The file must be on a local disk, because SQLite's shared memory does not work over a network.
/// Do not restore an old copy of the file while it works: each refresh rotates the refresh token,
/// so most refresh tokens of a copy are invalid.
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("tokens.db");
/// use fullscript::auth::OAuthApp;
/// use fullscript::sqlite::{EncryptionKey, SqliteStore};
///
/// // Generated once with `EncryptionKey::generate` and kept with your secrets.
/// let key = EncryptionKey::from_text("MTIzNDU2Nzg5MGFiY2RlZmdoaWprbG1ub3BxcnN0dXY=")?;
/// let store = SqliteStore::builder(path).encryption_key(key).open().await?;
/// let app = OAuthApp::builder(fullscript::Environment::UsSandbox).store(store);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Clone)]
pub struct SqliteStore {
    worker: Worker,
}

impl SqliteStore {
    /// Opens a file without encryption, or creates it.
    ///
    /// # Errors
    /// Returns the errors of [`SqliteStoreBuilder::open`].
    pub async fn open(path: impl Into<PathBuf>) -> Result<Self, SqliteError> {
        Self::builder(path).open().await
    }

    /// Creates a builder for a store in the file at `path`.
    #[must_use]
    pub fn builder(path: impl Into<PathBuf>) -> SqliteStoreBuilder {
        SqliteStoreBuilder {
            path: path.into(),
            keys: Keys::default(),
        }
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore").finish_non_exhaustive()
    }
}

/// Each method queues its work when it is called, so dropping the future does not cancel it.
impl TokenStore for SqliteStore {
    fn load<'a>(&'a self, user: &'a str) -> StoreFuture<'a, Option<TokenSet>> {
        let user = user.to_string();
        self.submit(Access::Read, move |database| database.rows().load(&user))
    }

    fn compare_and_swap<'a>(
        &'a self,
        user: &'a str,
        expected: Option<u64>,
        new: TokenSet,
    ) -> StoreFuture<'a, Swap> {
        let user = user.to_string();
        self.submit(Access::Write, move |database| {
            database.rows().swap(&user, expected, &new)
        })
    }

    fn delete<'a>(&'a self, user: &'a str, expected: Option<u64>) -> StoreFuture<'a, Swap> {
        let user = user.to_string();
        self.submit(Access::Write, move |database| {
            database.rows().delete(&user, expected)
        })
    }

    fn lease<'a>(&'a self, user: &'a str, owner: &'a str, ttl: Duration) -> StoreFuture<'a, Lease> {
        let (user, owner) = (user.to_string(), owner.to_string());
        self.submit(Access::Relaxed, move |database| {
            // Read when the work runs, because it may have been queued for long.
            let now = SystemClock.now();
            database.rows().lease(&user, &owner, now, ttl)
        })
    }

    fn release<'a>(&'a self, user: &'a str, owner: &'a str) -> StoreFuture<'a, ()> {
        let (user, owner) = (user.to_string(), owner.to_string());
        self.submit(Access::Relaxed, move |database| {
            database.rows().release(&user, &owner)
        })
    }
}

impl SqliteStore {
    fn submit<T: Send + 'static>(
        &self,
        access: Access,
        work: impl FnMut(&Database) -> Result<T, Failure> + Send + 'static,
    ) -> StoreFuture<'static, T> {
        let result = self.worker.submit(access, work);
        Box::pin(async {
            result
                .await
                .map_err(|failure| StoreError::new(SqliteError::from(failure)))
        })
    }
}

/// A builder for a [`SqliteStore`]; see [`SqliteStore::builder`].
#[derive(Clone)]
pub struct SqliteStoreBuilder {
    path: PathBuf,
    keys: Keys,
}

impl SqliteStoreBuilder {
    /// Sets the key that the tokens are encrypted with. Default: no encryption.
    ///
    /// A file that is not encrypted is encrypted when it is opened, and no plain tokens remain in
    /// it. First stop the processes that have it open without the key: they return errors from then
    /// on.
    #[must_use]
    pub fn encryption_key(mut self, key: EncryptionKey) -> Self {
        self.keys.current = Some(key);
        self
    }

    /// Sets the key that the file was encrypted with before, to rotate keys: the tokens are
    /// encrypted again with the new key when the file is opened.
    ///
    /// It may stay set afterwards; it is used only if the current key does not match. Processes
    /// that have the file open with the old key return errors until they open it again.
    #[must_use]
    pub fn previous_encryption_key(mut self, key: EncryptionKey) -> Self {
        self.keys.previous = Some(key);
        self
    }

    /// Opens the file, creating it if it does not exist, and migrates an older one.
    ///
    /// # Errors
    /// Returns a [`SqliteError`] if the file cannot be created, read or written, belongs to another
    /// application, was created by a newer version of this crate, or needs another key
    /// ([`SqliteError::is_key_refused`]). The file is not changed in these cases.
    pub async fn open(self) -> Result<SqliteStore, SqliteError> {
        let Self { path, keys } = self;
        let worker = Worker::start(move || Database::open(&path, &keys)).await?;
        Ok(SqliteStore { worker })
    }
}

impl fmt::Debug for SqliteStoreBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStoreBuilder")
            .field("path", &self.path)
            .field("encrypted", &self.keys.current.is_some())
            .finish_non_exhaustive()
    }
}
