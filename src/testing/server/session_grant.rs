//! The session grants with which a page embeds Fullscript: valid once, for 120 seconds.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use crate::testing::clock::timestamp;

/// The time in which a grant can be claimed (source: the vendor's page on session grants).
const LIFETIME: Duration = Duration::from_secs(120);

/// The grants that were not claimed yet, and the sessions in a browser.
#[derive(Default)]
pub(in crate::testing) struct SessionGrants {
    waiting: Vec<(String, SystemTime)>,
    /// The patients that pages sent, by their data tokens.
    patients: HashMap<String, Value>,
    /// The patient of each session, null for none, by the secret with which it was opened.
    sessions: HashMap<String, Value>,
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

    /// Saves the patient that a page sends; returns its data token.
    pub(in crate::testing) fn tokenize(&mut self, patient: Value) -> String {
        let token = format!("fake-data-token-{}", self.patients.len() + 1);
        self.patients.insert(token.clone(), patient);
        token
    }

    /// Opens a session with a patient, if the grant can be claimed.
    pub(in crate::testing) fn open(
        &mut self,
        secret: &str,
        data_token: &str,
        now: SystemTime,
    ) -> bool {
        let claimed = self.claim(secret, now);
        if claimed {
            let patient = self.patients.get(data_token).cloned();
            self.sessions
                .insert(secret.into(), patient.unwrap_or_default());
        }
        claimed
    }

    /// Returns the patient of an open session, null for none.
    pub(in crate::testing) fn session(&self, secret: &str) -> Option<&Value> {
        self.sessions.get(secret)
    }
}
