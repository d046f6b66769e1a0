//! Validates pages in order: the next page, duplicates, and pagination loops.

use std::collections::HashSet;

use super::list::{LARGEST_PAGE, List, PageBody};
use super::{ListChanges, PageMeta};

/// The number of consecutive pages without new records that counts as a pagination loop.
///
/// A single such page is possible if the list grew by a page between two requests.
const STALE_PAGES: usize = 3;

#[derive(Default)]
pub(super) struct Reader {
    pub(super) changes: ListChanges,
    /// Ids on the pages so far.
    seen: HashSet<String>,
    previous: Option<u64>,
    /// Consecutive pages without new records.
    stale: usize,
    /// Records received so far, including dropped duplicates.
    received: i64,
}

impl Reader {
    /// Returns the number of the next page, or `None` at the end of the list.
    ///
    /// Removes records that an earlier page contained.
    pub(super) fn read<T>(
        &mut self,
        list: &List,
        number: i64,
        page: &mut PageBody<T>,
    ) -> Result<Option<i64>, String> {
        if let Some(reason) = page.unreadable {
            return Err(reason.into());
        }
        let moved = self.note_total(page.meta);
        self.detect_loop(page, moved)?;
        let length = i64::try_from(page.items.len()).unwrap_or(i64::MAX);
        self.received = self.received.saturating_add(length);
        let next = self.next(list, number, length, page.meta)?;
        self.drop_duplicates(page);
        if next.is_none() && list.first == 1 {
            let total = self
                .changes
                .total_after
                .and_then(|total| u64::try_from(total).ok());
            let total = total.unwrap_or_default();
            self.changes.missing = total.saturating_sub(self.changes.delivered);
        }
        Ok(next)
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

    fn detect_loop<T>(&mut self, page: &PageBody<T>, moved: bool) -> Result<(), String> {
        if page.items.is_empty() {
            return Ok(());
        }
        let mut ids = page.ids.iter();
        let known = ids.all(|id| id.as_ref().is_some_and(|id| self.seen.contains(id)));
        self.stale = if known { self.stale + 1 } else { 0 };
        let same = self.previous.replace(page.fingerprint) == Some(page.fingerprint);
        // New records at the front may push a whole page onto the next.
        if same && !(known && moved) {
            return Err("pagination loop: the page repeats the previous one".into());
        }
        if self.stale >= STALE_PAGES {
            return Err(format!(
                "pagination loop: {STALE_PAGES} consecutive pages had no new records"
            ));
        }
        Ok(())
    }

    /// Returns the number of the next page, preferring what the server states.
    fn next(
        &self,
        list: &List,
        number: i64,
        length: i64,
        meta: Option<PageMeta>,
    ) -> Result<Option<i64>, String> {
        let following = number.checked_add(1);
        if !list.paged || length == 0 {
            return Ok(None);
        }
        let meta = meta.unwrap_or_default();
        if let Some(next) = meta.next_page {
            return if next > number {
                Ok(Some(next))
            } else {
                Err(format!("pagination loop: `next_page` is {next}"))
            };
        }
        if let Some(pages) = meta.total_pages {
            return Ok(following.filter(|_| number < pages));
        }
        if let Some(total) = meta.total_count.filter(|_| list.first == 1) {
            return Ok(following.filter(|_| self.received < total));
        }
        // The server may cap `page_size` at its maximum, so a page of that size is full. A page
        // larger than requested means that the server ignores `page_size` and returned everything.
        let full = list.size.map(|size| (size.min(LARGEST_PAGE), size));
        let ends = full.is_some_and(|(full, size)| length < full || length > size);
        Ok(following.filter(|_| !ends))
    }

    fn drop_duplicates<T>(&mut self, page: &mut PageBody<T>) {
        let ids = std::mem::take(&mut page.ids);
        let mut new = ids
            .iter()
            .map(|id| id.as_ref().is_none_or(|id| !self.seen.contains(id)));
        page.items.retain(|_| new.next().unwrap_or(true));
        let kept = page.items.len();
        let dropped = ids.len() - kept;
        self.changes.delivered += u64::try_from(kept).unwrap_or_default();
        self.changes.duplicates += u64::try_from(dropped).unwrap_or_default();
        self.seen.extend(ids.into_iter().flatten());
    }
}
