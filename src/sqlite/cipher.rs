//! Encryption of tokens at rest: XChaCha20-Poly1305 with a random nonce per value.

use std::fmt;

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
/// Not shown by `Debug`, and wiped from memory when dropped. Store it separately from the file and
/// its backups. Without it the tokens are lost, and every user must reconnect.
#[derive(Clone)]
pub struct EncryptionKey(Zeroizing<[u8; KEY]>);

impl EncryptionKey {
    /// Creates a key from 32 bytes, which must come from a random number generator and not from a
    /// password.
    #[must_use]
    pub fn from_bytes(bytes: [u8; KEY]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Parses a key from 64 hex digits, or from base64 of either alphabet with or without padding.
    /// Surrounding white space is ignored.
    ///
    /// # Errors
    /// Returns an error ([`SqliteError::is_key_refused`]) if the text is neither, or has another
    /// length.
    pub fn from_text(text: &str) -> Result<Self, SqliteError> {
        let text = text.trim();
        let found = match text.len() {
            64 => hex(text),
            43 | 44 => based(text, &STANDARD).or_else(|| based(text, &URL_SAFE)),
            _ => None,
        };
        found
            .map(Self)
            .ok_or_else(|| Failure::new(Kind::KeyText).into())
    }

    /// Generates a new key; store its text with [`expose`](Self::expose).
    ///
    /// # Errors
    /// Returns an error if the system's random number generator fails.
    pub fn generate() -> Result<Self, SqliteError> {
        let mut bytes = Zeroizing::new([0; KEY]);
        getrandom::fill(&mut *bytes).map_err(|_| Failure::new(Kind::NoRandomness))?;
        Ok(Self(bytes))
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

fn hex(text: &str) -> Option<Zeroizing<[u8; KEY]>> {
    let mut bytes = Zeroizing::new([0; KEY]);
    read_hex(text.as_bytes(), &mut bytes[..])?;
    Some(bytes)
}

fn based(text: &str, alphabet: &Alphabet) -> Option<Zeroizing<[u8; KEY]>> {
    let either =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    // The decoder needs a buffer for the maximum size that the text's length allows.
    let mut buffer = Zeroizing::new([0; KEY + 4]);
    let length = GeneralPurpose::new(alphabet, either)
        .decode_slice(text, &mut *buffer)
        .ok()?;
    let bytes = buffer.get(..length)?.try_into().ok()?;
    Some(Zeroizing::new(bytes))
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
pub(super) struct Cipher(XChaCha20Poly1305);

impl Cipher {
    pub(super) fn new(key: &EncryptionKey) -> Self {
        Self(XChaCha20Poly1305::new((&*key.0).into()))
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
            .0
            .encrypt(&nonce, payload)
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
        text(self.0.decrypt(XNonce::from_slice(nonce), payload).ok()?)
    }
}

/// Converts bytes to text, or wipes them.
pub(super) fn text(bytes: Vec<u8>) -> Option<String> {
    String::from_utf8(bytes)
        .map_err(|refused| refused.into_bytes().zeroize())
        .ok()
}
