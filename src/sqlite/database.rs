//! An open file: its connection, transactions and encryption.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags, OptionalExtension, Transaction, TransactionBehavior};

use super::cipher::{Cipher, Keys, Location};
use super::error::{Failure, Kind};
use super::rows::Rows;
use super::{file, schema};

/// Maximum time to wait for locks of other processes. They hold locks for milliseconds, and for
/// longer only while they clean up.
const LOCK_TIMEOUT: Duration = Duration::from_secs(10);

/// Delay before a retry when SQLite reports a lock without waiting, which happens while several
/// processes create the same file.
const RETRY_DELAY: Duration = Duration::from_millis(10);

/// Location of the value that keys are checked against.
const KEY_CHECK: Location<'static> = Location {
    column: "key_check",
    user: "",
    issuer: "",
};

/// An open file.
pub(super) struct Database {
    connection: Connection,
    cipher: Option<Cipher>,
    /// The file's key check when it was opened.
    key_check: Option<Vec<u8>>,
}

/// The file's encryption compared with the given keys.
enum Encryption {
    /// The tokens are encrypted as requested.
    Matches(Option<Cipher>),
    /// The tokens are not encrypted or use the previous key: the old cipher and the new one.
    Changes(Option<Cipher>, Cipher),
}

impl Database {
    /// Opens the file; creates or migrates it if needed.
    pub(super) fn open(path: &Path, keys: &Keys) -> Result<Self, Failure> {
        if keys.current.is_none() && keys.previous.is_some() {
            return Err(Failure::new(Kind::OnlyPreviousKey));
        }
        let path = file::make(path)?;
        let begun = Instant::now();
        loop {
            match Self::open_now(&path, keys) {
                Err(error) if error.is_busy() && begun.elapsed() < LOCK_TIMEOUT => {
                    thread::sleep(RETRY_DELAY)
                }
                ended => return ended,
            }
        }
    }

    fn open_now(path: &Path, keys: &Keys) -> Result<Self, Failure> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(LOCK_TIMEOUT)?;
        // All checks run before anything is changed, and in one transaction, because another
        // process may be creating the file.
        let transaction = connection.transaction()?;
        inspect(&transaction, keys)?;
        drop(transaction);
        if connection.is_readonly("main")? {
            return Err(Failure::new(Kind::ReadOnly));
        }
        file::narrow(path)?;
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
        // Another process may have changed the file in the meantime.
        let encryption = inspect(&transaction, keys)?;
        schema::migrate(&transaction)?;
        let cipher = match encryption {
            Encryption::Matches(cipher) => cipher,
            Encryption::Changes(old, new) => {
                encrypt(&transaction, old.as_ref(), &new)?;
                Some(new)
            }
        };
        transaction.commit()?;
        clean(&connection)?;
        let key_check = key_check(&connection)?;
        Ok(Self {
            connection,
            cipher,
            key_check,
        })
    }

    /// Runs reads in one transaction.
    pub(super) fn read(
        &self,
        work: &mut dyn FnMut(&Self) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        self.transaction(TransactionBehavior::Deferred, work)
    }

    /// Runs writes in one atomic transaction. If `on_disk` is true, they are durable when this
    /// returns, provided that the disk reports writes truthfully.
    pub(super) fn write(
        &self,
        on_disk: bool,
        work: &mut dyn FnMut(&Self) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        // With NORMAL the file is also consistent after a power failure, but the last transactions
        // may be lost. The next FULL transaction saves them too.
        let synchronous = if on_disk { "FULL" } else { "NORMAL" };
        self.connection
            .pragma_update(None, "synchronous", synchronous)?;
        self.transaction(TransactionBehavior::Immediate, work)
    }

    fn transaction(
        &self,
        behavior: TransactionBehavior,
        work: &mut dyn FnMut(&Self) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let transaction = Transaction::new_unchecked(&self.connection, behavior)?;
        if key_check(&transaction)? != self.key_check {
            return Err(Failure::new(Kind::KeyChanged));
        }
        work(self)?;
        Ok(transaction.commit()?)
    }

    /// Returns access to the rows in the current transaction.
    pub(super) fn rows(&self) -> Rows<'_> {
        Rows {
            connection: &self.connection,
            cipher: self.cipher.as_ref(),
        }
    }
}

/// Checks whether the file is a token file and which of the keys matches.
fn inspect(connection: &Connection, keys: &Keys) -> Result<Encryption, Failure> {
    let is_new = schema::version(connection)? == 0;
    let key_check = if is_new { None } else { key_check(connection)? };
    let current = keys.current.as_ref().map(Cipher::new);
    let Some(key_check) = key_check else {
        return Ok(match current {
            None => Encryption::Matches(None),
            Some(new) => Encryption::Changes(None, new),
        });
    };
    let current = current.ok_or_else(|| Failure::new(Kind::KeyMissing))?;
    let fits = |cipher: &Cipher| cipher.open(&key_check, KEY_CHECK).is_some();
    if fits(&current) {
        return Ok(Encryption::Matches(Some(current)));
    }
    let previous = keys.previous.as_ref().map(Cipher::new).filter(fits);
    match previous {
        Some(previous) => Ok(Encryption::Changes(Some(previous), current)),
        None => Err(Failure::new(Kind::KeyWrong)),
    }
}

fn key_check(connection: &Connection) -> Result<Option<Vec<u8>>, Failure> {
    let found = connection.query_row("SELECT key_check FROM encryption", [], |row| row.get(0));
    Ok(found.optional()?)
}

/// Encrypts all tokens with the new cipher.
fn encrypt(connection: &Connection, old: Option<&Cipher>, new: &Cipher) -> Result<(), Failure> {
    let rows = |cipher| Rows { connection, cipher };
    for user in rows(old).users()? {
        if let Some(tokens) = rows(old).load(&user)? {
            rows(Some(new)).write(&user, &tokens)?;
        }
    }
    connection.execute(
        "INSERT OR REPLACE INTO encryption (one, key_check, cleaned) VALUES (1, ?1, 0)",
        [new.seal("", KEY_CHECK)?],
    )?;
    Ok(())
}

/// Rewrites the file and its log after [`encrypt`], so that no old content remains. If this process
/// dies, the next one repeats it.
fn clean(connection: &Connection) -> Result<(), Failure> {
    let unclean = "SELECT count(*) FROM encryption WHERE cleaned = 0";
    if connection.query_row(unclean, [], |row| row.get::<_, i64>(0))? == 0 {
        return Ok(());
    }
    connection.execute_batch("VACUUM")?;
    let busy: bool =
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    if busy {
        return Err(Failure::new(Kind::Busy));
    }
    connection.execute("UPDATE encryption SET cleaned = 1", [])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::auth::{AccessToken, Owner, TokenSet};
    use crate::auth::{StoreError, Swap, TokenStore};
    use crate::sqlite::worker::{Access, Worker};
    use crate::sqlite::{SqliteError, SqliteStore};

    fn tokens(access_token: &str) -> TokenSet {
        TokenSet {
            access_token: AccessToken::new(access_token),
            refresh_token: None,
            owner: Owner {
                id: "practitioner".into(),
                kind: "Practitioner".into(),
            },
            scopes: Vec::new(),
            issuer: "https://api-us-snd.fullscript.io".into(),
            issued_at: SystemTime::UNIX_EPOCH,
            lifetime: Duration::from_secs(7_200),
            generation: 1,
            needs_reconnect: false,
            replaced_access_token: None,
        }
    }

    async fn store(pragma: &'static str) -> (tempfile::TempDir, SqliteStore) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("tokens.db");
        let open = move || {
            let database = Database::open(&path, &Keys::default())?;
            database.connection.execute_batch(pragma)?;
            Ok(database)
        };
        let worker = Worker::start(open).await.unwrap();
        (directory, SqliteStore { worker })
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
        let busy = store.worker.submit(Access::Read, move |_| {
            begun.send(()).unwrap();
            gate.recv().unwrap();
            Ok(())
        });
        begins.recv().unwrap();
        let large = "a".repeat(1_000_000);
        let swaps = [("a", "small"), ("b", large.as_str()), ("c", "small")]
            .map(|(user, token)| store.compare_and_swap(user, None, tokens(token)));
        go.send(()).unwrap();
        busy.await.unwrap();
        for swap in swaps {
            let error = swap.await.unwrap_err();
            assert!(cause(&error).contains("disk full"), "{error:?}");
        }
        for user in ["a", "b", "c"] {
            assert!(store.load(user).await.unwrap().is_none());
            let swap = store.compare_and_swap(user, None, tokens("small")).await;
            assert!(matches!(swap.unwrap(), Swap::Done));
        }
    }

    #[tokio::test]
    async fn a_file_that_is_not_writable_can_still_be_read() {
        let (_directory, store) = store("PRAGMA query_only = ON").await;
        let swap = store.compare_and_swap("a", None, tokens("a")).await;
        let error = swap.unwrap_err();
        assert!(cause(&error).contains("read-only"), "{error:?}");
        assert!(store.load("a").await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_panic_on_the_thread_is_an_error_and_not_a_hang() {
        let (_directory, store) = store("").await;
        let panics = store
            .worker
            .submit::<()>(Access::Write, |_| panic!("on purpose"));
        let error = SqliteError::from(panics.await.unwrap_err());
        assert!(error.to_string().contains("has ended"), "{error}");
        let error = store.load("a").await.unwrap_err();
        assert!(cause(&error).contains("has ended"), "{error:?}");
    }
}
