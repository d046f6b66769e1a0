//! Random texts that do not depend on the operating system after startup.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

/// A generator of texts with 256 random bits.
///
/// The operating system seeds it when an app is built, so a system without random numbers fails
/// there. Each text also mixes in new random numbers of the system, but stays unpredictable
/// without them.
pub(super) struct Randomness {
    seed: Zeroizing<[u8; 32]>,
    drawn: AtomicU64,
}

impl Randomness {
    pub(super) fn new() -> Result<Self, getrandom::Error> {
        let mut seed = Zeroizing::new([0; 32]);
        getrandom::fill(&mut seed[..])?;
        Ok(Self {
            seed,
            drawn: AtomicU64::new(0),
        })
    }

    /// Returns a new text: 43 characters of base64url.
    pub(super) fn text(&self) -> Zeroizing<String> {
        let mut fresh = Zeroizing::new([0; 32]);
        let _the_seed_suffices = getrandom::fill(&mut fresh[..]);
        let number = self.drawn.fetch_add(1, Ordering::Relaxed);
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&self.seed[..]).expect("HMAC takes a key of any length");
        mac.update(&number.to_le_bytes());
        mac.update(&fresh[..]);
        Zeroizing::new(URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
    }
}

impl fmt::Debug for Randomness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Randomness(..)")
    }
}
