//! Encryption keys, and the cipher: XChaCha20-Poly1305 with a random nonce per record.

use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::alphabet::{Alphabet, STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use sha2::{Digest, Sha256};
use zeroize::{Zeroize, Zeroizing};

use super::KeyError;
use crate::text::read_hex;

/// Length of a nonce in bytes, long enough for random nonces without a limit on their number.
const NONCE: usize = 24;

const KEY: usize = 32;

/// The length of a key id in bytes.
pub(super) const KEY_ID: usize = 8;

/// An encryption key: 32 random bytes.
///
/// Not shown by `Debug`. Clones share one copy in memory, which is wiped when the last of them is
/// dropped. Store it separately from the token store and its backups. Without it the tokens are
/// lost, and every user must reconnect.
#[derive(Clone)]
pub struct EncryptionKey(Arc<Zeroizing<[u8; KEY]>>);

impl EncryptionKey {
    /// Creates a key from 32 bytes, which must come from a random number generator and not from a
    /// password.
    ///
    /// Wipe your own copy of the bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; KEY]) -> Self {
        let bytes = Zeroizing::new(bytes);
        Self::filled(|key| key.copy_from_slice(&*bytes))
    }

    /// Parses a key from 64 hex digits, or from base64 of either alphabet with or without padding.
    /// Surrounding white space is ignored.
    ///
    /// # Errors
    /// Returns an error if the text is neither, or has another length.
    pub fn from_text(text: &str) -> Result<Self, KeyError> {
        let text = text.trim();
        let mut is_read = false;
        let key = Self::filled(|key| {
            is_read = match text.len() {
                64 => read_hex(text.as_bytes(), key).is_some(),
                43 | 44 => read_base64(text, &STANDARD, key) || read_base64(text, &URL_SAFE, key),
                _ => false,
            };
        });
        is_read.then_some(key).ok_or(KeyError::InvalidText)
    }

    /// Generates a new key; store its text with [`expose`](Self::expose).
    ///
    /// # Errors
    /// Returns an error if the system's random number generator fails.
    pub fn generate() -> Result<Self, KeyError> {
        let mut is_random = false;
        let key = Self::filled(|key| is_random = getrandom::fill(key).is_ok());
        is_random.then_some(key).ok_or(KeyError::NoRandomness)
    }

    /// Creates a key whose bytes are written where they stay, because a move leaves a copy behind.
    fn filled(fill: impl FnOnce(&mut [u8; KEY])) -> Self {
        let mut key = Arc::new(Zeroizing::new([0; KEY]));
        if let Some(key) = Arc::get_mut(&mut key) {
            fill(key);
        }
        wipe_stack();
        Self(key)
    }

    /// Returns the key in base64, which [`from_text`](Self::from_text) parses. Store it only where
    /// secrets are kept.
    #[must_use]
    pub fn expose(&self) -> String {
        base64::engine::general_purpose::STANDARD.encode(self.0.as_slice())
    }
}

impl fmt::Debug for EncryptionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EncryptionKey(***)")
    }
}

/// Decodes base64, and returns whether the text was a key.
fn read_base64(text: &str, alphabet: &Alphabet, key: &mut [u8; KEY]) -> bool {
    let either =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    // The decoder needs a buffer for the maximum size that the text's length allows.
    let mut buffer = Zeroizing::new([0; KEY + 4]);
    let length = GeneralPurpose::new(alphabet, either).decode_slice(text, &mut *buffer);
    let is_key = length == Ok(KEY);
    if is_key {
        key.copy_from_slice(&buffer[..KEY]);
    }
    is_key
}

/// Overwrites the unused part of the stack, where calls that have returned may have left copies of
/// a key.
///
/// The cipher takes the key by value, and the compiler may copy a value whenever it is moved. 16 KiB
/// is more than the cipher uses.
#[inline(never)]
fn wipe_stack() {
    let mut unused = [1_u8; 16 << 10];
    unused.zeroize();
}

impl EncryptionKey {
    /// Returns the id of the key, which does not reveal it.
    pub(super) fn id(&self) -> [u8; KEY_ID] {
        /// A frame of its own, so that it is below the one that calls [`wipe_stack`].
        #[inline(never)]
        fn hash(key: &[u8; KEY]) -> [u8; KEY_ID] {
            let mut hash = Sha256::new();
            hash.update(b"fullscript encryption key id");
            hash.update(key);
            let mut id = [0; KEY_ID];
            id.copy_from_slice(&hash.finalize()[..KEY_ID]);
            id
        }
        let id = hash(&self.0);
        wipe_stack();
        id
    }

    /// Encrypts `message`, and appends nonce, ciphertext and tag to `to`.
    ///
    /// `bound` is authenticated with it.
    pub(super) fn seal(
        &self,
        message: &[u8],
        bound: &[u8],
        to: &mut Vec<u8>,
    ) -> Result<(), KeyError> {
        let mut nonce = XNonce::default();
        getrandom::fill(&mut nonce).map_err(|_| KeyError::NoRandomness)?;
        let payload = Payload {
            msg: message,
            aad: bound,
        };
        // Encryption fails only for messages of 256 GiB or more.
        let sealed = self
            .with_state(|state| state.encrypt(&nonce, payload))
            .map_err(|_| KeyError::NoRandomness)?;
        to.extend_from_slice(&nonce);
        to.extend_from_slice(&sealed);
        Ok(())
    }

    /// Decrypts what [`seal`](Self::seal) has appended; `None` if the key is another, or the
    /// message or what it is bound to was changed.
    pub(super) fn open(&self, sealed: &[u8], bound: &[u8]) -> Option<Vec<u8>> {
        let (nonce, sealed) = sealed.split_at_checked(NONCE)?;
        let payload = Payload {
            msg: sealed,
            aad: bound,
        };
        self.with_state(|state| state.decrypt(XNonce::from_slice(nonce), payload))
            .ok()
    }

    /// The state of the cipher exists only while a message is encrypted or decrypted, because it
    /// contains a copy of the key.
    fn with_state<T>(&self, work: impl FnOnce(&XChaCha20Poly1305) -> T) -> T {
        /// A frame of its own, so that it is below the one that calls [`wipe_stack`].
        #[inline(never)]
        fn run<T>(key: &[u8; KEY], work: impl FnOnce(&XChaCha20Poly1305) -> T) -> T {
            work(&XChaCha20Poly1305::new(key.into()))
        }
        let output = run(&self.0, work);
        wipe_stack();
        output
    }
}
