//! What 401 responses have shown about the tokens of a user.

use std::time::Duration;

use tokio::time::Instant;

/// The number of operations that are remembered: 64.
const MAX_OPERATIONS: usize = 64;

/// The time for which tokens that were issued after a 401 are not refreshed after another one,
/// unless a call has used them with success: 5 min.
///
/// If the whole API refuses valid tokens, each user is refreshed once in this time.
const UNPROVEN: Duration = Duration::from_secs(300);

/// The time for which an operation that refused tokens which had just been issued causes no
/// refresh: 30 min.
///
/// The tokens may have become invalid since, and a user may call no other operation.
const REFUSED: Duration = Duration::from_secs(1_800);

/// The 401 responses that a token refresh did not help.
///
/// They prevent a refresh for each call of an operation, or of an API, that refuses valid tokens.
#[derive(Default)]
pub(super) struct Refusals {
    /// The generation of tokens that were issued after a 401 and that no call has used with success
    /// yet, and the time until which they are not refreshed.
    unproven: Option<(u64, Instant)>,
    /// The operations that refused tokens which had just been issued, until they accept one, and
    /// the time until which they cause no refresh.
    operations: Vec<(Box<str>, Instant)>,
}

impl Refusals {
    /// Returns whether a refresh may help an operation that refused tokens of a generation.
    pub(super) fn may_refresh(&self, operation: &str, generation: u64) -> bool {
        let now = Instant::now();
        let unproven = self.unproven.filter(|(_, until)| now < *until);
        unproven.is_none_or(|(unproven, _)| unproven != generation)
            && !self
                .operations
                .iter()
                .any(|(known, until)| **known == *operation && now < *until)
    }

    /// Records that tokens were issued after a 401.
    pub(super) fn issued(&mut self, generation: u64) {
        self.unproven = Some((generation, Instant::now() + UNPROVEN));
    }

    /// Records that an operation refused tokens that had just been issued.
    pub(super) fn refused(&mut self, operation: &str) {
        self.operations.retain(|(known, _)| **known != *operation);
        if self.operations.len() == MAX_OPERATIONS {
            self.operations.remove(0);
        }
        let until = Instant::now() + REFUSED;
        self.operations.push((operation.into(), until));
    }

    /// Records that an operation accepted tokens of a generation.
    pub(super) fn accepted(&mut self, operation: &str, generation: u64) {
        self.unproven
            .take_if(|(unproven, _)| *unproven == generation);
        self.operations.retain(|(known, _)| **known != *operation);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.unproven.is_none() && self.operations.is_empty()
    }
}
