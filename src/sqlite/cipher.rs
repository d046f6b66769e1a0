//! Encryption of tokens at rest: XChaCha20-Poly1305 with a random nonce per value.

use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::alphabet::{Alphabet, STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use zeroize::{Zeroize, Zeroizing};

use super::error::{Failure, Kind, SqliteError};
use crate::text::read_hex;

/// First byte of an encrypted value; a nonce, the ciphertext and its tag follow.
const FORMAT: u8 = 1;

/// Length of a nonce in bytes, long enough for random nonces without a limit on their number.
const NONCE: usize = 24;

const KEY: usize = 32;

/// The encryption key of a token file: 32 random bytes.
///
/// Not shown by `Debug`. Clones share one copy in memory, which is wiped when the last of them is
/// dropped. Store it separately from the file and its backups. Without it the tokens are lost, and
/// every user must reconnect.
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
    /// Returns an error ([`SqliteError::is_key_refused`]) if the text is neither, or has another
    /// length.
    pub fn from_text(text: &str) -> Result<Self, SqliteError> {
        let text = text.trim();
        let mut is_read = false;
        let key = Self::filled(|key| {
            is_read = match text.len() {
                64 => read_hex(text.as_bytes(), key).is_some(),
                43 | 44 => read_base64(text, &STANDARD, key) || read_base64(text, &URL_SAFE, key),
                _ => false,
            };
        });
        is_read
            .then_some(key)
            .ok_or_else(|| Failure::new(Kind::KeyText).into())
    }

    /// Generates a new key; store its text with [`expose`](Self::expose).
    ///
    /// # Errors
    /// Returns an error if the system's random number generator fails.
    pub fn generate() -> Result<Self, SqliteError> {
        let mut is_random = false;
        let key = Self::filled(|key| is_random = getrandom::fill(key).is_ok());
        is_random
            .then_some(key)
            .ok_or_else(|| Failure::new(Kind::NoRandomness).into())
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

/// The keys to open a file with.
#[derive(Clone, Default)]
pub(super) struct Keys {
    pub(super) current: Option<EncryptionKey>,
    pub(super) previous: Option<EncryptionKey>,
}

/// The location that a value is bound to: after it is moved elsewhere, it cannot be decrypted.
#[derive(Clone, Copy)]
pub(super) struct Location<'p> {
    pub(super) column: &'p str,
    pub(super) user: &'p str,
    pub(super) issuer: &'p str,
}

impl Location<'_> {
    /// Encodes the parts with their lengths, so that no two locations have the same bytes.
    fn bytes(self) -> Vec<u8> {
        let parts = ["fullscript tokens", self.column, self.user, self.issuer];
        let mut bytes = vec![FORMAT];
        for part in parts {
            bytes.extend((part.len() as u64).to_le_bytes());
            bytes.extend(part.as_bytes());
        }
        bytes
    }
}

/// Encrypts and decrypts with one key.
///
/// The state of the cipher exists only while a value is encrypted or decrypted, because it contains
/// a copy of the key.
pub(super) struct Cipher(EncryptionKey);

impl Cipher {
    pub(super) fn new(key: &EncryptionKey) -> Self {
        Self(key.clone())
    }

    pub(super) fn seal(&self, text: &str, location: Location<'_>) -> Result<Vec<u8>, Failure> {
        let mut nonce = XNonce::default();
        getrandom::fill(&mut nonce).map_err(|_| Failure::new(Kind::NoRandomness))?;
        let payload = Payload {
            msg: text.as_bytes(),
            aad: &location.bytes(),
        };
        // Encryption fails only for texts of 256 GiB or more.
        let sealed = self
            .with_state(|state| state.encrypt(&nonce, payload))
            .map_err(|_| Failure::new(Kind::Other))?;
        Ok([&[FORMAT], nonce.as_slice(), &sealed].concat())
    }

    /// Decrypts a value; `None` if the key is another or the value was changed or moved.
    pub(super) fn open(&self, value: &[u8], location: Location<'_>) -> Option<String> {
        let (nonce, sealed) = value.strip_prefix(&[FORMAT])?.split_at_checked(NONCE)?;
        let payload = Payload {
            msg: sealed,
            aad: &location.bytes(),
        };
        let opened = self.with_state(|state| state.decrypt(XNonce::from_slice(nonce), payload));
        text(opened.ok()?)
    }

    fn with_state<T>(&self, work: impl FnOnce(&XChaCha20Poly1305) -> T) -> T {
        /// A frame of its own, so that it is below the one that calls [`wipe_stack`].
        #[inline(never)]
        fn run<T>(key: &[u8; KEY], work: impl FnOnce(&XChaCha20Poly1305) -> T) -> T {
            work(&XChaCha20Poly1305::new(key.into()))
        }
        let output = run(&self.0.0, work);
        wipe_stack();
        output
    }
}

/// Converts bytes to text, or wipes them.
pub(super) fn text(bytes: Vec<u8>) -> Option<String> {
    String::from_utf8(bytes)
        .map_err(|refused| refused.into_bytes().zeroize())
        .ok()
}
