//! What of an event is remembered.

use std::fmt;
use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};

use crate::value::{Hidden, Timestamp};
use crate::webhook::Event;

/// In bytes. The vendor's ids have 36; longer ones are remembered by their
/// hash.
const LONGEST_KEY: usize = 128;

/// In hex digits, of a hash by which people are told apart and not found out.
const SUBJECT: usize = 32;

/// What is remembered of an event; made from it with `From`, and no health
/// data.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct EventKey {
    /// What the event is known by: its id; without one, the hash of its JSON.
    ///
    /// An app with several integrations on one clinic may get an event once for
    /// each; whether with one id is not told. Add the integration's id here to
    /// handle both.
    pub id: String,
    /// What the event is about (this patient, that plan), as a hash.
    pub subject: Option<String>,
    /// When it happened.
    pub created_at: Option<SystemTime>,
}

impl EventKey {
    /// Creates a key from an id, without a subject and a time.
    #[must_use]
    pub fn new(id: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            subject: None,
            created_at: None,
        }
    }
}

impl From<&Event> for EventKey {
    fn from(event: &Event) -> Self {
        let id = event.id.as_ref().map(AsRef::as_ref);
        let id = match id {
            Some(id) if (1..=LONGEST_KEY).contains(&id.len()) => id.to_string(),
            Some(id) if !id.is_empty() => hashed(id),
            _ => hashed(&event.json.to_string()),
        };
        let subject = event.data.subject().map(|(kind, id)| {
            let hash = Sha256::new().chain_update(kind).chain_update([0]);
            format!("{:.SUBJECT$x}", hash.chain_update(id).finalize())
        });
        let created_at = event.created_at.as_ref().and_then(time);
        Self {
            id,
            subject,
            created_at,
        }
    }
}

impl fmt::Debug for EventKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventKey")
            .field("key", &Hidden)
            .field("created_at", &self.created_at)
            .finish_non_exhaustive()
    }
}

fn hashed(text: &str) -> String {
    format!("sha256:{:x}", Sha256::digest(text))
}

/// `None` also where the platform has no such time, as wasm before 1970.
fn time(timestamp: &Timestamp) -> Option<SystemTime> {
    let instant = timestamp.instant()?;
    let seconds = Duration::from_secs(instant.timestamp().unsigned_abs());
    let second = if instant.timestamp() < 0 {
        SystemTime::UNIX_EPOCH.checked_sub(seconds)?
    } else {
        SystemTime::UNIX_EPOCH.checked_add(seconds)?
    };
    second.checked_add(Duration::from_nanos(
        instant.timestamp_subsec_nanos().into(),
    ))
}
