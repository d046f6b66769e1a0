//! Tokens in an SQLite file.

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
use std::time::SystemTime;

use self::cipher::Keys;
use self::database::Database;
use self::worker::{Access, Worker};
use crate::auth::{Lease, StoreError, StoreFuture, Swap, TokenSet, TokenStore};

pub use self::cipher::EncryptionKey;
use self::error::Failure;
pub use self::error::SqliteError;
pub use self::event_log::SqliteEventLog;

/// Keeps tokens in an SQLite file, for the processes of one machine.
///
/// Cheap to clone; clones share one connection, on a thread that ends with the
/// last of them. Any number of processes may open the same file. Two stores on
/// one file are one store.
///
/// - A swap that answered [`Swap::Done`] is on the disk, and survives a loss of
///   power. What is asked for at once is saved with one write to the disk.
/// - On Unix the file and those beside it (`-wal`, `-shm`) are the owner's
///   alone: made with mode 0600, and narrowed to it where they exist.
/// - With an [`EncryptionKey`] the tokens are encrypted in the file. What is
///   known of them is not: user, owner, scopes, times.
///
/// The file must be on a local disk, for SQLite's shared memory does not work
/// over a network. Don't put an old copy of it back while it works: refresh
/// tokens are replaced by each refresh, so those of a copy are mostly dead.
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("tokens.db");
/// use fullscript::auth::OAuthApp;
/// use fullscript::sqlite::{EncryptionKey, SqliteStore};
///
/// // Made once with `EncryptionKey::generate` and kept where secrets are.
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
    /// Opens a file without encryption, or makes it.
    ///
    /// # Errors
    /// As [`SqliteStoreBuilder::open`].
    pub async fn open(path: impl Into<PathBuf>) -> Result<Self, SqliteError> {
        Self::builder(path).open().await
    }

    /// Starts opening a file.
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

/// Each method hands its work to the thread when it is called: dropping the
/// future stops nothing.
impl TokenStore for SqliteStore {
    fn load<'a>(&'a self, user: &'a str) -> StoreFuture<'a, Option<TokenSet>> {
        let user = user.to_string();
        self.ask(Access::Read, move |database| database.rows().load(&user))
    }

    fn compare_and_swap<'a>(
        &'a self,
        user: &'a str,
        expected: Option<u64>,
        new: TokenSet,
    ) -> StoreFuture<'a, Swap> {
        let user = user.to_string();
        self.ask(Access::Write, move |database| {
            database.rows().swap(&user, expected, &new)
        })
    }

    fn delete<'a>(&'a self, user: &'a str) -> StoreFuture<'a, ()> {
        let user = user.to_string();
        self.ask(Access::Write, move |database| database.rows().delete(&user))
    }

    fn lease<'a>(
        &'a self,
        user: &'a str,
        owner: &'a str,
        now: SystemTime,
        deadline: SystemTime,
    ) -> StoreFuture<'a, Lease> {
        let (user, owner) = (user.to_string(), owner.to_string());
        self.ask(Access::Courtesy, move |database| {
            database.rows().lease(&user, &owner, now, deadline)
        })
    }

    fn release<'a>(&'a self, user: &'a str, owner: &'a str) -> StoreFuture<'a, ()> {
        let (user, owner) = (user.to_string(), owner.to_string());
        self.ask(Access::Courtesy, move |database| {
            database.rows().release(&user, &owner)
        })
    }
}

impl SqliteStore {
    fn ask<T: Send + 'static>(
        &self,
        access: Access,
        work: impl FnMut(&Database) -> Result<T, Failure> + Send + 'static,
    ) -> StoreFuture<'static, T> {
        let answer = self.worker.ask(access, work);
        Box::pin(async {
            answer
                .await
                .map_err(|failure| StoreError::new(SqliteError::from(failure)))
        })
    }
}

/// How a file is opened; see [`SqliteStore::builder`].
#[derive(Clone)]
pub struct SqliteStoreBuilder {
    path: PathBuf,
    keys: Keys,
}

impl SqliteStoreBuilder {
    /// Encrypts the tokens with this key.
    ///
    /// A file that was not encrypted is encrypted when it is opened, and
    /// nothing of the plain tokens stays in it. Stop the processes that have it
    /// open without the key first; they get errors from then on.
    #[must_use]
    pub fn encryption_key(mut self, key: EncryptionKey) -> Self {
        self.keys.current = Some(key);
        self
    }

    /// The key that the file was encrypted with until now: the tokens are
    /// encrypted anew when the file is opened.
    ///
    /// May stay in place afterwards; it is looked at only where the key itself
    /// does not fit. Processes that have the file open with the old key get
    /// errors until they open it again.
    #[must_use]
    pub fn previous_encryption_key(mut self, key: EncryptionKey) -> Self {
        self.keys.previous = Some(key);
        self
    }

    /// Opens the file, makes it where there is none, and brings an older one
    /// up to date.
    ///
    /// # Errors
    /// When the file can't be made, read or written, is none of ours, is of a
    /// newer version of this crate, or needs another key
    /// ([`SqliteError::is_key_refused`]). Nothing is changed then.
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
