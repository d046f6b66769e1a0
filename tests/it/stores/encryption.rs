//! Encryption over a store: what it hides, what it refuses, and key rotation.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use fullscript::auth::{
    ConnectionFilter, ConnectionRecord, Lease, MemoryStore, RecordData, StoreError, StoreFuture,
    TokenStore,
};
use fullscript::encryption::{EncryptedStore, EncryptionKey, KeyRing};

use super::sqlite::{Place, cause};
use super::{record, ring, tokens};
use crate::support::{Hook, Hooked, Step};

fn key() -> EncryptionKey {
    EncryptionKey::generate().unwrap()
}

async fn save(store: &dyn TokenStore, new: ConnectionRecord) {
    let swap = store.compare_and_swap(None, new).await.unwrap();
    assert!(matches!(swap, fullscript::auth::Swap::Done));
}

async fn is_readable(store: &dyn TokenStore, user: &str) -> bool {
    match store.load(&record(user, 1).key).await {
        Ok(found) => found == Some(record(user, 1)),
        Err(error) => {
            assert!(error.is_unreadable(), "{error:?}");
            false
        }
    }
}

#[tokio::test]
async fn an_encrypted_store_has_no_token_in_any_of_its_files() {
    let place = Place::new();
    let store = EncryptedStore::new(place.open().await.unwrap(), ring());
    for user in 0..100 {
        save(&store, record(user.to_string(), 1)).await;
    }
    let holds = |bytes: &[u8]| {
        ["", "-wal", "-shm", "-journal"].iter().any(|suffix| {
            let file = std::fs::read(place.beside(suffix)).unwrap_or_default();
            file.windows(bytes.len()).any(|window| window == bytes)
        })
    };
    assert!(place.beside("-wal").exists());
    assert!(!holds(b"planted-"));
    // Proves that the search works: the key of a record is not encrypted.
    assert!(holds(b"Practitioner"));
}

#[tokio::test]
async fn processes_with_old_and_new_keys_work_side_by_side() {
    let inner = MemoryStore::new();
    let (old, new) = (key(), key());
    let first = EncryptedStore::new(inner.clone(), KeyRing::new(old.clone()).reads(new.clone()));
    let second = EncryptedStore::new(inner.clone(), KeyRing::new(new.clone()).reads(old.clone()));
    save(&first, record("a", 1)).await;
    save(&second, record("b", 1)).await;
    for store in [&first, &second] {
        for user in ["a", "b"] {
            assert!(is_readable(store, user).await);
        }
    }
    let only_new = EncryptedStore::new(inner, KeyRing::new(new));
    assert!(!is_readable(&only_new, "a").await);
    let swept = second.reencrypt().await.unwrap();
    assert_eq!(
        (swept.changed, swept.unchanged, swept.unreadable),
        (1, 1, 0)
    );
    assert!(is_readable(&only_new, "a").await && is_readable(&only_new, "b").await);
    assert!(is_readable(&first, "a").await);
    assert_eq!(only_new.reencrypt().await.unwrap().unchanged, 2);
}

/// Annotates a record, as another process does under its lease, after it was listed.
struct Annotates {
    store: EncryptedStore<MemoryStore>,
    is_done: AtomicBool,
}

impl Hook for Annotates {
    fn at<'a>(&'a self, _: &'a str, step: Step) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            if step != Step::Listed || self.is_done.swap(true, Ordering::SeqCst) {
                return Ok(());
            }
            for (user, generation) in [("a", 1), ("b", 2)] {
                let annotated = tokens(user, generation).tenant("clinic-7").to_record();
                self.store.compare_and_swap(Some(1), annotated).await?;
            }
            let owner = "another process";
            let key = record("c", 1).key;
            self.store
                .lease(&key, owner, Duration::from_secs(2))
                .await?;
            Ok(())
        })
    }
}

#[tokio::test(start_paused = true)]
async fn encrypting_again_overwrites_nothing_that_others_save_meanwhile() {
    let (inner, old, new) = (MemoryStore::new(), key(), key());
    let others = EncryptedStore::new(inner.clone(), KeyRing::new(old.clone()));
    for user in ["a", "b", "c"] {
        save(&others, record(user, 1)).await;
    }
    let hook = Arc::new(Annotates {
        store: others,
        is_done: AtomicBool::new(false),
    });
    let hooked = Hooked {
        inner: inner.clone(),
        hook,
    };
    let store = EncryptedStore::new(hooked, KeyRing::new(new.clone()).reads(old));
    let swept = store.reencrypt().await.unwrap();
    assert_eq!((swept.changed, swept.unreadable), (3, 0));
    let only_new = EncryptedStore::new(inner.clone(), KeyRing::new(new));
    let loaded = async |user: &str| {
        let found = only_new.load(&record(user, 1).key).await.unwrap().unwrap();
        (found.generation, found.tenant)
    };
    assert_eq!(loaded("a").await, (1, Some("clinic-7".into())));
    assert_eq!(loaded("b").await, (2, Some("clinic-7".into())));
    assert_eq!(loaded("c").await, (1, None));
    // No lease is left behind.
    let key = record("c", 1).key;
    let lease = inner.lease(&key, "next", Duration::ZERO).await;
    assert_eq!(lease.unwrap(), Lease::Granted);
}

/// Fails each 250th swap.
#[derive(Default)]
struct Unsteady(AtomicUsize);

impl Hook for Unsteady {
    fn at<'a>(&'a self, _: &'a str, step: Step) -> StoreFuture<'a, ()> {
        let fails = step == Step::Swap && self.0.fetch_add(1, Ordering::SeqCst) % 250 == 249;
        let failure = || StoreError::new(std::io::Error::other("the database is down"));
        let ended = if fails { Err(failure()) } else { Ok(()) };
        Box::pin(std::future::ready(ended))
    }
}

#[tokio::test(start_paused = true)]
async fn a_sweep_that_a_failure_interrupts_is_continued_and_one_waits_for_no_stale_lease() {
    let (inner, old, new) = (MemoryStore::new(), key(), key());
    let others = EncryptedStore::new(inner.clone(), KeyRing::new(old.clone()));
    for user in 0..600 {
        save(&others, record(user.to_string(), 1)).await;
    }
    // The clock of the store was set back, or the holder hangs.
    let leased = record("7", 1).key;
    let stale = inner.lease(&leased, "stale", Duration::MAX).await;
    assert_eq!(stale.unwrap(), Lease::Granted);
    let hooked = Hooked {
        inner: inner.clone(),
        hook: Arc::new(Unsteady::default()),
    };
    // A key that is in the ring twice is one key.
    let ring = KeyRing::new(new.clone())
        .reads(old.clone())
        .reads(old)
        .reads(new);
    let store = EncryptedStore::new(hooked, ring);
    let mut rounds = 0;
    loop {
        rounds += 1;
        match store.reencrypt().await {
            Ok(swept) => {
                assert_eq!(
                    (swept.changed + swept.unchanged, swept.unreadable),
                    (600, 0)
                );
                break;
            }
            Err(error) => assert!(error.is_transient()),
        }
    }
    assert_eq!(rounds, 3);
}

#[tokio::test]
async fn plain_records_are_refused_unless_migration_is_asked_for() {
    let (inner, keys) = (MemoryStore::new(), ring());
    save(&inner, record("a", 1)).await;
    let store = EncryptedStore::new(inner.clone(), keys.clone());
    let error = store.load(&record("a", 1).key).await.unwrap_err();
    assert!(cause(&error).contains("not encrypted"), "{error:?}");
    let swept = store.reencrypt().await.unwrap();
    assert_eq!((swept.changed, swept.unreadable), (0, 1));
    let page = store
        .list(&ConnectionFilter::new(), None, 10)
        .await
        .unwrap();
    assert!(fullscript::auth::TokenSet::from_record(&page[0]).is_err());
    let migrating = store.clone().accept_plain_records();
    assert!(is_readable(&migrating, "a").await);
    assert_eq!(migrating.reencrypt().await.unwrap().changed, 1);
    assert!(is_readable(&store, "a").await);
    let stored = inner.load(&record("a", 1).key).await.unwrap().unwrap();
    assert!(stored.data.is_sealed());
}

#[tokio::test]
async fn an_encrypted_record_is_valid_only_where_and_as_it_was_saved() {
    let (inner, keys) = (MemoryStore::new(), ring());
    let store = EncryptedStore::new(inner.clone(), keys);
    save(&store, record("a", 1)).await;
    save(&store, record("b", 1)).await;
    let sealed = |user: &str| {
        let key = record(user, 1).key;
        let inner = inner.clone();
        async move { inner.load(&key).await.unwrap().unwrap() }
    };
    let (a, b) = (sealed("a").await, sealed("b").await);
    let mut moved = a.clone();
    moved.data = b.data.clone();
    let mut rolled_back = a.clone();
    rolled_back.generation = 0;
    for changed in [moved, rolled_back] {
        inner.delete(&a.key, None).await.unwrap();
        save(&inner, changed).await;
        assert!(!is_readable(&store, "a").await);
        assert!(is_readable(&store, "b").await);
    }
    // Each byte in turn.
    let bytes = a.data.expose();
    for position in 0..bytes.len() {
        let mut flipped = bytes.to_vec();
        flipped[position] ^= 1;
        let mut changed = a.clone();
        changed.data = RecordData::new(flipped);
        inner.delete(&a.key, None).await.unwrap();
        save(&inner, changed).await;
        assert!(!is_readable(&store, "a").await, "byte {position}");
    }
    inner.delete(&a.key, None).await.unwrap();
    save(&inner, a).await;
    assert!(is_readable(&store, "a").await);
}

#[tokio::test]
async fn the_same_record_is_never_encrypted_the_same_way() {
    let inner = MemoryStore::new();
    let store = EncryptedStore::new(inner.clone(), ring());
    let key = record("a", 1).key;
    save(&store, record("a", 1)).await;
    let before = inner.load(&key).await.unwrap();
    store
        .compare_and_swap(Some(1), record("a", 1))
        .await
        .unwrap();
    assert!(inner.load(&key).await.unwrap() != before);
}

#[test]
fn a_key_is_read_from_hex_and_base64() {
    let bytes: [u8; 32] = std::array::from_fn(|index| 255 - u8::try_from(index).unwrap() * 5);
    let key = EncryptionKey::from_bytes(bytes);
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let based = key.expose();
    for text in [
        hex.clone(),
        hex.to_uppercase(),
        based.clone(),
        format!(" {based}\n"),
        based.trim_end_matches('=').to_string(),
        based.replace('+', "-").replace('/', "_"),
    ] {
        let read = EncryptionKey::from_text(&text).unwrap();
        assert_eq!(read.expose(), based, "{text}");
    }
    let long = format!("{hex}00");
    let foreign = hex.replace('f', "g");
    for text in [
        "",
        "a password",
        &hex[1..],
        &long,
        &foreign,
        &based[2..],
        &"é".repeat(32),
    ] {
        let error = EncryptionKey::from_text(text).unwrap_err();
        assert!(text.is_empty() || !format!("{error} {error:?}").contains(text));
    }
}

#[test]
fn neither_key_nor_ring_nor_record_shows_a_secret() {
    let key = key();
    let ring = KeyRing::new(key.clone());
    let store = EncryptedStore::new(MemoryStore::new(), ring.clone());
    let record = record("a", 1);
    let shown = format!("{key:?} {ring:?} {store:?} {record:?} {:?}", record.data);
    assert!(
        !shown.contains(&key.expose()) && !shown.contains("planted"),
        "{shown}"
    );
}
