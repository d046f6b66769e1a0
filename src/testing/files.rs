//! Files that the fake serves.

use std::collections::HashMap;
use std::sync::{Mutex, OnceLock};

use bytes::Bytes;
use url::Url;

use crate::lock::lock;

/// The smallest document that a PDF viewer shows: one empty page.
pub(super) const PDF: &[u8] = b"%PDF-1.4\n\
1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n\
2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n\
3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 300 400]>>endobj\n\
trailer<</Root 1 0 R>>\n%%EOF\n";

/// The files of a fake, by path.
#[derive(Default)]
pub(super) struct Files {
    /// The URL of the server, set when it starts.
    base: OnceLock<Url>,
    stored: Mutex<HashMap<String, Bytes>>,
}

impl Files {
    /// Sets the URL of the server.
    pub(super) fn serve_at(&self, base: Url) {
        let _is_first = self.base.set(base);
    }

    /// Adds or replaces a file, and returns its URL.
    pub(super) fn add(&self, path: &str, content: impl Into<Bytes>) -> String {
        let url = self.url(path);
        lock(&self.stored).insert(url.path().into(), content.into());
        url.into()
    }

    /// Removes the file of a path or a URL.
    pub(super) fn remove(&self, path_or_url: &str) {
        let url = Url::parse(path_or_url).unwrap_or_else(|_| self.url(path_or_url));
        lock(&self.stored).remove(url.path());
    }

    /// Returns the file at a path of a request, and its media type.
    pub(super) fn get(&self, path: &str) -> Option<(&'static str, Bytes)> {
        let content = lock(&self.stored).get(path)?.clone();
        let media_type = match path.rsplit_once('.') {
            Some((_, "pdf")) => "application/pdf",
            _ => "application/octet-stream",
        };
        Some((media_type, content))
    }

    fn url(&self, path: &str) -> Url {
        let mut url = self.base.get().expect("the server has started").clone();
        url.set_path(path);
        url
    }
}
