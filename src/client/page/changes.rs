//! Detection of changes to a list while it is read.

use std::fmt;

/// Changes to a list that were detected while it was read.
///
/// The server computes pages anew for each request. A record that is created or deleted between two
/// requests shifts all records after it, so that a record can appear on two pages or on none.
/// Duplicates are dropped. Records that were skipped cannot be identified, so read the list again
/// if [`ListChanges::is_empty`] is false and the result must be complete. Read it again once, not
/// until no change is detected: a list in daily use may change constantly.
///
/// Detection is not complete: if one record is deleted and another is created between two pages,
/// all counts stay the same.
///
/// `Display` summarizes the changes in one sentence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListChanges {
    /// Number of records delivered so far.
    pub delivered: u64,
    /// Number of records so far that cannot be read: see [`UnreadableRecord`]. They are no change
    /// to the list.
    ///
    /// [`UnreadableRecord`]: crate::value::UnreadableRecord
    pub unreadable: u64,
    /// Number of records dropped because an earlier page contained the same id.
    pub duplicates: u64,
    /// Number of records that were never received, according to the total on the last page. Known
    /// only after the list was read from its first page to its end.
    pub missing: u64,
    /// Total number of records according to the first page, if it states one.
    pub total_before: Option<i64>,
    /// Total number of records according to the latest page.
    pub total_after: Option<i64>,
    /// Whether two pages stated different totals, even if the first and the latest agree.
    pub total_moved: bool,
    /// Whether the list may continue after the last page that was read.
    ///
    /// This is the case if the server repeated a page that is as long as requested and states no
    /// total, or if the only response of an operation without pagination states further pages.
    pub uncertain_end: bool,
}

impl ListChanges {
    /// Returns whether no change was detected and the end is certain.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.duplicates == 0 && self.missing == 0 && !self.total_moved && !self.uncertain_end
    }

    /// Returns whether the total grew between the first and the latest page.
    #[must_use]
    pub fn has_grown(&self) -> bool {
        self.total_before < self.total_after
    }

    /// Returns whether the total shrank between the first and the latest page.
    #[must_use]
    pub fn has_shrunk(&self) -> bool {
        self.total_before > self.total_after
    }
}

impl ListChanges {
    /// Returns the number of records that were received, each counted once.
    pub(super) fn received(&self) -> u64 {
        self.delivered.saturating_add(self.unreadable)
    }
}

impl fmt::Display for ListChanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("no change to the list was detected");
        }
        let mut facts = Vec::new();
        if self.duplicates > 0 {
            facts.push(format!("duplicates dropped: {}", self.duplicates));
        }
        if self.missing > 0 {
            facts.push(format!("records missing: {}", self.missing));
        }
        match (self.total_before, self.total_after) {
            (Some(before), Some(after)) if before != after => {
                facts.push(format!("total changed from {before} to {after}"));
            }
            _ if self.total_moved => facts.push("total changed and changed back".into()),
            _ => {}
        }
        if facts.is_empty() {
            return f.write_str(UNCERTAIN_END);
        }
        let facts = facts.join(", ");
        write!(
            f,
            "the list changed while it was read: {facts}; read the list again"
        )?;
        if self.uncertain_end {
            write!(f, "; {UNCERTAIN_END}")?;
        }
        Ok(())
    }
}

const UNCERTAIN_END: &str =
    "the end of the list is uncertain: the server does not state whether more records follow";
