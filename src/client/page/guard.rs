//! Judging pages in their order: where the list goes on, what came twice,
//! and when a server leads round in circles.

use std::collections::HashSet;

use super::list::{LARGEST_PAGE, List, PageBody};
use super::{ListChanges, PageMeta};

/// How many pages in a row may hold nothing new before that is a circle.
///
/// One may, in a list that grew by a page between two requests.
const STALE_PAGES: usize = 3;

#[derive(Default)]
pub(super) struct Reader {
    pub(super) changes: ListChanges,
    /// Ids on the pages so far.
    seen: HashSet<String>,
    previous: Option<u64>,
    /// Pages in a row that held nothing new.
    stale: usize,
    /// Records that came so far, those that were dropped too.
    received: i64,
}

impl Reader {
    /// Where the list goes on after this page, `None` if it ends here.
    /// Leaves only records that no earlier page had.
    pub(super) fn read<T>(
        &mut self,
        list: &List,
        number: i64,
        answer: &mut PageBody<T>,
    ) -> Result<Option<i64>, String> {
        if let Some(reason) = answer.unreadable {
            return Err(reason.into());
        }
        let moved = self.note_total(answer.meta);
        self.refuse_a_circle(answer, moved)?;
        let length = i64::try_from(answer.items.len()).unwrap_or(i64::MAX);
        self.received = self.received.saturating_add(length);
        let next = self.next(list, number, length, answer.meta)?;
        self.keep_what_is_new(answer);
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

    /// Whether the total is another than that of the page before.
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

    fn refuse_a_circle<T>(&mut self, answer: &PageBody<T>, moved: bool) -> Result<(), String> {
        if answer.items.is_empty() {
            return Ok(());
        }
        let mut ids = answer.ids.iter();
        let known = ids.all(|id| id.as_ref().is_some_and(|id| self.seen.contains(id)));
        self.stale = if known { self.stale + 1 } else { 0 };
        let same = self.previous.replace(answer.fingerprint) == Some(answer.fingerprint);
        // Records that came in front may push a whole page onto the next.
        if same && !(known && moved) {
            return Err("it repeats the page before".into());
        }
        if self.stale >= STALE_PAGES {
            return Err(format!("{STALE_PAGES} pages in a row held nothing new"));
        }
        Ok(())
    }

    /// By what the server says, as far as it does.
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
                Err(format!("page {next} is named as the one after it"))
            };
        }
        if let Some(pages) = meta.total_pages {
            return Ok(following.filter(|_| number < pages));
        }
        if let Some(total) = meta.total_count.filter(|_| list.first == 1) {
            return Ok(following.filter(|_| self.received < total));
        }
        // A caller who wants more than the largest page gets that, and one
        // who gets more than was asked for gets all there is.
        let full = list.size.map(|size| (size.min(LARGEST_PAGE), size));
        let ends = full.is_some_and(|(full, size)| length < full || length > size);
        Ok(following.filter(|_| !ends))
    }

    fn keep_what_is_new<T>(&mut self, answer: &mut PageBody<T>) {
        let ids = std::mem::take(&mut answer.ids);
        let mut new = ids
            .iter()
            .map(|id| id.as_ref().is_none_or(|id| !self.seen.contains(id)));
        answer.items.retain(|_| new.next().unwrap_or(true));
        let kept = answer.items.len();
        let dropped = ids.len() - kept;
        self.changes.delivered += u64::try_from(kept).unwrap_or_default();
        self.changes.duplicates += u64::try_from(dropped).unwrap_or_default();
        self.seen.extend(ids.into_iter().flatten());
    }
}
