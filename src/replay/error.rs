//! What of a replay fails.

use std::fmt;

use super::EventList;
use crate::error::Error;
use crate::types::EventId;
use crate::webhook::EventLogError;

/// A part of a replay that failed; the cursor stays before it, so the next
/// replay tries again.
///
/// The rest goes on, unless [`is_end`](Self::is_end). Neither `Display` nor
/// `Debug` shows anything of a patient.
#[derive(Debug)]
pub struct ReplayError {
    kind: Kind,
    is_end: bool,
}

#[derive(Debug)]
enum Kind {
    List(EventList, Error),
    Event(EventId, Error),
    EventLog(EventLogError),
}

impl ReplayError {
    pub(super) fn list(list: EventList, error: Error) -> Self {
        Self {
            is_end: is_lasting(&error),
            kind: Kind::List(list, error),
        }
    }

    pub(super) fn event(id: EventId, error: Error) -> Self {
        Self {
            is_end: is_lasting(&error),
            kind: Kind::Event(id, error),
        }
    }

    pub(super) fn event_log(error: EventLogError) -> Self {
        Self {
            kind: Kind::EventLog(error),
            is_end: true,
        }
    }

    /// The same, and nothing follows it.
    pub(super) fn end(mut self) -> Self {
        self.is_end = true;
        self
    }

    /// The list that can't be read, or not to its end: for want of a scope,
    /// say. Its events that were found are told all the same.
    #[must_use]
    pub fn failed_list(&self) -> Option<EventList> {
        match self.kind {
            Kind::List(list, _) => Some(list),
            _ => None,
        }
    }

    /// The event that can't be retrieved.
    #[must_use]
    pub fn event_id(&self) -> Option<&EventId> {
        match &self.kind {
            Kind::Event(id, _) => Some(id),
            _ => None,
        }
    }

    /// The call that failed.
    #[must_use]
    pub fn call(&self) -> Option<&Error> {
        match &self.kind {
            Kind::List(_, error) | Kind::Event(_, error) => Some(error),
            Kind::EventLog(_) => None,
        }
    }

    /// Whether an event was listed and is not there any more (404), as after
    /// thirty days: it does not hold the cursor.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        matches!(&self.kind, Kind::Event(_, error) if error.is_not_found())
    }

    /// Whether the replay ends with it, since all that follows would fail as
    /// well: the record of events failed, the user's connection has ended, or
    /// the server fails one call after the other.
    #[must_use]
    pub fn is_end(&self) -> bool {
        self.is_end
    }
}

/// Whether the next call fails for the same reason. A 401 need not: the
/// vendor's guides call a missing scope unauthorized too.
fn is_lasting(error: &Error) -> bool {
    error.auth_error().is_some()
}

impl fmt::Display for ReplayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::List(list, _) => write!(f, "the list {list} could not be read to its end")?,
            Kind::Event(..) if self.is_gone() => {
                f.write_str("an event that was listed is gone, and left out")?;
            }
            Kind::Event(..) => f.write_str("an event could not be retrieved")?,
            Kind::EventLog(_) => f.write_str("what was handled before is not known")?,
        }
        match (self.is_end, self.is_gone()) {
            (true, _) => f.write_str(", mend the cause and replay from the cursor"),
            (false, true) => Ok(()),
            (false, false) => f.write_str(", the next replay tries again"),
        }
    }
}

impl std::error::Error for ReplayError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.kind {
            Kind::List(_, error) | Kind::Event(_, error) => Some(error),
            Kind::EventLog(error) => Some(error),
        }
    }
}
