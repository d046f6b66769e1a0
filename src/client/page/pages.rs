//! A stream of the pages of a list.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::OnceLock;
use std::task::{Context, Poll};

use futures_core::Stream;

use super::guard::{Reader, Step};
use super::list::{Fetch, List, PageBody};
use super::record::Places;
use super::{ListChanges, Page};
use crate::call::response::Response;
use crate::error::Trace;
use crate::error::{Error, RawResponse};
use crate::value::UnreadableRecord;

/// The maximum number of pages that are fetched concurrently.
///
/// They are held in memory together, which takes a few MiB.
const MAX_PREFETCH: usize = 10;

/// A stream of the pages of a list; returned by `pages()` of a list operation's request builder.
///
/// [`Pages::next`] reads it without a stream library. No request is sent before the stream is
/// polled. Each page is requested when it is polled for, unless [`Pages::prefetch`] sets otherwise.
/// Dropping the stream cancels the requests in flight. The stream owns its data, including a clone
/// of the client, so it can move into a task.
///
/// Pages have 100 records unless `page_size` was set. The stream begins at page 1 unless
/// `page_number` was set. To resume a list, set `page_number` to [`Page::next_number`] or to
/// [`Error::page`].
///
/// The stream ends where the server states the end of the list. It uses, in this order:
/// `next_page`, `total_pages`, `total_count`, and a page that is shorter than an earlier one. If
/// the server states nothing, the stream reads on until a page is empty or repeats the previous
/// one; [`ListChanges::uncertain_end`] reports such an end if it is uncertain. An empty page is not
/// the end if the server states more pages. The last page may be empty.
///
/// An error also ends the stream. A pagination loop is an error, and so are 10 consecutive empty
/// pages of a list that states more pages; see [`Error::is_pagination`].
///
/// A record that cannot be read is left out of its page: see [`Page::unreadable_records`].
///
/// The stream remembers the ids of all records until it is dropped, and leaves out records that an
/// earlier page contained: see [`ListChanges`].
///
/// ```no_run
/// # async fn example(client: fullscript::Client) -> Result<(), fullscript::Error> {
/// let mut pages = client.list_patients().pages();
/// while let Some(page) = pages.next().await {
///     let page = page?;
///     println!("page {}: {} patients", page.number(), page.items().len());
/// }
/// if !pages.changes().is_empty() {
///     println!("{}", pages.changes());
/// }
/// # Ok(())
/// # }
/// ```
#[must_use = "a stream does nothing unless it is polled"]
pub struct Pages<T> {
    list: List,
    fetch: Box<dyn Fn(i64) -> Fetch<T> + Send + Sync>,
    reader: Reader,
    /// The next page to request, or `None` after the last one.
    next: Option<i64>,
    /// Pages requested but not yet delivered, in order.
    requested: VecDeque<(i64, Requested<T>)>,
    prefetch: usize,
    /// The last page, according to the latest response that states it.
    last: Option<i64>,
}

/// A requested page.
#[allow(
    clippy::large_enum_variant,
    reason = "there are at most ten, and each becomes the large variant"
)]
enum Requested<T> {
    Waiting(Fetch<T>),
    Arrived(Result<Response<PageBody<T>>, Error>),
}

impl<T> Pages<T> {
    pub(crate) fn new(list: List, fetch: impl Fn(i64) -> Fetch<T> + Send + Sync + 'static) -> Self {
        Self {
            list,
            fetch: Box::new(fetch),
            reader: Reader::default(),
            next: Some(list.first),
            requested: VecDeque::new(),
            prefetch: 1,
            last: None,
        }
    }

    /// Fetches up to this many pages concurrently and still delivers them in order. Default: 1;
    /// maximum: 10.
    ///
    /// The first page is fetched alone, because it states the number of pages. If it does not,
    /// pages are fetched one after the other. After that, each batch of pages is fetched together,
    /// and the next batch when the previous one is used up. No request is in flight while a page is
    /// processed, so slow processing neither blocks other calls nor causes a timeout. The client's
    /// limits apply as for any calls.
    pub fn prefetch(mut self, pages: usize) -> Self {
        self.prefetch = pages.clamp(1, MAX_PREFETCH);
        self
    }

    /// Returns the next page, or `None` at the end and after an error.
    ///
    /// Cancel safe: if the future is dropped, the next call continues with the request in flight.
    ///
    /// # Errors
    /// Returns the errors of `send` of the operation, and [`Error::is_pagination`] for a pagination
    /// loop. [`Error::page`] is the page to resume from.
    pub async fn next(&mut self) -> Option<Result<Page<T>, Error>> {
        std::future::poll_fn(|context| Pin::new(&mut *self).poll_next(context)).await
    }

    /// Returns the changes to the list that were detected so far.
    #[must_use]
    pub fn changes(&self) -> &ListChanges {
        &self.reader.changes
    }

    pub(super) fn list(&self) -> &List {
        &self.list
    }

    /// Requests the next batch of pages once the previous batch is delivered.
    fn request(&mut self) {
        if !self.requested.is_empty() {
            return;
        }
        while let Some(number) = self.next.filter(|_| self.requested.len() < self.prefetch) {
            let known = self.last.is_some_and(|last| number <= last);
            if !(self.requested.is_empty() || known) {
                break;
            }
            let fetch = (self.fetch)(number);
            self.requested
                .push_back((number, Requested::Waiting(fetch)));
            self.next = number.checked_add(1);
        }
    }

    /// Polls the requested pages; ready when all have arrived.
    fn poll_requested(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let mut all = Poll::Ready(());
        for (_, requested) in &mut self.requested {
            if let Requested::Waiting(fetch) = requested {
                match fetch.get_mut().as_mut().poll(context) {
                    Poll::Ready(arrived) => *requested = Requested::Arrived(arrived),
                    Poll::Pending => all = Poll::Pending,
                }
            }
        }
        all
    }

    /// Returns the page, or `None` if it only repeats the last one.
    fn deliver(
        &mut self,
        number: i64,
        arrived: Result<Response<PageBody<T>>, Error>,
    ) -> Result<Option<Page<T>>, Error> {
        let mut response = arrived?;
        let mut unreadable = response.unreadable_records().to_vec();
        unreadable.sort_by_key(UnreadableRecord::index);
        response.value_mut().skip(&unreadable);
        let length = i64::try_from(response.length()).unwrap_or(i64::MAX);
        let next_number = match self.reader.read(&self.list, number, response.value_mut()) {
            Ok(Step::Next(next)) => Some(next),
            Ok(Step::Last) => None,
            Ok(Step::Repeated) => return Ok(None),
            Err(reason) => {
                let trace = Trace {
                    attempts: response.attempts(),
                    may_have_arrived: true,
                    ..Trace::default()
                };
                let answer = RawResponse::without_body(response.status(), response.headers());
                let id = self.list.operation_id;
                return Err(Error::pagination(id, reason, answer).traced(trace));
            }
        };
        let meta = response.value_mut().meta;
        match next_number {
            None => self.end(),
            Some(next) if self.requested.is_empty() => self.next = Some(next),
            // The next page was already requested.
            Some(_) => {}
        }
        let skipped = std::mem::take(&mut response.value_mut().skipped);
        let skipped = skipped.into_iter().map(|at| (at.before, at.record));
        let (before, unreadable) = skipped.unzip();
        let stated = meta.unwrap_or_default();
        // Every page but the last is full.
        let counted = stated.total_count.filter(|_| length > 0);
        let counted = counted.map(|total| total.saturating_add(length - 1) / length);
        self.last = stated.total_pages.or(self.last).or(counted);
        Ok(Some(Page {
            number,
            next_number,
            meta,
            changes: self.reader.changes,
            before,
            unreadable,
            places: Places {
                list: self.list.records,
                indexes: std::mem::take(&mut response.value_mut().indexes),
                spans: OnceLock::new(),
            },
            response: response.map(|body| body.items),
        }))
    }

    /// Ends the stream and drops the requests in flight.
    fn end(&mut self) {
        self.next = None;
        self.requested.clear();
    }
}

/// Records are moved and never pinned.
impl<T> Unpin for Pages<T> {}

impl<T> Stream for Pages<T> {
    type Item = Result<Page<T>, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.request();
        // Waits for the whole batch. A request that is not polled while a page is processed would
        // keep its place in the concurrency limit and could time out.
        std::task::ready!(self.poll_requested(context));
        let Some((number, Requested::Arrived(arrived))) = self.requested.pop_front() else {
            return Poll::Ready(None);
        };
        let page = self
            .deliver(number, arrived)
            .map_err(|error| error.on_page(number))
            .transpose();
        if !matches!(page, Some(Ok(_))) {
            self.end();
        }
        Poll::Ready(page)
    }
}

impl<T> fmt::Debug for Pages<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pages")
            .field("operation_id", &self.list.operation_id)
            .field("next", &self.next)
            .field("changes", &self.reader.changes)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::list::OneArray;
    use super::*;
    use crate::call::outcome::{Ending, Outcome};

    /// Returns a list whose every page is this response.
    fn responding(list: List, body: Value) -> Pages<Value> {
        Pages::new(list, move |_| {
            let body = Ok(body.to_string().into());
            super::super::list::fetch(async move {
                let ending = Ending {
                    trace: Trace::default(),
                    outcome: Outcome::Response(http::Response::new("").into(), Some(body)),
                    strict: false,
                };
                let read = crate::call::response::read_json::<Value>(list.operation_id, ending);
                let Ok(read) = read else {
                    unreachable!("the body is complete");
                };
                Ok(read?.map(|body| OneArray(body).into()))
            })
        })
    }

    const ALL: List = List {
        operation_id: "",
        paged: false,
        first: 1,
        size: None,
        records: None,
    };

    #[tokio::test]
    async fn a_list_that_is_not_paginated_is_requested_once() {
        let all =
            json!({"things": [{"id": 1}, {"id": 2}], "meta": {"next_page": 2, "total_pages": 9}});
        for prefetch in [1, 4] {
            let mut pages = responding(ALL, all.clone()).prefetch(prefetch);
            assert_eq!(pages.next().await.unwrap().unwrap().items().len(), 2);
            assert!(pages.next().await.is_none());
            assert!(pages.changes().uncertain_end);
        }
        let mut items = responding(ALL, json!([1, 2, 3])).into_items();
        assert_eq!(items.collect_all().await.unwrap(), [1, 2, 3]);
        assert!(items.changes().is_empty());
    }
}
