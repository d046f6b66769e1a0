//! A stream of the records of a list.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;

use super::pages::Pages;
use super::record::Places;
use super::{CollectError, ListChanges, RecordJson};
use crate::call::response::Response;
use crate::error::Error;
use crate::value::{DecodeIssue, DecodeIssueKind, UnreadableRecord};

/// A stream of the records of a list, across all pages; returned by `items()` of a list operation's
/// request builder.
///
/// [`Items::next`] reads it without a stream library. Everything in the documentation of [`Pages`]
/// applies: no request before the first poll and none after the drop, 100 records per page unless
/// `page_size` was set, starting at `page_number`, and no record twice. The next page is requested
/// when the records of the previous one are used up.
///
/// ```no_run
/// # async fn example(client: fullscript::Client) -> Result<(), fullscript::Error> {
/// let mut patients = client.list_patients().items();
/// while let Some(patient) = patients.next().await {
///     println!("{}", patient?.id);
/// }
/// # Ok(())
/// # }
/// ```
#[must_use = "a stream does nothing unless it is polled"]
pub struct Items<T> {
    pages: Pages<T>,
    /// Remaining records of the latest page.
    page: std::vec::IntoIter<T>,
    /// Remaining records of the latest page that cannot be read, each with the number of remaining
    /// records after it.
    unreadable: VecDeque<(usize, UnreadableRecord)>,
    number: Option<i64>,
    /// The response of the latest page, and the places of its records.
    source: Option<(Response<()>, Places)>,
    /// The position of the latest record on its page.
    latest: Option<usize>,
}

impl<T> Pages<T> {
    /// Returns the records of the pages as one stream.
    pub fn into_items(self) -> Items<T> {
        Items {
            pages: self,
            page: Vec::new().into_iter(),
            unreadable: VecDeque::new(),
            number: None,
            source: None,
            latest: None,
        }
    }
}

impl<T> Items<T> {
    /// Fetches up to this many pages concurrently and still delivers their records in order; see
    /// [`Pages::prefetch`].
    pub fn prefetch(mut self, pages: usize) -> Self {
        self.pages = self.pages.prefetch(pages);
        self
    }

    /// Returns the next record, or `None` at the end.
    ///
    /// A record that cannot be read is an error with [`Error::is_record_unreadable`], and the next
    /// call returns the record after it. Any other error ends the stream.
    ///
    /// Cancel safe: if the future is dropped, the next call continues with the request in flight.
    ///
    /// # Errors
    /// Returns the errors of [`Pages::next`]. Records that were already delivered remain valid.
    pub async fn next(&mut self) -> Option<Result<T, Error>> {
        std::future::poll_fn(|context| Pin::new(&mut *self).poll_next(context)).await
    }

    /// Returns the JSON of the record that [`Items::next`] returned last, as it was sent, with the
    /// fields that the models do not have; see [`Page::record_json`](super::Page::record_json).
    ///
    /// It is `None` after an error, whose [`Error::body`] has the record if it cannot be read, and at
    /// the end.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// # use fullscript::testing::{FakeFullscript, Script};
    /// # let fake = FakeFullscript::start().await?;
    /// # let body = serde_json::json!({"patients": [{"id": "1", "pronouns": 5, "discount": []}]});
    /// # fake.answer("list_patients", Script::json(200, &body));
    /// # let client = fake.client();
    /// let mut patients = client.list_patients().items();
    /// while let Some(patient) = patients.next().await {
    ///     let patient = patient?;
    ///     let json = patients.record_json().unwrap();
    ///     let fields: serde_json::Value = json.decode_as()?;
    ///     println!("{}: {}", patient.id, fields["pronouns"]);
    ///     for issue in json.issues() {
    ///         // `patients[0].discount`: expected text, a number or a boolean, found a list
    ///         eprintln!("{issue}");
    ///     }
    /// #   assert_eq!((fields["pronouns"].as_i64(), json.issues().count()), (Some(5), 1));
    /// }
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    #[must_use]
    pub fn record_json(&self) -> Option<RecordJson<'_>> {
        let (response, places) = self.source.as_ref()?;
        places.json(self.latest?, response.body(), response.issues())
    }

    /// Returns the error for the latest record if it lacks a field that its user requires.
    pub(crate) fn without(&self, field: &str) -> Option<Error> {
        let json = self.record_json()?;
        let (list, index) = (self.pages.list().records.unwrap_or("*"), json.index());
        let cause = DecodeIssue {
            path: format!("{list}[{index}].{field}"),
            kind: DecodeIssueKind::Missing,
        };
        let record = UnreadableRecord {
            index,
            id: None,
            json: json.body().into(),
            cause,
        };
        self.unreadable_error(record)
    }

    /// Returns the error for a record of the latest page that cannot be read.
    fn unreadable_error(&self, record: UnreadableRecord) -> Option<Error> {
        let (response, _) = self.source.as_ref()?;
        let id = self.pages.list().operation_id;
        let head = (response.status(), response.headers());
        let error = Error::record_unreadable(id, record, head, response.attempts());
        Some(error.on_page(self.number?))
    }

    /// Collects all remaining records.
    ///
    /// The whole list is held in memory. Use it for lists that are known to be short.
    ///
    /// # Errors
    /// Returns a [`CollectError`] with the error of [`Pages::next`] and the records that were
    /// received before it. `?` converts it to an [`Error`] and discards the records.
    ///
    /// A record that cannot be read is such an error, too ([`Error::is_record_unreadable`]). The
    /// stream does not end with it: keep the records, and call `collect_all` again for those after
    /// it.
    pub async fn collect_all(&mut self) -> Result<Vec<T>, CollectError<T>> {
        let mut all = Vec::new();
        while let Some(item) = self.next().await {
            match item {
                Ok(record) => all.push(record),
                Err(error) => return Err(CollectError::new(all, error)),
            }
        }
        Ok(all)
    }

    /// Returns the number of the page that contained the latest record.
    ///
    /// To resume, read from this page again: some of its records may not have been taken yet.
    #[must_use]
    pub fn page_number(&self) -> Option<i64> {
        self.number
    }

    /// Returns the changes to the list that were detected so far.
    ///
    /// ```no_run
    /// # async fn example(client: fullscript::Client) -> Result<(), fullscript::Error> {
    /// let mut patients = client.list_patients().items().prefetch(4);
    /// let all = patients.collect_all().await?;
    /// if !patients.changes().is_empty() {
    ///     // "the list changed while it was read: duplicates dropped: 2,
    ///     // total changed from 1000 to 998; read the list again"
    ///     eprintln!("{}", patients.changes());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn changes(&self) -> &ListChanges {
        self.pages.changes()
    }
}

/// Records are moved and never pinned.
impl<T> Unpin for Items<T> {}

impl<T> Stream for Items<T> {
    type Item = Result<T, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            let left = self.page.len();
            self.latest = None;
            let is_next = |(after, _): &(usize, UnreadableRecord)| *after >= left;
            if self.unreadable.front().is_some_and(is_next)
                && let Some((_, record)) = self.unreadable.pop_front()
                && let Some(error) = self.unreadable_error(record)
            {
                return Poll::Ready(Some(Err(error)));
            }
            if let Some(item) = self.page.next() {
                let places = self.source.as_ref().map(|(_, places)| places);
                self.latest = places.map(|places| places.indexes.len() - left);
                return Poll::Ready(Some(Ok(item)));
            }
            let page = match std::task::ready!(Pin::new(&mut self.pages).poll_next(context)) {
                None => return Poll::Ready(None),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                Some(Ok(page)) => page,
            };
            self.number = Some(page.number());
            let length = page.items().len();
            let after = page.before.iter().map(|before| length - before);
            self.unreadable = after.zip(page.unreadable).collect();
            let mut response = page.response;
            self.page = std::mem::take(response.value_mut()).into_iter();
            self.source = Some((response.map(drop), page.places));
        }
    }
}

impl<T> fmt::Debug for Items<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Items")
            .field("operation_id", &self.pages.list().operation_id)
            .field("page_number", &self.number)
            .field("changes", self.changes())
            .finish_non_exhaustive()
    }
}
