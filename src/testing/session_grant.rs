//! The grants with which a page embeds Fullscript: good once, and not for long.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use super::FakeFullscript;
use super::clock::timestamp;
use super::server::lock;

/// How long a grant may be claimed (source: the vendor's page on session
/// grants).
const LIFETIME: Duration = Duration::from_secs(120);

/// The grants that wait to be claimed.
#[derive(Default)]
pub(super) struct SessionGrants {
    waiting: Vec<(String, SystemTime)>,
}

impl SessionGrants {
    /// Answers a request for a grant for this user, `{"id": .., "type": ..}`.
    pub(super) fn create(&mut self, id: &str, user: &Value, now: SystemTime) -> Value {
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

    pub(super) fn claim(&mut self, secret: &str, now: SystemTime) -> bool {
        let is_it = |(waiting, _): &(String, SystemTime)| waiting == secret;
        let Some(index) = self.waiting.iter().position(is_it) else {
            return false;
        };
        let (_, expires_at) = self.waiting.swap_remove(index);
        now < expires_at
    }
}

impl FakeFullscript {
    /// Whether a page that is given this `secret_token` shows Fullscript: it is
    /// of a grant of this fake, not claimed before, and not older than 120
    /// seconds on the fake's [`clock`](Self::clock).
    ///
    /// In a browser the vendor's script claims the grant when it is mounted.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// use std::time::Duration;
    ///
    /// use fullscript::testing::FakeFullscript;
    ///
    /// let fake = FakeFullscript::start().await?;
    /// let client = fake.client();
    /// let grant = client.create_session_grant().send().await?.into_inner();
    /// let secret = grant.secret_token.ok_or("a grant has a secret")?;
    /// fake.advance(Duration::from_secs(121)).await;
    /// assert!(!fake.claim_session_grant(secret.expose()));
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    #[must_use]
    pub fn claim_session_grant(&self, secret_token: &str) -> bool {
        lock(&self.shared.state).claim_session_grant(secret_token)
    }
}
