//! Encryption of tokens at rest: a layer over any token store.
//!
//! [`EncryptedStore`] wraps a [`TokenStore`](crate::auth::TokenStore), and encrypts the data of each
//! record with XChaCha20-Poly1305. A record is bound to its key and generation, and its data
//! contains a copy of its other fields, so a field that was changed outside, or a record that was
//! moved to another user, is refused.
//!
//! A whole record that was replaced by an older copy of itself is authentic. A process that has
//! cached the newer tokens notices it
//! ([`AuthEvent::RolledBack`](crate::auth::AuthEvent::RolledBack)) and saves them again; after a
//! restart it cannot be noticed.
//!
//! # Rotating the key
//!
//! 1. Deploy a key ring that reads the new key: `KeyRing::new(old).reads(new)`.
//! 2. Deploy one that writes it: `KeyRing::new(new).reads(old)`. During both deployments, processes
//!    with either configuration read all records.
//! 3. Call [`EncryptedStore::reencrypt`] once. Without it, each record is encrypted again with the
//!    next refresh of its tokens.
//! 4. Deploy `KeyRing::new(new)`.
//!
//! ```
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use fullscript::auth::{MemoryStore, OAuthApp};
//! use fullscript::encryption::{EncryptedStore, EncryptionKey, KeyRing};
//!
//! // Generated once with `EncryptionKey::generate` and kept with your secrets.
//! let key = EncryptionKey::from_text("MTIzNDU2Nzg5MGFiY2RlZmdoaWprbG1ub3BxcnN0dXY=")?;
//! let store = EncryptedStore::new(MemoryStore::new(), KeyRing::new(key));
//! let app = OAuthApp::builder(fullscript::Environment::UsSandbox).store(store);
//! # Ok(())
//! # }
//! ```

mod key;
mod ring;
mod store;

use std::fmt;

pub use key::EncryptionKey;
pub use ring::KeyRing;
pub use store::{EncryptedStore, Reencrypted};

/// An encryption key that cannot be created, or a message that cannot be encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyError {
    /// The text is not an encryption key.
    InvalidText,
    /// The random number generator of the operating system failed.
    NoRandomness,
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InvalidText => {
                "encryption key: not 32 bytes in base64 or hex; create one with \
                 `EncryptionKey::generate`"
            }
            Self::NoRandomness => {
                "encryption: the system's random number generator failed; nothing was changed"
            }
        })
    }
}

impl std::error::Error for KeyError {}
