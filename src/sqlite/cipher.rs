//! Tokens at rest, encrypted: XChaCha20-Poly1305 with a nonce for each value.

use std::fmt;

use base64::Engine;
use base64::alphabet::{Alphabet, STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use zeroize::{Zeroize, Zeroizing};

use super::error::{Failure, Kind, SqliteError};
use crate::text::read_hex;

/// The first byte of an encrypted value: what follows is a nonce, the
/// encrypted text and its tag.
const FORMAT: u8 = 1;

/// The length of a nonce, long enough to be drawn at random for ever.
const NONCE: usize = 24;

const KEY: usize = 32;

/// The key that a token file is encrypted with: 32 random bytes.
///
/// Never shown by `Debug`, and wiped from memory when dropped. Keep it apart
/// from the file and from its backups. Without it the tokens are lost, and
/// every user must connect again.
#[derive(Clone)]
pub struct EncryptionKey(Zeroizing<[u8; KEY]>);

impl EncryptionKey {
    /// Takes 32 bytes that nobody can guess: of a generator, not of a
    /// password.
    #[must_use]
    pub fn from_bytes(bytes: [u8; KEY]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Reads a key from 64 digits of hex, or from base64 of either alphabet,
    /// with or without its `=`. White space around it does not count.
    ///
    /// # Errors
    /// When the text is neither, or has another length.
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

    /// Makes a new key; keep its text with [`expose`](Self::expose).
    ///
    /// # Errors
    /// When the machine has no randomness.
    pub fn generate() -> Result<Self, SqliteError> {
        let mut bytes = Zeroizing::new([0; KEY]);
        getrandom::fill(&mut *bytes).map_err(|_| Failure::new(Kind::NoRandomness))?;
        Ok(Self(bytes))
    }

    /// The key in base64, as [`from_text`](Self::from_text) reads it. Put it
    /// where secrets are kept, and nowhere else.
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
    // The decoder wants room for what the length alone would allow.
    let mut room = Zeroizing::new([0; KEY + 4]);
    let length = GeneralPurpose::new(alphabet, either)
        .decode_slice(text, &mut *room)
        .ok()?;
    let bytes = room.get(..length)?.try_into().ok()?;
    Some(Zeroizing::new(bytes))
}

/// The keys that a file is opened with.
#[derive(Clone, Default)]
pub(super) struct Keys {
    pub(super) current: Option<EncryptionKey>,
    pub(super) previous: Option<EncryptionKey>,
}

/// Where a value stands, which it is bound to: moved elsewhere it can't be
/// opened.
#[derive(Clone, Copy)]
pub(super) struct Place<'p> {
    pub(super) column: &'p str,
    pub(super) user: &'p str,
    pub(super) issuer: &'p str,
}

impl Place<'_> {
    /// The parts with their lengths, so that no two places are the same bytes.
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

    pub(super) fn seal(&self, text: &str, place: Place<'_>) -> Result<Vec<u8>, Failure> {
        let mut nonce = XNonce::default();
        getrandom::fill(&mut nonce).map_err(|_| Failure::new(Kind::NoRandomness))?;
        let payload = Payload {
            msg: text.as_bytes(),
            aad: &place.bytes(),
        };
        // Only a text of 256 GiB can't be encrypted.
        let sealed = self
            .0
            .encrypt(&nonce, payload)
            .map_err(|_| Failure::new(Kind::Other))?;
        Ok([&[FORMAT], nonce.as_slice(), &sealed].concat())
    }

    /// The text, unless the key is another or the value was changed or moved.
    pub(super) fn open(&self, value: &[u8], place: Place<'_>) -> Option<String> {
        let (nonce, sealed) = value.strip_prefix(&[FORMAT])?.split_at_checked(NONCE)?;
        let payload = Payload {
            msg: sealed,
            aad: &place.bytes(),
        };
        text(self.0.decrypt(XNonce::from_slice(nonce), payload).ok()?)
    }
}

/// Bytes as text, or wiped.
pub(super) fn text(bytes: Vec<u8>) -> Option<String> {
    String::from_utf8(bytes)
        .map_err(|refused| refused.into_bytes().zeroize())
        .ok()
}
