//! The interface between generated list operations and pagination.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::pin::Pin;

use serde::Serialize;
use serde_json::Value;
use sync_wrapper::SyncWrapper;

use super::PageMeta;
use crate::call::response::Response;
use crate::error::Error;
use crate::value::UnreadableRecord;

/// The API's maximum page size, in records.
pub(crate) const LARGEST_PAGE: i64 = 100;

/// An in-flight request for one page. `SyncWrapper` makes it `Sync`, because it is only polled.
pub(crate) type Fetch<T> =
    SyncWrapper<Pin<Box<dyn Future<Output = Result<Response<PageBody<T>>, Error>> + Send>>>;

/// Boxes a request for one page.
pub(crate) fn fetch<T>(
    request: impl Future<Output = Result<Response<PageBody<T>>, Error>> + Send + 'static,
) -> Fetch<T> {
    SyncWrapper::new(Box::pin(request))
}

/// The list to read and the pages to read from it.
#[derive(Clone, Copy)]
pub(crate) struct List {
    pub(crate) operation_id: &'static str,
    /// Whether the list is paginated; other lists are returned in one response.
    pub(crate) paged: bool,
    /// The first page to read.
    pub(crate) first: i64,
    /// Requested page size, if the operation has `page_size`.
    pub(crate) size: Option<i64>,
    /// The field of the response that is the list, if the document declares it.
    pub(crate) records: Option<&'static str>,
}

impl List {
    /// Returns whether a page of this length has as many records as were requested.
    ///
    /// The server may cap `page_size` at its maximum.
    pub(super) fn is_full(&self, length: i64) -> bool {
        self.size
            .is_none_or(|size| length == size || length == size.min(LARGEST_PAGE))
    }
}

/// The content of one page, independent of its response type.
pub(crate) struct PageBody<T> {
    pub(super) items: Vec<T>,
    pub(super) ids: Vec<Option<String>>,
    /// The index of each record in the list as it was sent.
    pub(super) indexes: Vec<usize>,
    /// Records that cannot be read.
    pub(super) skipped: Vec<Skipped>,
    /// Equal for two pages with the same records.
    pub(super) fingerprint: u64,
    pub(super) meta: Option<PageMeta>,
    /// Why the response cannot be read as a list, if so.
    pub(super) unreadable: Option<&'static str>,
}

/// A record of a page that cannot be read.
pub(super) struct Skipped {
    pub(super) record: UnreadableRecord,
    /// The number of records before it that can be read.
    pub(super) before: usize,
    /// The id of the record, or a hash of its content.
    pub(super) key: String,
}

impl<T> PageBody<T> {
    /// Adds the records that cannot be read, in the order of their indexes.
    pub(super) fn skip(&mut self, records: &[UnreadableRecord]) {
        for (earlier, record) in records.iter().enumerate() {
            let mut hasher = DefaultHasher::new();
            record.body().hash(&mut hasher);
            let hash = hasher.finish();
            self.fingerprint = self.fingerprint.rotate_left(1) ^ hash;
            self.skipped.push(Skipped {
                record: record.clone(),
                before: record.index().saturating_sub(earlier),
                // No id contains a zero byte.
                key: record.id().map_or_else(|| format!("\0{hash}"), Into::into),
            });
        }
        let is_skipped = |index: &usize| records.iter().any(|record| record.index() == *index);
        let indexes = (0..).filter(|index| !is_skipped(index));
        self.indexes = indexes.take(self.items.len()).collect();
    }

    /// Returns whether no record of the page can be told from an equal record of another page.
    pub(super) fn is_anonymous(&self) -> bool {
        let has_no_id = |skipped: &Skipped| skipped.record.id().is_none();
        self.items.is_empty() && self.skipped.iter().all(has_no_id)
    }

    /// Returns the number of records on the page as it was sent.
    pub(super) fn length(&self) -> usize {
        self.items.len() + self.skipped.len()
    }
}

impl<T: Serialize> PageBody<T> {
    /// `id` returns a record's own id, which identifies it across pages.
    pub(crate) fn new(items: Vec<T>, id: fn(&T) -> Option<String>, meta: Option<PageMeta>) -> Self {
        let ids: Vec<_> = items.iter().map(id).collect();
        let mut hasher = DefaultHasher::new();
        if ids.iter().all(Option::is_some) {
            ids.hash(&mut hasher);
        } else {
            // Serializing a model does not fail. If it did, two such pages would look equal, which
            // ends in an error.
            let text = serde_json::to_vec(&items).unwrap_or_default();
            text.hash(&mut hasher);
        }
        Self {
            items,
            ids,
            indexes: Vec::new(),
            skipped: Vec::new(),
            fingerprint: hasher.finish(),
            meta,
            unreadable: None,
        }
    }
}

/// A response of unknown shape: an array, or an object with exactly one array.
#[allow(
    dead_code,
    reason = "used by the generated code for lists that the document does not describe"
)]
pub(crate) struct OneArray(pub(crate) Value);

impl From<OneArray> for PageBody<Value> {
    fn from(OneArray(body): OneArray) -> Self {
        let (meta, mut lists) = match body {
            Value::Array(list) => (Value::Null, vec![list]),
            Value::Object(mut fields) => {
                let meta = fields.remove("meta").unwrap_or_default();
                let lists = fields.into_iter().filter_map(|(_, value)| match value {
                    Value::Array(list) => Some(list),
                    _ => None,
                });
                (meta, lists.collect())
            }
            _ => (Value::Null, Vec::new()),
        };
        let unreadable = match lists.len() {
            0 => Some("the response contains no list"),
            1 => None,
            _ => Some("the response contains more than one list"),
        };
        let id = |item: &Value| id_of(item.get("id"));
        Self {
            unreadable,
            ..Self::new(lists.pop().unwrap_or_default(), id, self::meta(&meta))
        }
    }
}

/// Returns an id unless it is empty. Ids from the server are kept unchanged.
pub(crate) fn known(id: &str) -> Option<String> {
    Some(id.to_string()).filter(|id| !id.is_empty())
}

/// Returns the id of a record of unknown shape.
pub(crate) fn id_of(id: Option<&Value>) -> Option<String> {
    match id? {
        Value::String(id) => known(id),
        Value::Number(id) => Some(id.to_string()),
        _ => None,
    }
}

/// Reads the known fields of a page's `meta`, independent of its type.
pub(crate) fn meta<M: Serialize>(meta: &M) -> Option<PageMeta> {
    let meta = serde_json::to_value(meta).ok()?;
    let fields = meta.as_object()?;
    let number = |name: &str| match fields.get(name)? {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    Some(PageMeta {
        current_page: number("current_page"),
        next_page: number("next_page"),
        prev_page: number("prev_page"),
        total_pages: number("total_pages"),
        total_count: number("total_count"),
    })
}
