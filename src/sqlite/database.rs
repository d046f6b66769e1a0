//! An open file: its connection and transactions.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::{Connection, MAIN_DB, OpenFlags, Transaction, TransactionBehavior};

use super::error::{Failure, Kind};
use super::file::{self, OpenFile};
use super::rows::Rows;
use super::schema;

/// Maximum time to wait for locks of other processes while the file is opened. They hold locks for
/// milliseconds, and for longer only while they clean up.
const LOCK_TIMEOUT: Duration = Duration::from_secs(10);

/// Delay before a retry when SQLite reports a lock without waiting, which happens while several
/// processes migrate the same file.
const RETRY_DELAY: Duration = Duration::from_millis(10);

/// An open file.
pub(super) struct Database {
    connection: Connection,
    file: OpenFile,
}

impl Database {
    /// Opens the file; creates or migrates it if needed.
    pub(super) fn open(given: &Path) -> Result<Self, Failure> {
        let path = file::make(given, |new| {
            let connection = connect(new)?;
            // The connection closes with its log in the file.
            migrate(connection).map(drop)
        })?;
        let begun = Instant::now();
        loop {
            match Self::open_now(given, &path) {
                Err(error) if error.is_busy() && begun.elapsed() < LOCK_TIMEOUT => {
                    thread::sleep(RETRY_DELAY)
                }
                ended => return ended.map_err(|error| file::explain(error, &path)),
            }
        }
    }

    fn open_now(given: &Path, path: &Path) -> Result<Self, Failure> {
        file::is_not_empty(path)?;
        file::has_own_log(path)?;
        let mut connection = connect(path)?;
        // All checks run before anything is changed.
        let transaction = connection.transaction()?;
        if schema::version(&transaction)? == 0 {
            return Err(Failure::new(Kind::Empty));
        }
        drop(transaction);
        if connection.is_readonly(MAIN_DB)? {
            return Err(Failure::new(Kind::ReadOnly));
        }
        file::admit(path)?;
        let connection = migrate(connection)?;
        let file = OpenFile::at(given, path)?;
        Ok(Self { connection, file })
    }

    /// Runs reads in one transaction.
    pub(super) fn read(
        &self,
        work: &mut dyn FnMut(&Self) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        self.transaction(TransactionBehavior::Deferred, work)
    }

    /// Runs writes in one atomic transaction, after waiting for locks of other processes for
    /// `patience` at most. If `on_disk` is true, they are durable when this returns, provided that
    /// the disk reports writes truthfully.
    pub(super) fn write(
        &self,
        on_disk: bool,
        patience: Duration,
        work: &mut dyn FnMut(&Self) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        // With NORMAL the file is also consistent after a power failure, but the last transactions
        // may be lost. The next FULL transaction saves them too.
        let synchronous = if on_disk { "FULL" } else { "NORMAL" };
        self.connection
            .pragma_update(None, "synchronous", synchronous)?;
        self.connection.busy_timeout(patience)?;
        self.transaction(TransactionBehavior::Immediate, work)?;
        // Checked again after the commit, which may have gone to a file that was just deleted.
        self.file.is_in_place()
    }

    fn transaction(
        &self,
        behavior: TransactionBehavior,
        work: &mut dyn FnMut(&Self) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        self.file.is_in_place()?;
        let mut run = || -> Result<(), Failure> {
            let transaction = Transaction::new_unchecked(&self.connection, behavior)?;
            work(self)?;
            Ok(transaction.commit()?)
        };
        run().map_err(|error| self.file.explain(error))
    }

    /// Returns access to the rows in the current transaction.
    pub(super) fn rows(&self) -> Rows<'_> {
        Rows {
            connection: &self.connection,
        }
    }
}

fn connect(path: &Path) -> Result<Connection, Failure> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(LOCK_TIMEOUT)?;
    Ok(connection)
}

/// Sets up the connection, and applies the missing migrations.
fn migrate(mut connection: Connection) -> Result<Connection, Failure> {
    let mode: String =
        connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    if mode != "wal" {
        return Err(Failure::new(Kind::NoWriteAheadLog));
    }
    connection.execute_batch(
        "PRAGMA synchronous = FULL;
         PRAGMA fullfsync = ON;
         PRAGMA checkpoint_fullfsync = ON;
         PRAGMA secure_delete = ON;
         PRAGMA temp_store = MEMORY;",
    )?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Another process may have migrated the file in the meantime.
    schema::migrate(&transaction)?;
    transaction.commit()?;
    Ok(connection)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::{ConnectionRecord, RecordData, StoreError, Swap, TokenStore};
    use crate::sqlite::worker::{Access, Worker};
    use crate::sqlite::{SqliteStore, Workers};

    fn record(key: &str, data: &str) -> ConnectionRecord {
        ConnectionRecord::new(key, 1, RecordData::new(data.into()))
    }

    async fn store(pragma: &'static str) -> (tempfile::TempDir, SqliteStore) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("tokens.db");
        let open = move || {
            let database = Database::open(&path)?;
            database.connection.execute_batch(pragma)?;
            Ok(database)
        };
        let worker = Worker::start(open).await.unwrap();
        let (reads, writes) = (worker.clone(), worker);
        let workers = Workers { reads, writes };
        (directory, SqliteStore { workers })
    }

    fn cause(error: &StoreError) -> String {
        std::error::Error::source(error).unwrap().to_string()
    }

    #[tokio::test]
    async fn a_full_disk_fails_all_writes_of_the_batch_and_changes_nothing() {
        let (_directory, store) = store("PRAGMA max_page_count = 20").await;
        // Blocks the thread until all three writes are queued.
        let (go, gate) = std::sync::mpsc::channel::<()>();
        let (begun, begins) = std::sync::mpsc::channel::<()>();
        let busy = store.workers.writes.submit(Access::Read, move |_| {
            begun.send(()).unwrap();
            gate.recv().unwrap();
            Ok(())
        });
        begins.recv().unwrap();
        let large = "a".repeat(1_000_000);
        let swaps = [("a", "small"), ("b", large.as_str()), ("c", "small")]
            .map(|(key, data)| store.compare_and_swap(None, record(key, data)));
        go.send(()).unwrap();
        busy.await.unwrap();
        for swap in swaps {
            let error = swap.await.unwrap_err();
            assert!(cause(&error).contains("disk full"), "{error:?}");
        }
        for user in ["a", "b", "c"] {
            assert!(store.load(user).await.unwrap().is_none());
            let swap = store.compare_and_swap(None, record(user, "small")).await;
            assert!(matches!(swap.unwrap(), Swap::Done));
        }
    }

    #[tokio::test]
    async fn a_file_that_is_not_writable_can_still_be_read() {
        let (_directory, store) = store("PRAGMA query_only = ON").await;
        let swap = store.compare_and_swap(None, record("a", "a")).await;
        let error = swap.unwrap_err();
        assert!(cause(&error).contains("read-only"), "{error:?}");
        assert!(store.load("a").await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_panic_on_the_thread_is_an_error_and_not_a_hang() {
        let (_directory, store) = store("").await;
        let panics = store
            .workers
            .submit::<()>(Access::Write, |_| panic!("on purpose"));
        let error = panics.await.unwrap_err();
        assert!(error.to_string().contains("has ended"), "{error}");
        let error = store.load("a").await.unwrap_err();
        assert!(cause(&error).contains("has ended"), "{error:?}");
    }
}
