//! The cursor of a replay.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::lists::{EventList, to_seconds};

/// Version prefix of the text form.
const VERSION: &str = "1:";

/// The position of a replay in each list: a few times, without patient data. Save it as text or
/// with serde.
///
/// All listed events before it were processed. Any cursor that a replay returns is safe to save,
/// and saves the next replay from reading thirty days again; an older one only costs requests.
///
/// The default is the beginning: all events that Fullscript still lists.
///
/// ```
/// use std::time::{Duration, SystemTime};
///
/// use fullscript::replay::Cursor;
///
/// let cursor = Cursor::from(SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000));
/// let text = cursor.to_string();
/// assert!(text.starts_with("1:patients=1700000000,"));
/// assert_eq!(text.parse::<Cursor>()?, cursor);
/// # Ok::<_, fullscript::replay::InvalidCursor>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Cursor {
    /// Whole seconds since 1970, by list.
    pub(super) seconds: [Option<u64>; EventList::ALL.len()],
}

impl Cursor {
    /// Returns the position in this list, or `None` at the beginning.
    #[must_use]
    pub fn of(&self, list: EventList) -> Option<SystemTime> {
        let seconds = self.seconds[list.index()]?;
        SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
    }
}

/// Creates a cursor at this time in all lists.
impl From<SystemTime> for Cursor {
    fn from(since: SystemTime) -> Self {
        Self {
            seconds: [Some(to_seconds(since)); EventList::ALL.len()],
        }
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = EventList::ALL.into_iter().zip(self.seconds);
        let known = known.filter_map(|(list, seconds)| Some(format!("{list}={}", seconds?)));
        write!(f, "{VERSION}{}", known.collect::<Vec<_>>().join(","))
    }
}

impl FromStr for Cursor {
    type Err = InvalidCursor;

    /// Parses the output of `Display`, including that of a later version with more lists.
    fn from_str(text: &str) -> Result<Self, InvalidCursor> {
        let mut cursor = Self::default();
        let parts = text.strip_prefix(VERSION).ok_or(InvalidCursor)?;
        for part in parts.split(',').filter(|part| !part.is_empty()) {
            let (name, seconds) = part.split_once('=').ok_or(InvalidCursor)?;
            let seconds = seconds.parse().map_err(|_| InvalidCursor)?;
            if let Some(list) = EventList::ALL.into_iter().find(|list| list.name() == name) {
                cursor.seconds[list.index()] = Some(seconds);
            }
        }
        Ok(cursor)
    }
}

impl TryFrom<String> for Cursor {
    type Error = InvalidCursor;

    fn try_from(text: String) -> Result<Self, InvalidCursor> {
        text.parse()
    }
}

impl From<Cursor> for String {
    fn from(cursor: Cursor) -> Self {
        cursor.to_string()
    }
}

/// The error of parsing an invalid [`Cursor`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidCursor;

impl fmt::Display for InvalidCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("replay cursor: invalid text; start from `Cursor::default()`")
    }
}

impl std::error::Error for InvalidCursor {}
