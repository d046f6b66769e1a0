//! A list as a stream of pages.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;

use super::guard::Reader;
use super::list::{Fetch, Found, List};
use super::{ListChanges, Page};
use crate::call::response::Response;
use crate::error::Trace;
use crate::error::{Error, RawResponse};

/// The most pages that are fetched at a time.
///
/// They arrive together, and so are in memory together: a few MiB.
const MOST_AT_ONCE: usize = 10;

/// The pages of a list, one after the other; made by `pages()` of a list
/// operation's builder.
///
/// A [`Stream`], and with [`Pages::next`] also of use where no stream
/// library is. Nothing is sent before the first page is asked for, and a page
/// is requested when it is asked for, not before, unless [`Pages::prefetch`]
/// says otherwise. Dropping the stream ends it, with any request under way.
/// It owns what it needs, a clone of the client among it, and so can move
/// into a task.
///
/// Pages have 100 records unless `page_size` was set. The stream begins at
/// `page_number`, if that was set: so is a list resumed, at
/// [`Page::next_number`] or at [`Error::page`].
///
/// It ends where the server says that the list does: no `next_page` and no
/// page left of `total_pages`; else at `total_count`; else after a page that
/// is not full. The last page may be empty. An error ends it too. A server
/// that leads round in circles is an error, see [`Error::is_pagination`].
///
/// The ids of all records are remembered until the stream is dropped, and a
/// record that an earlier page had is left out: see [`ListChanges`].
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
    /// The page to ask for next, `None` when there is none.
    next: Option<i64>,
    /// Pages asked for and not yet delivered, in their order.
    asked: VecDeque<(i64, Asked<T>)>,
    at_once: usize,
    /// The last page by the latest answer that said so.
    last: Option<i64>,
}

/// A page that was asked for.
#[allow(
    clippy::large_enum_variant,
    reason = "there are ten at most, and each becomes the large one"
)]
enum Asked<T> {
    Waiting(Fetch<T>),
    Arrived(Result<Response<Found<T>>, Error>),
}

impl<T> Pages<T> {
    pub(crate) fn new(list: List, fetch: impl Fn(i64) -> Fetch<T> + Send + Sync + 'static) -> Self {
        Self {
            list,
            fetch: Box::new(fetch),
            reader: Reader::default(),
            next: Some(list.first),
            asked: VecDeque::new(),
            at_once: 1,
            last: None,
        }
    }

    /// Fetches up to this many pages at a time, 10 at most, and delivers them
    /// in order all the same.
    ///
    /// The first page is fetched alone, since it says how many there are; if
    /// it does not, one page is fetched after the other. Then so many pages
    /// are fetched together, and the next ones when those are used up: while
    /// a page is worked on no request is under way, so that none holds up
    /// other calls or times out. The client's limits hold as for any calls.
    pub fn prefetch(mut self, pages: usize) -> Self {
        self.at_once = pages.clamp(1, MOST_AT_ONCE);
        self
    }

    /// The next page, `None` at the end and after an error.
    ///
    /// Dropping the future loses nothing: the request under way is taken up
    /// by the next call.
    ///
    /// # Errors
    /// As `send` of the operation; [`Error::is_pagination`] if the server
    /// leads round in circles. [`Error::page`] is the page to resume from.
    pub async fn next(&mut self) -> Option<Result<Page<T>, Error>> {
        std::future::poll_fn(|context| Pin::new(&mut *self).poll_next(context)).await
    }

    /// What was noticed so far of changes to the list.
    #[must_use]
    pub fn changes(&self) -> &ListChanges {
        &self.reader.changes
    }

    pub(super) fn list(&self) -> &List {
        &self.list
    }

    /// Asks for the next pages, once those before are delivered.
    fn ask(&mut self) {
        if !self.asked.is_empty() {
            return;
        }
        while let Some(number) = self.next.filter(|_| self.asked.len() < self.at_once) {
            let known = self.last.is_some_and(|last| number <= last);
            if !(self.asked.is_empty() || known) {
                break;
            }
            let fetch = (self.fetch)(number);
            self.asked.push_back((number, Asked::Waiting(fetch)));
            self.next = number.checked_add(1);
        }
    }

    /// Whether all that was asked for has arrived.
    fn poll_asked(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let mut all = Poll::Ready(());
        for (_, asked) in &mut self.asked {
            if let Asked::Waiting(fetch) = asked {
                match fetch.get_mut().as_mut().poll(context) {
                    Poll::Ready(arrived) => *asked = Asked::Arrived(arrived),
                    Poll::Pending => all = Poll::Pending,
                }
            }
        }
        all
    }

    fn deliver(
        &mut self,
        number: i64,
        arrived: Result<Response<Found<T>>, Error>,
    ) -> Result<Page<T>, Error> {
        let mut response = arrived?;
        let length = i64::try_from(response.items.len()).unwrap_or(i64::MAX);
        let next_number = match self.reader.read(&self.list, number, response.value_mut()) {
            Ok(next) => next,
            Err(reason) => {
                let trace = Trace {
                    attempts: response.attempts(),
                    may_have_arrived: true,
                    ..Trace::default()
                };
                let answer = RawResponse {
                    status: response.status(),
                    headers: response.headers().clone(),
                    body: bytes::Bytes::new(),
                };
                let id = self.list.operation_id;
                return Err(Error::pagination(id, reason, answer).traced(trace));
            }
        };
        let meta = response.value_mut().meta;
        match next_number {
            None => self.end(),
            Some(next) if self.asked.is_empty() => self.next = Some(next),
            // Asked for already, in the same order.
            Some(_) => {}
        }
        let told = meta.unwrap_or_default();
        // A page that is not the last is full.
        let counted = told.total_count.filter(|_| length > 0);
        let counted = counted.map(|total| total.saturating_add(length - 1) / length);
        self.last = told.total_pages.or(self.last).or(counted);
        Ok(Page {
            number,
            next_number,
            meta,
            changes: self.reader.changes,
            response: response.map(|answer| answer.items),
        })
    }

    /// Asks for no more, and drops what is under way.
    fn end(&mut self) {
        self.next = None;
        self.asked.clear();
    }
}

/// Records are moved, never pinned.
impl<T> Unpin for Pages<T> {}

impl<T> Stream for Pages<T> {
    type Item = Result<Page<T>, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.ask();
        // All of them: a request left alone while its page is worked on would
        // keep its place in the client's limits, and its time would run out.
        std::task::ready!(self.poll_asked(context));
        let Some((number, Asked::Arrived(arrived))) = self.asked.pop_front() else {
            return Poll::Ready(None);
        };
        let page = self
            .deliver(number, arrived)
            .map_err(|error| error.on_page(number));
        if page.is_err() {
            self.end();
        }
        Poll::Ready(Some(page))
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

    /// A list that answers this, whichever page is asked for.
    fn answering(list: List, body: Value) -> Pages<Value> {
        Pages::new(list, move |_| {
            let body = Ok(body.to_string().into());
            super::super::list::fetch(async move {
                let ending = Ending {
                    trace: Trace::default(),
                    outcome: Outcome::Response(http::Response::new("").into(), Some(body)),
                };
                let read = crate::call::response::read_json::<Value>(list.operation_id, ending);
                Ok(read.await?.map(|answer| OneArray(answer).into()))
            })
        })
    }

    #[tokio::test]
    async fn a_list_without_pages_is_asked_for_once_whatever_it_says() {
        let all =
            json!({"things": [{"id": 1}, {"id": 2}], "meta": {"next_page": 2, "total_pages": 9}});
        for prefetch in [1, 4] {
            let mut pages = answering(List::at_once(""), all.clone()).prefetch(prefetch);
            assert_eq!(pages.next().await.unwrap().unwrap().items().len(), 2);
            assert!(pages.next().await.is_none());
        }
        let mut items = answering(List::at_once(""), json!([1, 2, 3])).into_items();
        assert_eq!(items.collect_all().await.unwrap(), [1, 2, 3]);
        assert!(items.changes().is_empty());
    }
}
