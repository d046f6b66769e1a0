//! The session grants with which a page embeds Fullscript: valid once, for 120 seconds.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use crate::testing::clock::timestamp;

/// The time in which a grant can be claimed (source: the vendor's page on session grants).
const LIFETIME: Duration = Duration::from_secs(120);

/// The grants that were not claimed yet.
#[derive(Default)]
pub(in crate::testing) struct SessionGrants {
    waiting: Vec<(String, SystemTime)>,
}

impl SessionGrants {
    /// Creates a grant for a user, `{"id": .., "type": ..}`.
    pub(in crate::testing) fn create(&mut self, id: &str, user: &Value, now: SystemTime) -> Value {
        let expires_at = now + LIFETIME;
        let secret = format!("fake-secret-token-{id}");
        self.waiting.push((secret.clone(), expires_at));
        json!({
            "id": id,
            "secret_token": secret,
            "claimed_at": null,
            "expires_at": timestamp(expires_at),
            "user": user,
        })
    }

    pub(in crate::testing) fn claim(&mut self, secret: &str, now: SystemTime) -> bool {
        let is_it = |(waiting, _): &(String, SystemTime)| waiting == secret;
        let Some(index) = self.waiting.iter().position(is_it) else {
            return false;
        };
        let (_, expires_at) = self.waiting.swap_remove(index);
        now < expires_at
    }
}
