//! The token stores of the crate: the requirements that all of them meet, and what is special.

mod encryption;
mod faults;
#[cfg(target_os = "linux")]
mod mounts;
mod rate_limit;
pub(crate) mod sqlite;

use std::time::Duration;

use fullscript::auth::{
    AccessToken, ConnectionRecord, MemoryStore, RefreshToken, Scope, TokenSet, UserKey,
};
use fullscript::encryption::{EncryptedStore, EncryptionKey, KeyRing};
use fullscript::shared_limit::MemoryLimit;
use fullscript::sqlite::SqliteStore;
use fullscript::testing::contract;
use tempfile::TempDir;

use crate::support::at;

/// The key of an app's records.
const APP: &str = "us-sandbox/fake-client-id";

pub(crate) fn tokens(user: impl Into<UserKey>, generation: u64) -> TokenSet {
    TokenSet::new(
        user,
        AccessToken::new(format!("planted-access-{generation}")),
        APP,
        at(0),
        Duration::from_secs(7_200),
    )
    .refresh_token(RefreshToken::new(format!("planted-refresh-{generation}")))
    .scopes([Scope::CATALOG_READ, Scope::CLINIC_READ].map(Scope::new))
    .replaced_access_token(AccessToken::new(format!("planted-replaced-{generation}")))
    .generation(generation)
}

pub(crate) fn record(user: impl Into<UserKey>, generation: u64) -> ConnectionRecord {
    tokens(user, generation).to_record()
}

pub(crate) fn ring() -> KeyRing {
    KeyRing::new(EncryptionKey::generate().unwrap())
}

#[tokio::test]
async fn the_store_in_memory_meets_all_requirements() {
    contract::token_store(async || MemoryStore::new()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sqlite_store_meets_all_requirements() {
    let directory = TempDir::new().unwrap();
    let files = std::cell::Cell::new(0);
    let open = async || {
        files.set(files.get() + 1);
        let path = directory.path().join(format!("{}.db", files.get()));
        SqliteStore::open(path).await.unwrap()
    };
    contract::token_store(open).await;
    contract::token_store(async || EncryptedStore::new(open().await, ring())).await;
}

#[tokio::test]
async fn the_rate_limit_in_memory_meets_all_requirements() {
    contract::rate_limit(async || MemoryLimit::new()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_rate_limit_in_sqlite_meets_all_requirements() {
    let directory = TempDir::new().unwrap();
    let files = std::cell::Cell::new(0);
    let open = async || {
        files.set(files.get() + 1);
        let path = directory.path().join(format!("{}.db", files.get()));
        SqliteStore::open(path).await.unwrap().rate_limit()
    };
    contract::rate_limit(open).await;
}

#[tokio::test]
async fn the_encrypted_store_meets_all_requirements() {
    contract::token_store(async || EncryptedStore::new(MemoryStore::new(), ring())).await;
}

#[test]
fn a_record_is_decoded_as_it_was_encoded_and_keeps_fields_of_a_later_version() {
    let tokens = tokens("a", 7).tenant("clinic-7");
    let mut record = tokens.to_record();
    let decoded = TokenSet::from_record(&record).unwrap();
    assert!(decoded.to_record() == record);
    let mut data: serde_json::Value = serde_json::from_slice(record.data.expose()).unwrap();
    data["added_later"] = serde_json::json!({"a": [1, null]});
    record.data = fullscript::auth::RecordData::new(serde_json::to_vec(&data).unwrap());
    let decoded = TokenSet::from_record(&record).unwrap();
    let again: serde_json::Value =
        serde_json::from_slice(decoded.to_record().data.expose()).unwrap();
    assert_eq!(again, data);
}

#[test]
fn a_record_that_was_changed_outside_is_refused() {
    let changes: [fn(&mut ConnectionRecord); 12] = [
        |record| record.key.push('0'),
        |record| record.generation += 1,
        |record| record.app = "ca-sandbox/fake-client-id".into(),
        |record| record.tenant = Some("another".into()),
        |record| record.scopes.push_str(" patients:write"),
        |record| record.expires_at += 1,
        |record| record.used_at -= 1,
        |record| record.needs_reconnect = true,
        |record| record.is_failing = true,
        |record| record.data = fullscript::auth::RecordData::new(Vec::new()),
        |record| record.data = super_version(record, 2),
        |record| record.data = fullscript::auth::RecordData::new(b"{}".to_vec()),
    ];
    for (number, change) in changes.iter().enumerate() {
        let mut record = record("a", 1);
        change(&mut record);
        let error = TokenSet::from_record(&record).unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(text.contains("token record"), "{number}: {text}");
        assert!(!text.contains("planted"), "{number}: {text}");
    }
}

fn super_version(record: &ConnectionRecord, version: u64) -> fullscript::auth::RecordData {
    let mut data: serde_json::Value = serde_json::from_slice(record.data.expose()).unwrap();
    data["version"] = version.into();
    data["lifetime"] = "another type".into();
    fullscript::auth::RecordData::new(serde_json::to_vec(&data).unwrap())
}

#[test]
fn a_record_is_decoded_whatever_its_times_are() {
    let epoch = std::time::SystemTime::UNIX_EPOCH;
    let nanos = |nanos| Duration::from_nanos(nanos);
    for issued_at in [
        epoch,
        epoch + nanos(1),
        epoch + nanos(999_999),
        epoch + Duration::new(1_767_225_600, 123_999_999),
        epoch - nanos(1_500_000),
        epoch + Duration::from_secs(1 << 40),
    ] {
        for lifetime in [
            Duration::ZERO,
            nanos(1),
            nanos(999_999),
            Duration::new(7_199, 876_999_999),
            Duration::from_millis(u64::MAX),
            Duration::MAX,
        ] {
            let mut tokens = tokens("a", 7);
            (tokens.issued_at, tokens.used_at) = (issued_at, issued_at);
            tokens.lifetime = lifetime;
            let record = tokens.to_record();
            let decoded = TokenSet::from_record(&record).unwrap();
            assert!(decoded.to_record() == record, "{issued_at:?} {lifetime:?}");
        }
    }
}
