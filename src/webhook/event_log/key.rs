//! Keys of events in an event log.

use std::fmt;
use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};

use crate::text::hex;
use crate::value::{Hidden, Timestamp};
use crate::webhook::Event;

/// Maximum length of an id in bytes. Fullscript's ids have 36; longer ones are replaced by their
/// hash.
const MAX_ID_LENGTH: usize = 128;

/// Length of a subject hash in bytes. It tells patients apart without revealing their ids.
const SUBJECT_LENGTH: usize = 16;

/// The key of an event in an [`EventLog`](super::EventLog); created from an event with `From`.
/// Contains no health data.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct EventKey {
    /// Id of the event, or the hash of its JSON if it has none.
    ///
    /// An app with several integrations on one clinic may receive an event once for each
    /// integration. Fullscript does not document whether these deliveries have the same id. To
    /// process both, append the integration's id here.
    pub id: String,
    /// Hash of the object that the event is about (a patient, a plan).
    pub subject: Option<String>,
    /// Time of the event.
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
            Some(id) if (1..=MAX_ID_LENGTH).contains(&id.len()) => id.to_string(),
            Some(id) if !id.is_empty() => hashed(id),
            _ => hashed(&event.json().to_string()),
        };
        let subject = event.data.subject().map(|(kind, id)| {
            let hash = Sha256::new().chain_update(kind).chain_update([0]);
            hex(&hash.chain_update(id).finalize()[..SUBJECT_LENGTH])
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
    format!("sha256:{}", hex(&Sha256::digest(text)))
}

/// Converts a timestamp; `None` also if the platform cannot represent the time, as wasm before
/// 1970.
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
