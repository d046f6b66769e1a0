//! The token file: its permissions, rejected files, and data that remains in it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use fullscript::auth::{Swap, TokenStore};

use fullscript::sqlite::{SqliteError, SqliteStore};
use rusqlite::Connection;
use tempfile::TempDir;

use super::record;

/// A path for a token file in a new directory.
pub(crate) struct Place {
    _directory: TempDir,
    pub(crate) path: PathBuf,
}

impl Place {
    pub(crate) fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("tokens.db");
        Self {
            _directory: directory,
            path,
        }
    }

    pub(crate) fn beside(&self, suffix: &str) -> PathBuf {
        let mut path = self.path.clone().into_os_string();
        path.push(suffix);
        path.into()
    }

    pub(crate) async fn open(&self) -> Result<SqliteStore, SqliteError> {
        SqliteStore::open(&self.path).await
    }

    /// The file as other processes see it through SQLite.
    pub(crate) fn inside(&self) -> Connection {
        Connection::open(&self.path).unwrap()
    }
}

pub(crate) async fn fill(store: &SqliteStore, users: usize) {
    for user in 0..users {
        let swap = store
            .compare_and_swap(None, record(user.to_string(), 1))
            .await;
        assert!(matches!(swap.unwrap(), Swap::Done));
    }
}

pub(crate) async fn is_filled(store: &SqliteStore, users: usize) {
    for user in 0..users {
        let expected = record(user.to_string(), 1);
        let found = store.load(&expected.key).await.unwrap();
        assert!(found == Some(expected), "{user}");
    }
}

/// The last error in the chain of a failed method.
pub(crate) fn cause(error: &fullscript::auth::StoreError) -> String {
    std::error::Error::source(error).unwrap().to_string()
}

#[tokio::test]
async fn tokens_are_there_when_the_file_is_opened_again() {
    let place = Place::new();
    fill(&place.open().await.unwrap(), 10).await;
    is_filled(&place.open().await.unwrap(), 10).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_stores_on_one_file_are_one_store() {
    let place = Place::new();
    let stores = [place.open().await.unwrap(), place.open().await.unwrap()];
    for generation in 1..=50_u64 {
        let expected = Some(generation - 1).filter(|generation| *generation > 0);
        let swaps = stores
            .iter()
            .map(|store| store.compare_and_swap(expected, record("a", generation)));
        let swaps = futures_util::future::join_all(swaps).await;
        let done = swaps
            .iter()
            .filter(|swap| matches!(swap, Ok(Swap::Done)))
            .count();
        assert_eq!(done, 1);
        for store in &stores {
            let found = store.load(&record("a", 1).key).await.unwrap().unwrap();
            assert_eq!(found.generation, generation);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_file_may_be_opened_by_many_at_once() {
    let place = Place::new();
    let opens = (0..16).map(|_| tokio::spawn(SqliteStore::open(place.path.clone())));
    let stores = futures_util::future::join_all(opens.collect::<Vec<_>>()).await;
    let stores: Vec<_> = stores
        .into_iter()
        .map(|store| store.unwrap().unwrap())
        .collect();
    fill(&stores[0], 1).await;
    for store in &stores {
        is_filled(store, 1).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_users_are_saved_together() {
    let place = Place::new();
    let store = place.open().await.unwrap();
    let swaps = (0..1_000).map(|user| store.compare_and_swap(None, record(user.to_string(), 1)));
    for swap in futures_util::future::join_all(swaps).await {
        assert!(matches!(swap.unwrap(), Swap::Done));
    }
    // The log has a frame of 4,120 bytes for each page of each transaction. One transaction per
    // user would need at least a thousand.
    let log = std::fs::metadata(place.beside("-wal")).unwrap().len();
    assert!(log < 400 * 4_120, "{log}");
    is_filled(&store, 1_000).await;
}

#[cfg(unix)]
#[tokio::test]
async fn the_files_are_their_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let mode = |path: PathBuf| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let place = Place::new();
    for _ in 0..2 {
        let store = place.open().await.unwrap();
        fill(&store, 1).await;
        for suffix in ["", "-wal", "-shm"] {
            assert_eq!(mode(place.beside(suffix)), 0o600, "{suffix}");
        }
        store.delete(&record("0", 1).key, None).await.unwrap();
        drop(store);
        for suffix in ["", "-wal", "-shm"] {
            let open = std::fs::Permissions::from_mode(0o666);
            // The thread may be removing the last two.
            let _gone = std::fs::set_permissions(place.beside(suffix), open);
        }
    }
}

#[tokio::test]
async fn the_file_is_closed_with_the_last_clone() {
    let place = Place::new();
    let store = place.open().await.unwrap();
    let clone = store.clone();
    fill(&store, 1).await;
    drop(store);
    fill_one_more(&clone).await;
    assert!(place.beside("-wal").exists());
    drop(clone);
    // The thread closes the file and does not signal it, so the test can only watch the file.
    while place.beside("-wal").exists() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

async fn fill_one_more(store: &SqliteStore) {
    let swap = store.compare_and_swap(None, record("more", 1)).await;
    assert!(matches!(swap.unwrap(), Swap::Done));
}

#[tokio::test]
async fn a_file_of_others_is_refused_and_left_as_it_was() {
    let place = Place::new();
    place
        .inside()
        .execute_batch("CREATE TABLE notes (note TEXT)")
        .unwrap();
    let with_mark = Place::new();
    with_mark
        .inside()
        .execute_batch("PRAGMA application_id = 7")
        .unwrap();
    let text = Place::new();
    std::fs::write(
        &text.path,
        "not a database, but someone's notes ".repeat(100),
    )
    .unwrap();
    for (place, says) in [
        (place, "another application"),
        (with_mark, "another application"),
        (text, "not a token file"),
    ] {
        let before = std::fs::read(&place.path).unwrap();
        let error = place.open().await.unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
        assert_eq!(std::fs::read(&place.path).unwrap(), before);
    }
}

#[tokio::test]
async fn a_file_of_a_newer_version_is_refused_and_left_as_it_was() {
    let place = Place::new();
    fill(&place.open().await.unwrap(), 1).await;
    let version: i32 = place
        .inside()
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .unwrap();
    place
        .inside()
        .execute_batch("PRAGMA user_version = 1000")
        .unwrap();
    let error = place.open().await.unwrap_err();
    assert!(error.to_string().contains("newer version"), "{error}");
    place
        .inside()
        .execute_batch(&format!("PRAGMA user_version = {version}"))
        .unwrap();
    is_filled(&place.open().await.unwrap(), 1).await;
}

#[tokio::test]
async fn a_path_that_can_not_be_says_why() {
    let directory = TempDir::new().unwrap();
    let check = async |path: &Path, says: &str| {
        let error = SqliteStore::open(path).await.unwrap_err();
        assert!(error.to_string().contains(says), "{path:?}: {error}");
    };
    check(directory.path(), "is a directory").await;
    check(
        &directory.path().join("missing/tokens.db"),
        "does not exist",
    )
    .await;
    check(&directory.path().join("missing/"), "is a directory").await;
    let file = directory.path().join("file");
    std::fs::write(&file, "").unwrap();
    check(&file.join("tokens.db"), "does not exist").await;
    check(Path::new(""), "does not exist").await;
}

#[tokio::test]
async fn a_damaged_file_is_an_error_and_no_empty_store() {
    let place = Place::new();
    fill(&place.open().await.unwrap(), 200).await;
    // SQLite moves everything into the file when it closes.
    place
        .inside()
        .execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")
        .unwrap();
    let mut bytes = std::fs::read(&place.path).unwrap();
    let tail = bytes.len() / 3;
    bytes[tail..].fill(0xa5);
    std::fs::write(&place.path, bytes).unwrap();
    let failed = match place.open().await {
        Err(error) => error.to_string(),
        Ok(store) => cause(&store.load(&record("7", 1).key).await.unwrap_err()),
    };
    assert!(failed.contains("damaged"), "{failed}");
}

#[tokio::test]
async fn a_row_that_others_changed_is_an_error_for_that_user_alone() {
    let place = Place::new();
    let store = place.open().await.unwrap();
    fill(&store, 2).await;
    let damage = "PRAGMA ignore_check_constraints = ON;
                  PRAGMA writable_schema = ON;
                  UPDATE sqlite_schema SET sql = replace(sql, 'STRICT, ', '');
                  PRAGMA writable_schema = RESET;
                  UPDATE connections SET data = 7.5 WHERE key LIKE '%/0'";
    place.inside().execute_batch(damage).unwrap();
    let key = record("0", 1).key;
    let error = store.load(&key).await.unwrap_err();
    assert!(cause(&error).contains("of this user"), "{error:?}");
    // Concurrent saves are committed in one transaction.
    let swaps = ["0", "1"].map(|user| store.compare_and_swap(Some(9), record(user, 10)));
    let [damaged, sound] = swaps;
    damaged.await.unwrap_err();
    assert!(matches!(sound.await.unwrap(), Swap::Lost(Some(_))));
    store.delete(&key, None).await.unwrap();
    assert!(store.load(&key).await.unwrap().is_none());
}
