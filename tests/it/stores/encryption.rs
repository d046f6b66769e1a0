//! The encrypted token file: its content, the keys that open it, and key rotation.

use fullscript::auth::TokenStore;

use fullscript::sqlite::{EncryptionKey, SqliteError, SqliteStore};

use crate::stores::sqlite::{Place, cause, fill, is_filled, key};
use crate::stores::tokens;

/// The prefix of the tokens in these tests.
const PLANTED: &[u8] = b"planted-";

impl Place {
    async fn open_anew(
        &self,
        key: &EncryptionKey,
        previous: &EncryptionKey,
    ) -> Result<SqliteStore, SqliteError> {
        SqliteStore::builder(&self.path)
            .encryption_key(key.clone())
            .previous_encryption_key(previous.clone())
            .open()
            .await
    }

    /// Returns whether the file or one of its companions contains these bytes.
    fn holds(&self, bytes: &[u8]) -> bool {
        ["", "-wal", "-shm", "-journal"].iter().any(|suffix| {
            let file = std::fs::read(self.beside(suffix)).unwrap_or_default();
            file.windows(bytes.len()).any(|window| window == bytes)
        })
    }
}

#[tokio::test]
async fn an_encrypted_store_has_no_token_in_any_of_its_files() {
    let place = Place::new();
    let store = place.open_with(&key()).await.unwrap();
    fill(&store, 100).await;
    assert!(place.beside("-wal").exists());
    assert!(!place.holds(PLANTED));
    // Proves that the search works: the owner of the tokens is not encrypted.
    assert!(place.holds(b"Practitioner"));
}

#[tokio::test]
async fn enabling_encryption_leaves_no_plain_text() {
    let place = Place::new();
    let key = key();
    let plain = place.open().await.unwrap();
    fill(&plain, 300).await;
    // Old content may remain in free pages and in the log.
    for user in 100..300 {
        plain.delete(&user.to_string(), None).await.unwrap();
    }
    assert!(place.holds(PLANTED));
    let store = place.open_with(&key).await.unwrap();
    assert!(!place.holds(PLANTED));
    is_filled(&store, 100).await;
    // A process without the key writes no plain text.
    for error in [
        plain.load("0").await.unwrap_err(),
        plain
            .compare_and_swap("0", Some(1), tokens(2))
            .await
            .unwrap_err(),
        plain.delete("0", None).await.unwrap_err(),
    ] {
        assert!(cause(&error).contains("open the file again"), "{error:?}");
    }
    is_filled(&store, 100).await;
    drop((plain, store));
    is_filled(&place.open_with(&key).await.unwrap(), 100).await;
    assert!(!place.holds(PLANTED));
}

#[tokio::test]
async fn cleaning_up_that_was_cut_short_is_done_by_the_next_to_open() {
    let place = Place::new();
    let key = key();
    fill(&place.open_with(&key).await.unwrap(), 1).await;
    let inside = place.inside();
    inside
        .execute_batch(
            "PRAGMA secure_delete = OFF;
             UPDATE encryption SET cleaned = 0;
             CREATE TABLE old AS SELECT 'planted-access-0' AS token;
             DROP TABLE old;",
        )
        .unwrap();
    assert!(place.holds(PLANTED));
    let store = place.open_with(&key).await.unwrap();
    assert!(!place.holds(PLANTED));
    is_filled(&store, 1).await;
}

#[tokio::test]
async fn a_file_that_needs_another_key_is_refused_and_left_as_it_was() {
    let place = Place::new();
    let right = key();
    fill(&place.open_with(&right).await.unwrap(), 5).await;
    place
        .inside()
        .execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")
        .unwrap();
    let before = std::fs::read(&place.path).unwrap();
    let wrong = key();
    let previous = SqliteStore::builder(&place.path).previous_encryption_key(right.clone());
    for (opened, says) in [
        (place.open().await, "no encryption key was set"),
        (place.open_with(&wrong).await, "another key"),
        (place.open_anew(&wrong, &key()).await, "another key"),
        (previous.open().await, "without a current one"),
    ] {
        let error = opened.unwrap_err();
        assert!(error.is_key_refused(), "{error}");
        assert!(error.to_string().contains(says), "{error}");
    }
    assert_eq!(std::fs::read(&place.path).unwrap(), before);
    is_filled(&place.open_with(&right).await.unwrap(), 5).await;
}

#[tokio::test]
async fn a_key_is_replaced_by_opening_with_both() {
    let place = Place::new();
    let (old, new) = (key(), key());
    let before = place.open_with(&old).await.unwrap();
    fill(&before, 50).await;
    let store = place.open_anew(&new, &old).await.unwrap();
    is_filled(&store, 50).await;
    let error = before.load("0").await.unwrap_err();
    assert!(cause(&error).contains("open the file again"), "{error:?}");
    // The old key may remain configured but no longer opens anything.
    is_filled(&place.open_anew(&new, &old).await.unwrap(), 50).await;
    assert!(place.open_with(&old).await.unwrap_err().is_key_refused());
    is_filled(&place.open_with(&new).await.unwrap(), 50).await;
}

#[tokio::test]
async fn an_encrypted_token_is_valid_only_in_its_own_row() {
    for change in [
        "UPDATE tokens SET access_token = (SELECT access_token FROM tokens WHERE user = '1')",
        "UPDATE tokens SET access_token = refresh_token",
        "UPDATE tokens SET issuer = 'https://elsewhere.example'",
        "UPDATE tokens SET access_token = substr(access_token, 1, 20)",
        "UPDATE tokens SET access_token = x''",
        "UPDATE tokens SET access_token = CAST('planted-access-9' AS BLOB)",
    ] {
        let place = Place::new();
        let store = place.open_with(&key()).await.unwrap();
        fill(&store, 2).await;
        let change = format!("{change} WHERE user = '0'");
        place.inside().execute_batch(&change).unwrap();
        let error = store.load("0").await.unwrap_err();
        assert!(
            cause(&error).contains("of this user"),
            "{change}: {error:?}"
        );
        assert!(store.load("1").await.unwrap().is_some());
    }
}

#[tokio::test]
async fn the_same_token_is_never_encrypted_the_same_way() {
    let place = Place::new();
    let store = place.open_with(&key()).await.unwrap();
    let cell = || -> Vec<u8> {
        let sql = "SELECT access_token FROM tokens WHERE user = '0'";
        place.inside().query_row(sql, [], |row| row.get(0)).unwrap()
    };
    fill(&store, 1).await;
    let before = cell();
    store
        .compare_and_swap("0", Some(1), tokens(1))
        .await
        .unwrap();
    assert_ne!(cell(), before);
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
        assert!(error.is_key_refused(), "{text}");
        assert!(text.is_empty() || !format!("{error} {error:?}").contains(text));
    }
}
