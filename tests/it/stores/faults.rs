//! A token file in trouble: deleted, replaced, cut off, locked, owned by others, and wrong clocks.

use std::fs;
use std::time::{Duration, Instant, SystemTime};

use fullscript::auth::{ConnectionFilter, StoreError, Swap, TokenSet, TokenStore};
use fullscript::encryption::EncryptedStore;
use fullscript::sqlite::SqliteStore;
use fullscript::webhook::{Claim, Event, EventKey, EventLog};
use serde_json::json;

use super::record;
use super::sqlite::{Place, cause, fill, is_filled};

/// Checks that every call fails with this text, and that nothing is reported as saved.
async fn fails(store: &SqliteStore, says: &str) {
    let new = || record("new", 1);
    let errors: [StoreError; 3] = [
        store.compare_and_swap(None, new()).await.unwrap_err(),
        store.load(&record("0", 1).key).await.unwrap_err(),
        store.delete(&record("0", 1).key, None).await.unwrap_err(),
    ];
    for error in errors {
        assert!(cause(&error).contains(says), "{error:?}");
        assert!(!error.is_transient(), "{error:?}");
        assert!(format!("{error:?}").contains("Sqlite"), "{error:?}");
    }
}

/// Moves everything into the main file, so that it can be copied.
fn checkpoint(place: &Place) {
    let sql = "PRAGMA wal_checkpoint(TRUNCATE)";
    place.inside().execute_batch(sql).unwrap();
}

#[tokio::test]
async fn a_file_that_is_no_longer_at_its_path_saves_nothing() {
    type Damage = fn(&Place);
    let cases: [(&str, Damage, &str); 8] = [
        (
            "deleted",
            |place| fs::remove_file(&place.path).unwrap(),
            "deleted or moved",
        ),
        (
            "moved",
            |place| fs::rename(&place.path, place.beside(".old")).unwrap(),
            "deleted or moved",
        ),
        (
            "replaced by a copy",
            |place| {
                fs::copy(&place.path, place.beside(".copy")).unwrap();
                fs::rename(place.beside(".copy"), &place.path).unwrap();
            },
            "replaced",
        ),
        (
            "replaced by another file",
            |place| {
                fs::write(place.beside(".other"), "notes").unwrap();
                fs::rename(place.beside(".other"), &place.path).unwrap();
            },
            "replaced",
        ),
        (
            "cut to 0 bytes",
            |place| drop(fs::File::create(&place.path).unwrap()),
            "cut off",
        ),
        (
            "removed with its directory",
            |place| fs::remove_dir_all(place.path.parent().unwrap()).unwrap(),
            "deleted or moved",
        ),
        (
            "without the memory that processes share",
            |place| fs::remove_file(place.beside("-shm")).unwrap(),
            "deleted or moved",
        ),
        (
            "without its log",
            |place| fs::remove_file(place.beside("-wal")).unwrap(),
            "deleted or moved",
        ),
    ];
    for (name, damage, says) in cases {
        println!("{name}");
        let place = Place::new();
        let store = place.open().await.unwrap();
        fill(&store, 2).await;
        damage(&place);
        fails(&store, says).await;
    }
}

#[tokio::test]
async fn a_file_that_is_put_back_works_again() {
    let place = Place::new();
    let store = place.open().await.unwrap();
    fill(&store, 2).await;
    fs::rename(&place.path, place.beside(".old")).unwrap();
    fails(&store, "deleted or moved").await;
    fs::rename(place.beside(".old"), &place.path).unwrap();
    let swap = store.compare_and_swap(None, record("new", 1)).await;
    assert!(matches!(swap.unwrap(), Swap::Done));
    is_filled(&store, 2).await;
}

#[tokio::test]
async fn no_save_is_reported_after_the_log_was_cut_off() {
    let place = Place::new();
    let store = place.open().await.unwrap();
    fill(&store, 20).await;
    drop(fs::File::create(place.beside("-wal")).unwrap());
    let swap = store.compare_and_swap(None, record("new", 1)).await;
    assert!(cause(&swap.unwrap_err()).contains("cut off"));
    fails(&store, "cut off").await;
}

#[cfg(unix)]
#[tokio::test]
async fn a_symbolic_link_that_leads_to_another_file_is_noticed() {
    use std::os::unix::fs::symlink;
    for link_to_directory in [false, true] {
        let (place, other) = (Place::new(), Place::new());
        for place in [&place, &other] {
            drop(place.open().await.unwrap());
        }
        let target = |place: &Place| {
            if link_to_directory {
                place.path.parent().unwrap().to_path_buf()
            } else {
                place.path.clone()
            }
        };
        let directory = tempfile::tempdir().unwrap();
        let link = directory.path().join("link");
        let point_to = |place: &Place| {
            let _absent = fs::remove_file(&link);
            symlink(target(place), &link).unwrap();
        };
        let path = if link_to_directory {
            link.join("tokens.db")
        } else {
            link.clone()
        };
        // The target may be created later, and the error says so.
        symlink("missing", &link).unwrap();
        let error = SqliteStore::open(&path).await.unwrap_err();
        assert!(error.to_string().contains("symbolic link"), "{error}");
        point_to(&place);
        let store = SqliteStore::open(&path).await.unwrap();
        fill(&store, 2).await;
        is_filled(&place.open().await.unwrap(), 2).await;
        point_to(&other);
        fails(&store, "replaced").await;
        fs::remove_file(&link).unwrap();
        fails(&store, "deleted or moved").await;
        point_to(&place);
        is_filled(&store, 2).await;
    }
}

#[tokio::test]
async fn a_file_that_was_cut_off_is_not_a_new_store() {
    let place = Place::new();
    let store = place.open().await.unwrap();
    fill(&store, 50).await;
    checkpoint(&place);
    drop(store);
    let whole = fs::read(&place.path).unwrap();
    for length in [0, 1, 100, 512, 4_096, whole.len() / 2, whole.len() - 1] {
        for suffix in ["-wal", "-shm"] {
            let _absent = fs::remove_file(place.beside(suffix));
        }
        fs::write(&place.path, &whole[..length]).unwrap();
        let says = ["cut off", "damaged", "not a token file"];
        let is_noticed = |failed: &str| {
            assert!(
                says.iter().any(|says| failed.contains(says)),
                "{length}: {failed}"
            )
        };
        match place.open().await {
            Err(error) => is_noticed(&error.to_string()),
            // The damage is beyond the pages that opening reads.
            Ok(store) => {
                for user in 0..50 {
                    let expected = record(user.to_string(), 1);
                    match store.load(&expected.key).await {
                        Ok(Some(found)) if found == expected => {}
                        Ok(Some(found)) => drop(TokenSet::from_record(&found).unwrap_err()),
                        Ok(None) => panic!("{length}: user {user} is gone"),
                        Err(error) => is_noticed(&cause(&error)),
                    }
                }
            }
        }
    }
}

/// Takes 8 s, the time after which a write gives up.
#[tokio::test]
async fn reads_do_not_wait_for_the_lock_of_another_process_and_writes_fail_in_time() {
    let place = Place::new();
    let store = place.open().await.unwrap();
    fill(&store, 2).await;
    let other = place.inside();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let write = tokio::spawn({
        let store = store.clone();
        async move {
            let started = Instant::now();
            let swap = store.compare_and_swap(None, record("new", 1)).await;
            (swap.unwrap_err(), started.elapsed())
        }
    });
    let started = Instant::now();
    let mut reads = 0;
    while !write.is_finished() {
        is_filled(&store, 2).await;
        reads += 1;
        tokio::task::yield_now().await;
    }
    let (error, elapsed) = write.await.unwrap();
    assert!(
        cause(&error).contains("locked by another process"),
        "{error:?}"
    );
    assert!(error.is_transient());
    assert!(elapsed < Duration::from_secs(10), "{elapsed:?}");
    assert!(reads > 100, "{reads} in {:?}", started.elapsed());
    other.execute_batch("ROLLBACK").unwrap();
    let swap = store.compare_and_swap(None, record("new", 1)).await;
    assert!(matches!(swap.unwrap(), Swap::Done));
}

#[cfg(unix)]
#[tokio::test]
async fn a_file_of_another_user_is_opened_only_if_it_is_shared_with_a_group() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
    let place = Place::new();
    drop(place.open().await.unwrap());
    let group = fs::metadata(&place.path).unwrap().gid();
    if chown(&place.path, Some(54_321), None).is_err() {
        println!("not tested: only root can change the owner of a file");
        return;
    }
    for (group, mode, is_opened) in [
        (group, 0o660, true),
        (group, 0o600, false),
        (group, 0o666, false),
        (group, 0o664, false),
        (group, 0o640, false),
        (54_321, 0o660, false),
    ] {
        chown(&place.path, Some(54_321), Some(group)).unwrap();
        fs::set_permissions(&place.path, fs::Permissions::from_mode(mode)).unwrap();
        match place.open().await {
            Ok(store) => {
                assert!(is_opened, "{mode:o} {group}");
                fill(&store, 1).await;
                store.delete(&record("0", 1).key, None).await.unwrap();
            }
            Err(error) => {
                assert!(!is_opened, "{mode:o} {group}: {error}");
                assert!(error.to_string().contains("another user"), "{error}");
            }
        }
        let metadata = fs::metadata(&place.path).unwrap();
        assert_eq!(metadata.mode() & 0o777, mode, "left as it was");
    }
    // A log of somebody else beside an own file would be written into it.
    let place = Place::new();
    let store = place.open().await.unwrap();
    for suffix in ["-wal", "-shm"] {
        chown(place.beside(suffix), Some(54_321), None).unwrap();
        let error = place.open().await.unwrap_err();
        assert!(error.to_string().contains("another user"), "{error}");
        chown(place.beside(suffix), Some(0), None).unwrap();
    }
    fill(&store, 1).await;
    is_filled(&place.open().await.unwrap(), 1).await;
}

fn event(id: &str) -> EventKey {
    EventKey::from(&Event::from_json(json!({"id": id, "type": "order.placed"})))
}

#[tokio::test]
async fn a_wrong_clock_neither_holds_nor_forgets_events() {
    const DAY: Duration = Duration::from_secs(86_400);
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600);
    for wrong in [now + 365 * DAY, now + 40 * DAY, now + 3_650 * DAY] {
        let place = Place::new();
        let log = place.open().await.unwrap().event_log();
        let claim = async |id: &str, now: SystemTime| {
            let deadline = now + Duration::from_secs(60);
            log.claim(&event(id), now, deadline).await.unwrap()
        };
        let granted = async |id: &str, now| match claim(id, now).await {
            Claim::Granted(grant) => grant,
            other => panic!("{id}: {other:?}"),
        };
        for number in 0..20 {
            let grant = granted(&format!("done-{number}"), now).await;
            log.acknowledge(&grant, now).await.unwrap();
        }
        // A process with a wrong clock claims many events, and fails with one of them.
        for number in 0..200_u32 {
            let grant = granted(&format!("wrong-{number}"), wrong + number * DAY / 100).await;
            log.acknowledge(&grant, wrong).await.unwrap();
        }
        granted("held", wrong).await;
        // The end of the longest age is later than any time.
        let forever = log.clone().age(Duration::MAX);
        let deadline = wrong + Duration::from_secs(60);
        let (done, earlier) = (event("done-0"), now - 2 * DAY);
        let claimed = forever.claim(&done, earlier, deadline).await;
        assert_eq!(claimed.unwrap(), Claim::Processed);
        // The clock is right again.
        let later = now + Duration::from_secs(3_600);
        assert_eq!(granted("held", later).await.attempt, 2);
        for number in 0..20 {
            assert_eq!(
                claim(&format!("done-{number}"), later).await,
                Claim::Processed
            );
        }
        assert_eq!(claim("wrong-7", later).await, Claim::Processed);
    }
}

/// Takes some 10 s, because a file is opened and read for each of its 8,000 bytes.
#[tokio::test]
async fn each_flipped_byte_of_an_encrypted_file_is_noticed_or_harmless() {
    const USERS: [&str; 1] = ["a"];
    let place = Place::new();
    let keys = super::ring();
    let store = EncryptedStore::new(place.open().await.unwrap(), keys.clone());
    for user in USERS {
        store.compare_and_swap(None, record(user, 1)).await.unwrap();
    }
    let small = place.beside(".small");
    let copy = format!("PRAGMA page_size = 512; VACUUM INTO '{}'", small.display());
    place.inside().execute_batch(&copy).unwrap();
    let log = "PRAGMA journal_mode = WAL";
    let mode = |row: &rusqlite::Row<'_>| row.get::<_, String>(0);
    let copy = rusqlite::Connection::open(&small).unwrap();
    copy.query_row(log, [], mode).unwrap();
    drop(copy);
    let whole = fs::read(&small).unwrap();
    assert!(whole.len() < 16_384, "{}", whole.len());
    let directory = tempfile::tempdir().unwrap();
    let mut noticed = 0;
    for position in 0..whole.len() {
        let path = directory.path().join(format!("{position}.db"));
        let mut bytes = whole.clone();
        bytes[position] ^= 0x10;
        fs::write(&path, &bytes).unwrap();
        let Ok(store) = SqliteStore::open(&path).await else {
            noticed += 1;
            continue;
        };
        let store = EncryptedStore::new(store, keys.clone());
        let mut is_missing = false;
        for user in USERS {
            match store.load(&record(user, 1).key).await {
                Ok(Some(found)) if found == record(user, 1) => {}
                // A field beside the encrypted data was changed.
                Ok(Some(found)) => {
                    let decoded = TokenSet::from_record(&found);
                    assert!(decoded.is_err(), "byte {position}: {user}");
                    noticed += 1;
                }
                Ok(None) => is_missing = true,
                Err(_) => noticed += 1,
            }
        }
        if is_missing {
            // The record has another key now: it is listed, and cannot be decoded.
            let listed = store.list(&ConnectionFilter::new(), None, 10).await;
            let is_reported = listed.map_or(true, |listed| {
                listed.len() != USERS.len()
                    || listed.iter().any(|it| TokenSet::from_record(it).is_err())
            });
            assert!(is_reported, "byte {position}");
            noticed += 1;
        }
    }
    println!("{} bytes, noticed {noticed} times", whole.len());
    assert!(noticed > 1_000);
}
