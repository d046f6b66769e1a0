//! A list as a stream of its records.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;

use super::ListChanges;
use super::pages::Pages;
use crate::error::Error;

/// The records of a list, one by one over all its pages; made by `items()` of
/// a list operation's builder.
///
/// A [`Stream`], and with [`Items::next`] also of use where no stream library
/// is. All that [`Pages`] says holds here: no request before the first poll
/// and none after the drop, 100 records a page unless `page_size` was set,
/// from `page_number` on, no record twice. The next page is requested when
/// the records of the one before are used up.
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
    /// What is left of the page that arrived last.
    page: std::vec::IntoIter<T>,
    number: Option<i64>,
}

impl<T> Pages<T> {
    /// Returns the records of the pages as one stream.
    pub fn into_items(self) -> Items<T> {
        Items {
            pages: self,
            page: Vec::new().into_iter(),
            number: None,
        }
    }
}

impl<T> Items<T> {
    /// Fetches up to this many pages at a time, and delivers their records in
    /// order all the same; see [`Pages::prefetch`].
    pub fn prefetch(mut self, pages: usize) -> Self {
        self.pages = self.pages.prefetch(pages);
        self
    }

    /// The next record, `None` at the end and after an error.
    ///
    /// Dropping the future loses nothing: the request under way is taken up
    /// by the next call.
    ///
    /// # Errors
    /// As [`Pages::next`]. What was delivered before stays good.
    pub async fn next(&mut self) -> Option<Result<T, Error>> {
        std::future::poll_fn(|context| Pin::new(&mut *self).poll_next(context)).await
    }

    /// All records that are left.
    ///
    /// It holds the whole list in memory, and an error loses what had arrived
    /// of it: for lists that are known to be short.
    ///
    /// # Errors
    /// As [`Pages::next`].
    pub async fn collect_all(&mut self) -> Result<Vec<T>, Error> {
        let mut all = Vec::new();
        while let Some(item) = self.next().await {
            all.push(item?);
        }
        Ok(all)
    }

    /// The number of the page that the latest record stood on. To resume, read
    /// from it again: some of its records may not have been taken yet.
    #[must_use]
    pub fn page_number(&self) -> Option<i64> {
        self.number
    }

    /// What was noticed so far of changes to the list.
    ///
    /// ```no_run
    /// # async fn example(client: fullscript::Client) -> Result<(), fullscript::Error> {
    /// let mut patients = client.list_patients().items().prefetch(4);
    /// let all = patients.collect_all().await?;
    /// if !patients.changes().is_empty() {
    ///     // "the list changed while it was read: 2 came twice and were
    ///     // dropped, the total went from 1000 to 998; read it again"
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

/// Records are moved, never pinned.
impl<T> Unpin for Items<T> {}

impl<T> Stream for Items<T> {
    type Item = Result<T, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(item) = self.page.next() {
                return Poll::Ready(Some(Ok(item)));
            }
            let page = match std::task::ready!(Pin::new(&mut self.pages).poll_next(context)) {
                None => return Poll::Ready(None),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                Some(Ok(page)) => page,
            };
            self.number = Some(page.number());
            self.page = page.into_iter();
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
