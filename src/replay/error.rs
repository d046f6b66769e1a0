//! Errors of a replay.

use std::fmt;

use super::{EventList, Missed};
use crate::error::Error;
use crate::types::EventId;
use crate::webhook::EventLogError;

/// An error in a part of a replay. The cursor does not advance past it, so the next replay retries,
/// unless [`is_unreadable`](Self::is_unreadable) or [`is_gone`](Self::is_gone).
///
/// The replay continues with the remaining parts, unless [`is_end`](Self::is_end). Neither
/// `Display` nor `Debug` shows patient data.
#[derive(Debug)]
pub struct ReplayError {
    kind: Kind,
    is_end: bool,
}

#[derive(Debug)]
enum Kind {
    List(EventList, Error),
    Event(EventId, Error),
    Unreadable(EventList, Error, Box<Missed>),
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

    pub(super) fn without_id(list: EventList, error: Error, missed: Missed) -> Self {
        Self {
            kind: Kind::Unreadable(list, error, Box::new(missed)),
            is_end: false,
        }
    }

    pub(super) fn event_log(error: EventLogError) -> Self {
        Self {
            kind: Kind::EventLog(error),
            is_end: true,
        }
    }

    /// Marks the error as the end of the replay.
    pub(super) fn end(mut self) -> Self {
        self.is_end = true;
        self
    }

    /// Returns the list that could not be read to its end, for example because of a missing scope.
    ///
    /// Its events that were found are returned anyway.
    #[must_use]
    pub fn failed_list(&self) -> Option<EventList> {
        match self.kind {
            Kind::List(list, _) => Some(list),
            _ => None,
        }
    }

    /// Returns whether a single event of a list has no id, for example because its record is not an
    /// object; see [`unreadable`](Self::unreadable).
    #[must_use]
    pub fn is_unreadable(&self) -> bool {
        self.unreadable().is_some()
    }

    /// Returns the event without an id, if [`is_unreadable`](Self::is_unreadable).
    ///
    /// It cannot be retrieved, so that processing it is up to you: [`Event::json`] has its record as
    /// it was sent, and [`call`](Self::call) its index and the reason
    /// ([`Error::unreadable_record`]). [`Missed::acknowledge`] prevents later replays from reporting
    /// it again, as long as the list has the same record; equal records count as one. The cursor
    /// advances past it in any case.
    ///
    /// [`Event::json`]: crate::webhook::Event::json
    #[must_use]
    pub fn unreadable(&self) -> Option<&Missed> {
        match &self.kind {
            Kind::Unreadable(_, _, missed) => Some(missed),
            _ => None,
        }
    }

    /// Returns the id of the event that could not be retrieved.
    #[must_use]
    pub fn event_id(&self) -> Option<&EventId> {
        match &self.kind {
            Kind::Event(id, _) => Some(id),
            _ => None,
        }
    }

    /// Returns the error of the API call that failed.
    #[must_use]
    pub fn call(&self) -> Option<&Error> {
        match &self.kind {
            Kind::List(_, error) | Kind::Event(_, error) | Kind::Unreadable(_, error, _) => {
                Some(error)
            }
            Kind::EventLog(_) => None,
        }
    }

    /// Returns whether an event was listed but no longer exists (404), as after thirty days. The
    /// cursor advances past it.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        matches!(&self.kind, Kind::Event(_, error) if error.is_not_found())
    }

    /// Returns whether the replay ends with this error, because everything after it would fail too:
    /// the event log failed, the user must reconnect, or several calls in a row failed.
    #[must_use]
    pub fn is_end(&self) -> bool {
        self.is_end
    }
}

/// Returns whether the next call would fail for the same reason. After a 401 it may succeed:
/// Fullscript's guides also call a missing scope unauthorized.
fn is_lasting(error: &Error) -> bool {
    error.auth_error().is_some()
}

impl fmt::Display for ReplayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Unreadable(list, ..) => {
                write!(
                    f,
                    "replay: a record of the list {list} has no event id and is skipped"
                )?;
            }
            Kind::List(list, _) => write!(f, "replay: failed to read the list {list} to its end")?,
            Kind::Event(..) if self.is_gone() => {
                f.write_str("replay: an event that was listed no longer exists and is skipped")?;
            }
            Kind::Event(..) => f.write_str("replay: failed to retrieve an event")?,
            Kind::EventLog(_) => f.write_str("replay: the event log failed")?,
        }
        match (self.is_end, self.is_gone() || self.is_unreadable()) {
            (true, _) => f.write_str("; fix the cause, then resume from the cursor"),
            (false, true) => Ok(()),
            (false, false) => f.write_str("; the next replay retries it"),
        }
    }
}

impl std::error::Error for ReplayError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.kind {
            Kind::List(_, error) | Kind::Event(_, error) | Kind::Unreadable(_, error, _) => {
                Some(error)
            }
            Kind::EventLog(error) => Some(error),
        }
    }
}
