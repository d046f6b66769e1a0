//! How far a replay has come.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::lists::{EventList, to_seconds};

/// The form of the text, so that a later one can be told from it.
const FORM: &str = "1:";

/// How far a replay has come in each list: a few times and nothing of a
/// patient, to be kept as text or with serde.
///
/// All that happened before it is handled, as far as it had been listed. So a
/// cursor is safe to save whenever there is one, and saves the next replay
/// from reading thirty days again; an old one costs requests and nothing else.
///
/// The default is the beginning: all that the vendor still lists.
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
    /// In whole seconds since 1970, by list.
    pub(super) seconds: [Option<u64>; EventList::ALL.len()],
}

impl Cursor {
    /// How far it has come in this list; `None` if it is at the beginning.
    #[must_use]
    pub fn of(&self, list: EventList) -> Option<SystemTime> {
        let seconds = self.seconds[list.index()]?;
        SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
    }
}

/// From then on, in all lists.
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
        write!(f, "{FORM}{}", known.collect::<Vec<_>>().join(","))
    }
}

impl FromStr for Cursor {
    type Err = InvalidCursor;

    /// Reads what `Display` has written, of a later version with more lists
    /// too.
    fn from_str(text: &str) -> Result<Self, InvalidCursor> {
        let mut cursor = Self::default();
        let parts = text.strip_prefix(FORM).ok_or(InvalidCursor)?;
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

/// Says that a text is no [`Cursor`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidCursor;

impl fmt::Display for InvalidCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the text is no cursor of a replay, begin with the default one")
    }
}

impl std::error::Error for InvalidCursor {}
