//! Lists as streams: of pages, and of the records on them.

mod changes;
mod guard;
mod items;
pub(crate) mod list;
mod pages;

use std::fmt;

use reqwest::StatusCode;
use reqwest::header::HeaderMap;

use crate::call::response::Response;

pub use changes::ListChanges;
pub use items::Items;
pub use pages::Pages;

/// One page of a list: its records, and what the server said about it.
///
/// Iterating over a page gives its records. Records that an earlier page of
/// the same stream had are not among them; [`Page::changes`] counts them.
#[derive(Clone)]
pub struct Page<T> {
    pub(crate) number: i64,
    pub(crate) next_number: Option<i64>,
    pub(crate) meta: Option<PageMeta>,
    pub(crate) changes: ListChanges,
    pub(crate) response: Response<Vec<T>>,
}

/// What the server says about where a page stands in its list.
///
/// Any of it may be missing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PageMeta {
    /// The number of this page, from 1.
    pub current_page: Option<i64>,
    /// The number of the page after this one.
    pub next_page: Option<i64>,
    /// The number of the page before this one.
    pub prev_page: Option<i64>,
    /// How many pages there are.
    pub total_pages: Option<i64>,
    /// How many records there are on all pages.
    pub total_count: Option<i64>,
}

impl<T> Page<T> {
    /// The number that was asked for, from 1.
    #[must_use]
    pub fn number(&self) -> i64 {
        self.number
    }

    /// The number of the page after this one, `None` at the end. Give it to
    /// `page_number` to read on from there later.
    #[must_use]
    pub fn next_number(&self) -> Option<i64> {
        self.next_number
    }

    /// What the server says about the page, if it does.
    #[must_use]
    pub fn meta(&self) -> Option<&PageMeta> {
        self.meta.as_ref()
    }

    /// What was noticed of changes to the list, up to this page.
    #[must_use]
    pub fn changes(&self) -> &ListChanges {
        &self.changes
    }

    /// The records.
    #[must_use]
    pub fn items(&self) -> &[T] {
        &self.response
    }

    /// The records, owned.
    #[must_use]
    pub fn into_items(self) -> Vec<T> {
        self.response.into_inner()
    }

    /// The answer that the page came in.
    #[must_use]
    pub fn response(&self) -> &Response<Vec<T>> {
        &self.response
    }

    /// The answer's HTTP status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.response.status()
    }

    /// The answer's headers.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    /// The vendor's name for the call that the page came from.
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

/// Shows where the page stands, not what is on it.
impl<T> fmt::Debug for Page<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Page")
            .field("number", &self.number)
            .field("items", &self.items().len())
            .field("meta", &self.meta)
            .field("request_id", &self.request_id())
            .finish_non_exhaustive()
    }
}
