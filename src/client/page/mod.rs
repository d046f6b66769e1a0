//! Paginated lists as streams of pages and of records.

mod changes;
mod collect;
mod guard;
mod items;
pub(crate) mod list;
mod pages;
mod record;

use std::fmt;

use reqwest::StatusCode;
use reqwest::header::HeaderMap;

use crate::call::response::Response;
use crate::value::{DecodeIssue, UnreadableRecord};

pub use changes::ListChanges;
pub use collect::CollectError;
pub use items::Items;
pub use pages::Pages;
pub use record::RecordJson;

use record::Places;

/// One page of a list: its records and pagination metadata.
///
/// Iterating over a page yields its records. Records that an earlier page of the same stream
/// contained are left out; [`Page::changes`] counts them.
#[derive(Clone)]
pub struct Page<T> {
    pub(crate) number: i64,
    pub(crate) next_number: Option<i64>,
    pub(crate) meta: Option<PageMeta>,
    pub(crate) changes: ListChanges,
    /// For each record that cannot be read, the number of records before it.
    pub(crate) before: Vec<usize>,
    pub(crate) unreadable: Vec<UnreadableRecord>,
    pub(crate) places: Places,
    pub(crate) response: Response<Vec<T>>,
}

/// Pagination metadata of a page, as sent by the server.
///
/// Every field may be absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PageMeta {
    /// Number of this page, from 1.
    pub current_page: Option<i64>,
    /// Number of the next page.
    pub next_page: Option<i64>,
    /// Number of the previous page.
    pub prev_page: Option<i64>,
    /// Total number of pages.
    pub total_pages: Option<i64>,
    /// Total number of records on all pages.
    pub total_count: Option<i64>,
}

impl<T> Page<T> {
    /// Returns the requested page number, from 1.
    #[must_use]
    pub fn number(&self) -> i64 {
        self.number
    }

    /// Returns the number of the next page, or `None` at the end.
    ///
    /// Pass it to `page_number` to resume there later.
    #[must_use]
    pub fn next_number(&self) -> Option<i64> {
        self.next_number
    }

    /// Returns the pagination metadata, if the server sent any.
    #[must_use]
    pub fn meta(&self) -> Option<&PageMeta> {
        self.meta.as_ref()
    }

    /// Returns the changes to the list that were detected up to this page.
    #[must_use]
    pub fn changes(&self) -> &ListChanges {
        &self.changes
    }

    /// Returns the records.
    #[must_use]
    pub fn items(&self) -> &[T] {
        &self.response
    }

    /// Returns the records of the page that cannot be read, in order; [`Page::items`] has the others.
    ///
    /// A record is reported once, as it is delivered once.
    #[must_use]
    pub fn unreadable_records(&self) -> &[UnreadableRecord] {
        &self.unreadable
    }

    /// Returns the JSON of the record at this position in [`Page::items`], as it was sent, with the
    /// fields that the models do not have.
    ///
    /// The first call on a page reads the body once more.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// # use fullscript::testing::{FakeFullscript, Script};
    /// # let fake = FakeFullscript::start().await?;
    /// # let body = serde_json::json!({"patients": [{"id": "1", "pronouns": "she"}]});
    /// # fake.answer("list_patients", Script::json(200, &body));
    /// # let client = fake.client();
    /// #[derive(serde::Deserialize)]
    /// struct Undeclared {
    ///     pronouns: Option<String>,
    /// }
    ///
    /// let mut pages = client.list_patients().pages();
    /// while let Some(page) = pages.next().await {
    ///     let page = page?;
    ///     for (position, patient) in page.items().iter().enumerate() {
    ///         let json = page.record_json(position).unwrap();
    ///         let undeclared: Undeclared = json.decode_as()?;
    ///         println!("{}: {:?}", patient.id, undeclared.pronouns);
    /// #       assert_eq!(undeclared.pronouns.as_deref(), Some("she"));
    ///     }
    /// }
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    #[must_use]
    pub fn record_json(&self, position: usize) -> Option<RecordJson<'_>> {
        let response = &self.response;
        self.places
            .json(position, response.body(), response.issues())
    }

    /// Returns where the response differs from its model; see [`Response::issues`].
    #[must_use]
    pub fn issues(&self) -> &[DecodeIssue] {
        self.response.issues()
    }

    /// Consumes the page and returns its records.
    #[must_use]
    pub fn into_items(self) -> Vec<T> {
        self.response.into_inner()
    }

    /// Returns the response that contained the page.
    #[must_use]
    pub fn response(&self) -> &Response<Vec<T>> {
        &self.response
    }

    /// Returns the HTTP status of the response.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.response.status()
    }

    /// Returns the headers of the response.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    /// Returns Fullscript's request id, if the response has one.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        self.response.request_id()
    }
}

impl<T> IntoIterator for Page<T> {
    type Item = T;
    type IntoIter = std::vec::IntoIter<T>;

    fn into_iter(self) -> Self::IntoIter {
        self.into_items().into_iter()
    }
}

impl<'p, T> IntoIterator for &'p Page<T> {
    type Item = &'p T;
    type IntoIter = std::slice::Iter<'p, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.items().iter()
    }
}

/// Shows the page's position in the list but not its records.
impl<T> fmt::Debug for Page<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Page")
            .field("number", &self.number)
            .field("items", &self.items().len())
            .field("unreadable", &self.unreadable.len())
            .field("meta", &self.meta)
            .field("request_id", &self.request_id())
            .finish_non_exhaustive()
    }
}
