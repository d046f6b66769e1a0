//! Validates pages in order: the next page, duplicates, the end, and pagination loops.

use std::collections::HashSet;

use super::list::{List, PageBody, Skipped};
use super::{ListChanges, PageMeta};

/// The number of consecutive pages without new records that counts as a pagination loop.
///
/// A single such page is possible if the list grew by a page between two requests.
const STALE_PAGES: usize = 3;

/// The number of consecutive empty pages after which a list that states more pages is an error.
const EMPTY_PAGES: usize = 10;

#[derive(Default)]
pub(super) struct Reader {
    pub(super) changes: ListChanges,
    /// Ids on the pages so far.
    seen: HashSet<String>,
    previous: Option<u64>,
    /// Consecutive pages without new records.
    stale: usize,
    /// Consecutive pages without records.
    empty: usize,
    /// Records received so far, including dropped duplicates.
    received: i64,
    /// The number of records of the largest page so far.
    largest: i64,
    /// Whether the next page is requested only to find the end: no response states that it exists.
    probing: bool,
}

/// What a page means for the list.
pub(super) enum Step {
    /// The page is followed by the page with this number.
    Next(i64),
    /// The page is the last one.
    Last,
    /// The page repeats records, because the page before it was the last one.
    Repeated,
}

impl Reader {
    /// Returns whether the list continues, and removes records that an earlier page contained.
    pub(super) fn read<T>(
        &mut self,
        list: &List,
        number: i64,
        page: &mut PageBody<T>,
    ) -> Result<Step, String> {
        if let Some(reason) = page.unreadable {
            return Err(reason.into());
        }
        let moved = self.note_total(page.meta);
        let length = i64::try_from(page.length()).unwrap_or(i64::MAX);
        if let Some(reason) = self.repeats(page, moved) {
            let complete = self.is_complete(list);
            if !complete && !self.probing {
                return Err(reason);
            }
            self.changes.uncertain_end |= !complete && list.is_full(length);
            self.note_missing(list);
            return Ok(Step::Repeated);
        }
        self.received = self.received.saturating_add(length);
        self.largest = self.largest.max(length);
        self.empty = if length == 0 { self.empty + 1 } else { 0 };
        self.drop_duplicates(page);
        let next = self.next(list, number, length, page.meta)?;
        if next.is_none() {
            self.note_missing(list);
        }
        Ok(next.map_or(Step::Last, Step::Next))
    }

    /// Records the total and returns whether it differs from the previous page's.
    fn note_total(&mut self, meta: Option<PageMeta>) -> bool {
        let Some(total) = meta.and_then(|meta| meta.total_count) else {
            return false;
        };
        let moved = self
            .changes
            .total_after
            .is_some_and(|before| before != total);
        self.changes.total_before.get_or_insert(total);
        self.changes.total_after = Some(total);
        self.changes.total_moved |= moved;
        moved
    }

    /// Returns why the page looks like a part of a pagination loop, if it does.
    fn repeats<T>(&mut self, page: &PageBody<T>, moved: bool) -> Option<String> {
        if page.length() == 0 {
            return None;
        }
        let mut ids = page.ids.iter();
        let known = ids.all(|id| id.as_ref().is_some_and(|id| self.seen.contains(id)))
            && page.skipped.iter().all(|at| self.seen.contains(&at.key));
        self.stale = if known { self.stale + 1 } else { 0 };
        let same = self.previous.replace(page.fingerprint) == Some(page.fingerprint);
        // Records without an id may be equal without being the same.
        let same = same && !page.is_anonymous();
        // New records at the front may push a whole page onto the next.
        if same && !(known && moved) {
            return Some("pagination loop: the page repeats the previous one".into());
        }
        (self.stale >= STALE_PAGES)
            .then(|| format!("pagination loop: {STALE_PAGES} consecutive pages had no new records"))
    }

    /// Returns the number of the next page, preferring what the server states.
    ///
    /// A `next_page` that is not after this page, such as 0 or the page itself, says nothing: it is
    /// how some servers mark the end.
    fn next(
        &mut self,
        list: &List,
        number: i64,
        length: i64,
        meta: Option<PageMeta>,
    ) -> Result<Option<i64>, String> {
        let following = number.checked_add(1);
        let meta = meta.unwrap_or_default();
        let stated = meta
            .next_page
            .filter(|next| *next > number)
            .or(following.filter(|_| meta.total_pages > Some(number)));
        if !list.paged {
            self.changes.uncertain_end |= stated.is_some() && !self.is_complete(list);
            return Ok(None);
        }
        // Some servers state a next page on every page, also behind the last one.
        let is_behind_end = length == 0 && self.is_complete(list);
        if stated.is_some() && !is_behind_end {
            if self.empty >= EMPTY_PAGES {
                return Err(format!(
                    "pagination stopped: {EMPTY_PAGES} consecutive pages are empty, although the \
                     server states more pages"
                ));
            }
            self.probing = false;
            return Ok(stated);
        }
        if length == 0 {
            return Ok(None);
        }
        let total = meta.total_count.filter(|_| list.first == 1);
        if total > Some(self.received) {
            self.probing = meta.total_pages.is_some();
            return Ok(following);
        }
        if meta.total_pages == Some(number) || total == Some(self.received) {
            return Ok(None);
        }
        // The server may cap `page_size` or ignore it, so a page is full if no earlier one is
        // larger. The first page always is.
        self.probing = true;
        Ok(following.filter(|_| length >= self.largest))
    }

    /// Returns whether all records of the stated total were delivered.
    fn is_complete(&self, list: &List) -> bool {
        let total = self.changes.total_after.filter(|_| list.first == 1);
        let total = total.and_then(|total| u64::try_from(total).ok());
        total.is_some_and(|total| self.changes.received() >= total)
    }

    /// Counts the records that are missing at the end of the list.
    fn note_missing(&mut self, list: &List) {
        if list.first == 1 {
            let total = self.changes.total_after.unwrap_or_default();
            let total = u64::try_from(total).unwrap_or_default();
            self.changes.missing = total.saturating_sub(self.changes.received());
        }
    }

    fn drop_duplicates<T>(&mut self, page: &mut PageBody<T>) {
        let length = page.length();
        let ids = std::mem::take(&mut page.ids);
        let is_new = |id: &Option<String>| id.as_ref().is_none_or(|id| !self.seen.contains(id));
        let new: Vec<bool> = ids.iter().map(is_new).collect();
        let mut rest = new.iter();
        page.items.retain(|_| rest.next().copied().unwrap_or(true));
        let mut rest = new.iter();
        page.indexes
            .retain(|_| rest.next().copied().unwrap_or(true));
        let seen = &self.seen;
        let is_repeated = |at: &Skipped| at.record.id().is_some_and(|id| seen.contains(id));
        page.skipped.retain(|at| !is_repeated(at));
        for skipped in &mut page.skipped {
            let before = new.iter().take(skipped.before);
            skipped.before = before.filter(|is_new| **is_new).count();
        }
        let count = |length| u64::try_from(length).unwrap_or_default();
        self.changes.delivered += count(page.items.len());
        self.changes.unreadable += count(page.skipped.len());
        self.changes.duplicates += count(length - page.length());
        self.seen.extend(ids.into_iter().flatten());
        let skipped = page.skipped.iter().map(|at| at.key.clone());
        self.seen.extend(skipped);
    }
}
