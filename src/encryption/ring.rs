//! The keys of a store: one that writes, and others that read.

use std::fmt;

use super::KeyError;
use super::key::{EncryptionKey, KEY_ID};
use crate::auth::{ConnectionRecord, RecordData, RecordError, SEALED};

/// The keys of an [`EncryptedStore`](super::EncryptedStore): one that writes, and any number of
/// others that read.
#[derive(Clone)]
pub struct KeyRing {
    /// The key that writes is the first.
    keys: Vec<([u8; KEY_ID], EncryptionKey)>,
}

impl KeyRing {
    /// Creates a key ring whose key writes and reads.
    #[must_use]
    pub fn new(key: EncryptionKey) -> Self {
        Self {
            keys: vec![(key.id(), key)],
        }
    }

    /// Adds a key that only reads, to rotate keys.
    #[must_use]
    pub fn reads(mut self, key: EncryptionKey) -> Self {
        self.keys.push((key.id(), key));
        self
    }

    /// Returns whether a record is encrypted with the key that writes.
    pub(super) fn is_current(&self, record: &ConnectionRecord) -> bool {
        let writing = self.keys.first().map(|(id, _)| id.as_slice());
        parts(&record.data).map(|(id, _)| id) == writing
    }

    /// Encrypts the data of a record.
    ///
    /// Format: [`SEALED`], key id, nonce, ciphertext and tag.
    pub(super) fn seal(&self, record: &mut ConnectionRecord) -> Result<(), KeyError> {
        let Some((id, key)) = self.keys.first() else {
            return Err(KeyError::InvalidText);
        };
        let mut sealed = vec![SEALED];
        sealed.extend_from_slice(id);
        key.seal(record.data.expose(), &bound(record), &mut sealed)?;
        record.data = RecordData::new(sealed);
        Ok(())
    }

    /// Decrypts the data of an encrypted record.
    pub(super) fn open(&self, record: &mut ConnectionRecord) -> Result<(), RecordError> {
        let (id, sealed) = parts(&record.data).ok_or(RecordError::Damaged)?;
        let mut keys = self.keys.iter().filter(|(known, _)| known == id);
        let (_, key) = keys.next().ok_or(RecordError::Encrypted)?;
        let opened = key
            .open(sealed, &bound(record))
            .ok_or(RecordError::Damaged)?;
        record.data = RecordData::new(opened);
        Ok(())
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyRing({} keys)", self.keys.len())
    }
}

/// Returns the key id and what was encrypted with the key.
fn parts(data: &RecordData) -> Option<(&[u8], &[u8])> {
    data.expose()
        .strip_prefix(&[SEALED])?
        .split_at_checked(KEY_ID)
}

/// Returns what the data of a record is bound to.
fn bound(record: &ConnectionRecord) -> Vec<u8> {
    let mut bytes = b"fullscript token record 1 ".to_vec();
    bytes.extend_from_slice(&record.generation.to_le_bytes());
    bytes.extend_from_slice(record.key.as_bytes());
    bytes
}
