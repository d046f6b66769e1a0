//! A record of a list that cannot be read.

use std::fmt;
use std::sync::Arc;

use super::DecodeIssue;

/// A record of a list that cannot be read, because its own id is missing or because it is not an
/// object. The other records of the list are not affected.
///
/// `Debug` shows the index and the cause, and no data of the record.
#[derive(Clone)]
pub struct UnreadableRecord {
    pub(crate) index: usize,
    pub(crate) id: Option<Box<str>>,
    pub(crate) json: Arc<[u8]>,
    pub(crate) cause: DecodeIssue,
}

impl UnreadableRecord {
    /// Returns the index of the record in the list as it was sent, from 0.
    #[must_use]
    pub fn index(&self) -> usize {
        self.index
    }

    /// Returns the record's id, if it has one that is text or a number.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// Returns the part of the response body that contains the record, as it was sent.
    ///
    /// It may contain health data: keep it out of logs. It may not be valid JSON.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.json
    }

    /// Returns why the record cannot be read.
    #[must_use]
    pub fn cause(&self) -> &DecodeIssue {
        &self.cause
    }
}

impl fmt::Debug for UnreadableRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnreadableRecord")
            .field("index", &self.index)
            .field("cause", &self.cause)
            .finish_non_exhaustive()
    }
}
