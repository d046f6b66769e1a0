//! What a list did while it was read.

use std::fmt;

/// What was noticed of a list that changed while it was read.
///
/// Pages are counted off anew for each request: a record that comes or goes
/// in between moves all those behind it, so that one may stand on two pages
/// or on none. What came twice is dropped; what came not at all can't be
/// known, so read the list again where [`ListChanges::is_empty`] is false and
/// it has to be whole. Once more, not until nothing is noticed: a list in
/// daily use may never stand still.
///
/// Nor is all noticed: one record gone as another comes at the end, between
/// two pages, leaves every number as it was.
///
/// `Display` says it in a sentence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListChanges {
    /// Records that were delivered so far.
    pub delivered: u64,
    /// Records that were dropped, since an earlier page had one of that id.
    pub duplicates: u64,
    /// Records that never came, by the total that the last page named. Known
    /// once a list was read from its first page to its end.
    pub missing: u64,
    /// The total that the first page named, if it did.
    pub total_before: Option<i64>,
    /// The total that the latest page named.
    pub total_after: Option<i64>,
    /// Whether two pages named different totals, though the first and the
    /// latest may agree.
    pub total_moved: bool,
}

impl ListChanges {
    /// Whether nothing was noticed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.duplicates == 0 && self.missing == 0 && !self.total_moved
    }

    /// Whether the total went up between the first and the latest page.
    #[must_use]
    pub fn has_grown(&self) -> bool {
        self.total_before < self.total_after
    }

    /// Whether the total went down between the first and the latest page.
    #[must_use]
    pub fn has_shrunk(&self) -> bool {
        self.total_before > self.total_after
    }
}

impl fmt::Display for ListChanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("no change of the list was noticed");
        }
        f.write_str("the list changed while it was read: ")?;
        let mut facts = Vec::new();
        if self.duplicates > 0 {
            facts.push(format!("{} came twice and were dropped", self.duplicates));
        }
        if self.missing > 0 {
            facts.push(format!("{} never came", self.missing));
        }
        match (self.total_before, self.total_after) {
            (Some(before), Some(after)) if before != after => {
                facts.push(format!("the total went from {before} to {after}"));
            }
            _ if self.total_moved => facts.push("the total moved and came back".into()),
            _ => {}
        }
        write!(f, "{}; read it again", facts.join(", "))
    }
}
