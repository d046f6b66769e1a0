//! The JSON of the records of a page.

use std::fmt;
use std::ops::Range;
use std::sync::OnceLock;

use serde::de::DeserializeOwned;

use crate::call::decode::decode_as;
use crate::value::{DecodeIssue, json};

/// The JSON of one record of a list, as it was sent; returned by
/// [`Page::record_json`](super::Page::record_json) and
/// [`Items::record_json`](super::Items::record_json).
///
/// `Debug` shows the index and the number of issues.
#[derive(Clone, Copy)]
pub struct RecordJson<'r> {
    list: Option<&'static str>,
    index: usize,
    body: &'r [u8],
    issues: &'r [DecodeIssue],
}

impl<'r> RecordJson<'r> {
    /// Returns the index of the record in the list as it was sent, from 0.
    #[must_use]
    pub fn index(&self) -> usize {
        self.index
    }

    /// Returns the part of the response body that contains the record.
    ///
    /// It contains fields that the models do not have, and may contain health data: keep it out of
    /// logs.
    #[must_use]
    pub fn body(&self) -> &'r [u8] {
        self.body
    }

    /// Decodes the record into a type of yours, for example to read a field that the models do not
    /// have yet; see [`Response::decode_as`](crate::Response::decode_as).
    ///
    /// # Errors
    /// Returns the first issue that leaves nothing to decode, with its path in the record.
    pub fn decode_as<U: DeserializeOwned>(&self) -> Result<U, DecodeIssue> {
        decode_as(self.body)
    }

    /// Returns where the record differs from its model, with paths in the response:
    /// `patients[3].discount`.
    pub fn issues(&self) -> impl Iterator<Item = &'r DecodeIssue> + use<'r> {
        let Self { list, index, .. } = *self;
        let own = move |issue: &DecodeIssue| {
            let (name, rest) = issue.path.split_once('[')?;
            let (own, _) = rest.split_once(']')?;
            let is_list = list.is_none_or(|list| list == name);
            (is_list && own.parse() == Ok(index)).then_some(())
        };
        self.issues.iter().filter(move |issue| own(issue).is_some())
    }
}

impl fmt::Debug for RecordJson<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordJson")
            .field("index", &self.index)
            .field("issues", &self.issues().count())
            .finish_non_exhaustive()
    }
}

/// Where the records of a page are in its response.
#[derive(Clone)]
pub(crate) struct Places {
    /// The field of the response that is the list, if the document declares it.
    pub(super) list: Option<&'static str>,
    /// The index of each record in the list as it was sent.
    pub(super) indexes: Vec<usize>,
    /// The place of each record in the body, once it is asked for.
    pub(super) spans: OnceLock<Vec<Range<usize>>>,
}

impl Places {
    /// Returns the JSON of the record at this position among those that can be read.
    pub(super) fn json<'r>(
        &self,
        position: usize,
        body: &'r [u8],
        issues: &'r [DecodeIssue],
    ) -> Option<RecordJson<'r>> {
        let index = *self.indexes.get(position)?;
        let spans = self.spans.get_or_init(|| json::records(body, self.list));
        Some(RecordJson {
            list: self.list,
            index,
            body: body.get(spans.get(index)?.clone())?,
            issues,
        })
    }
}
