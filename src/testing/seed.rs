//! Ids and choices that depend only on the seed.

use sha2::{Digest, Sha256};

use crate::text::hex;

/// The seed of a fake: two fakes with the same seed generate the same ids and names.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seed(pub(super) u64);

impl Seed {
    /// Returns the seed of the nth clinic, whose records have other ids.
    pub(super) fn of_clinic(self, n: usize) -> Self {
        Self(self.0 ^ (n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// Returns the id of the nth record of a kind, in the format of a random UUID.
    pub(super) fn id(self, kind: &str, n: u64) -> String {
        let bytes = self.bytes(kind, n);
        let hex = hex(&bytes[..16]);
        format!(
            "{}-{}-4{}-8{}-{}",
            &hex[..8],
            &hex[8..12],
            &hex[13..16],
            &hex[17..20],
            &hex[20..]
        )
    }

    /// Returns a number for the nth record of a kind.
    pub(super) fn number(self, kind: &str, n: u64) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.bytes(kind, n);
        u64::from_be_bytes([a, b, c, d, e, f, g, h])
    }

    fn bytes(self, kind: &str, n: u64) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(self.0.to_be_bytes());
        hash.update(n.to_be_bytes());
        hash.update(kind);
        hash.finalize().into()
    }
}
