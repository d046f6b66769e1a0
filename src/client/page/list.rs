//! What the generated code tells of a list operation.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::pin::Pin;

use serde::Serialize;
use serde_json::Value;
use sync_wrapper::SyncWrapper;

use super::PageMeta;
use crate::call::response::Response;
use crate::error::Error;

/// The vendor's largest page, in records.
pub(crate) const LARGEST_PAGE: i64 = 100;

/// A request for one page in flight. Only polled, so that it can be shared between threads.
pub(crate) type Fetch<T> =
    SyncWrapper<Pin<Box<dyn Future<Output = Result<Response<PageBody<T>>, Error>> + Send>>>;

/// Boxes a request for one page.
pub(crate) fn fetch<T>(
    request: impl Future<Output = Result<Response<PageBody<T>>, Error>> + Send + 'static,
) -> Fetch<T> {
    SyncWrapper::new(Box::pin(request))
}

/// Which list, and what of it.
#[derive(Clone, Copy)]
pub(crate) struct List {
    pub(crate) operation_id: &'static str,
    /// Whether it answers in pages; others answer all at once.
    pub(crate) paged: bool,
    /// The page to begin with.
    pub(crate) first: i64,
    /// How many records a page is to have, if that can be asked for.
    pub(crate) size: Option<i64>,
}

impl List {
    pub(crate) fn in_pages(operation_id: &'static str, first: i64, size: Option<i64>) -> Self {
        Self {
            operation_id,
            paged: true,
            first,
            size,
        }
    }

    #[allow(dead_code, reason = "the document may have none but paged lists")]
    pub(crate) fn at_once(operation_id: &'static str) -> Self {
        Self {
            operation_id,
            paged: false,
            first: 1,
            size: None,
        }
    }
}

/// What one page's answer holds, whatever its type.
pub(crate) struct PageBody<T> {
    pub(super) items: Vec<T>,
    pub(super) ids: Vec<Option<String>>,
    /// The same for two pages with the same records.
    pub(super) fingerprint: u64,
    pub(super) meta: Option<PageMeta>,
    /// Why there are no items, where the answer holds no list.
    pub(super) unreadable: Option<&'static str>,
}

impl<T: Serialize> PageBody<T> {
    /// `id` gives a record's own id, by which it is known on another page.
    pub(crate) fn new(items: Vec<T>, id: fn(&T) -> Option<String>, meta: Option<PageMeta>) -> Self {
        let ids: Vec<_> = items.iter().map(id).collect();
        let mut hasher = DefaultHasher::new();
        if ids.iter().all(Option::is_some) {
            ids.hash(&mut hasher);
        } else {
            // Nothing of a model fails to be written; if it did, two such
            // pages would pass for the same, which ends in an error.
            let text = serde_json::to_vec(&items).unwrap_or_default();
            text.hash(&mut hasher);
        }
        Self {
            items,
            ids,
            fingerprint: hasher.finish(),
            meta,
            unreadable: None,
        }
    }
}

/// An answer of unknown shape: a list, or an object with one.
#[allow(dead_code, reason = "the document may tell the shape of every list")]
pub(crate) struct OneArray(pub(crate) Value);

impl From<OneArray> for PageBody<Value> {
    fn from(OneArray(answer): OneArray) -> Self {
        let (meta, mut lists) = match answer {
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
            0 => Some("the answer holds no list"),
            1 => None,
            _ => Some("the answer holds more than one list"),
        };
        let id = |item: &Value| id_of(item.get("id"));
        Self {
            unreadable,
            ..Self::new(lists.pop().unwrap_or_default(), id, self::meta(&meta))
        }
    }
}

/// An id, unless it is empty: the server's ids are kept as they come.
pub(crate) fn known(id: &str) -> Option<String> {
    Some(id.to_string()).filter(|id| !id.is_empty())
}

/// An id in a record of unknown shape.
pub(crate) fn id_of(id: Option<&Value>) -> Option<String> {
    match id? {
        Value::String(id) => known(id),
        Value::Number(id) => Some(id.to_string()),
        _ => None,
    }
}

/// What of a page's `meta` is known here, whatever its type.
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
