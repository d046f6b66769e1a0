//! The record of the document's source, in `spec/source.toml`.

use std::path::Path;

use chrono::{NaiveDate, Utc};
use reqwest::Url;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

const HEADER: &str = "# Written by `cargo xtask update-spec`; not to be edited.\n";

/// The source and the date of a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// The URL without query and user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The file name without its directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The day on which this document was first received (UTC).
    pub fetched: NaiveDate,
    /// The SHA-256 hash of the received bytes, before formatting.
    pub sha256: String,
    /// The `ETag` of the server, for the next conditional request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// The `Last-Modified` date of the server, for the next conditional request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_modified: Option<String>,
    /// Who wrote the document.
    pub kind: Kind,
}

/// Who wrote a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Fullscript published it.
    Vendor,
    /// Reconstructed from public information.
    Reconstructed,
}

impl Source {
    /// Creates the record of a document from a URL.
    pub fn of_url(url: &Url, bytes: &[u8], kind: Kind) -> Self {
        Self {
            url: Some(without_secrets(url)),
            file: None,
            ..Self::today(bytes, kind)
        }
    }

    /// Creates the record of a document from a file.
    pub fn of_file(path: &Path, bytes: &[u8], kind: Kind) -> Self {
        let name = path.file_name().unwrap_or(path.as_os_str());
        Self {
            url: None,
            file: Some(name.to_string_lossy().into_owned()),
            ..Self::today(bytes, kind)
        }
    }

    /// Returns the name of the document in reports: its file name or its URL.
    pub fn name(&self) -> String {
        self.file
            .as_ref()
            .or(self.url.as_ref())
            .cloned()
            .unwrap_or_default()
    }

    /// Returns whether the document was received from a URL.
    pub fn is_of(&self, url: &Url) -> bool {
        self.url.as_ref() == Some(&without_secrets(url))
    }

    /// Returns the record with another kind; `None` if it already has that kind.
    pub fn with_kind(self, kind: Kind) -> Option<Self> {
        (self.kind != kind).then_some(Self { kind, ..self })
    }

    /// Parses and validates a record.
    ///
    /// # Errors
    /// Returns one line about what is missing or invalid.
    pub fn parse(text: &str) -> Result<Self, String> {
        let source: Self =
            toml::from_str(text).map_err(|error| error.message().replace('\n', " "))?;
        if source.url.is_some() == source.file.is_some() {
            return Err("needs either `url` or `file`".to_owned());
        }
        if source.sha256.len() != 64 || !source.sha256.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err("`sha256` is not 64 hexadecimal digits".to_owned());
        }
        Ok(source)
    }

    /// Formats the record as the text of `source.toml`.
    pub fn to_text(&self) -> String {
        let text = toml::to_string(self).expect("a table of texts and a date is TOML");
        format!("{HEADER}{text}")
    }

    fn today(bytes: &[u8], kind: Kind) -> Self {
        Self {
            url: None,
            file: None,
            fetched: Utc::now().date_naive(),
            sha256: Sha256::digest(bytes)
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect(),
            etag: None,
            last_modified: None,
            kind,
        }
    }
}

impl Kind {
    /// Returns whether the title or the description states that the document was reconstructed.
    pub fn of(document: &Value) -> Self {
        let says_so = ["title", "description"]
            .iter()
            .filter_map(|field| document["info"][field].as_str())
            .any(|text| text.to_lowercase().contains("reconstruct"));
        if says_so {
            Self::Reconstructed
        } else {
            Self::Vendor
        }
    }
}

/// Returns a URL without query, fragment and user, which may contain secrets.
pub(crate) fn without_secrets(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    // These fail only for URLs without a host, which have no user.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source() -> Source {
        let url = Url::parse("https://user:word@api.example/a.json?key=1#top").unwrap();
        Source::of_url(&url, b"", Kind::Vendor)
    }

    #[test]
    fn a_record_survives_writing_and_reading() {
        let mut source = source();
        source.etag = Some("W/\"a\\\"b\"".to_owned());
        assert_eq!(Source::parse(&source.to_text()), Ok(source));
    }

    #[test]
    fn an_address_is_recorded_without_secrets() {
        assert_eq!(source().url.as_deref(), Some("https://api.example/a.json"));
    }

    #[test]
    fn a_file_is_recorded_without_its_folder() {
        let source = Source::of_file(Path::new("/home/me/doc.json"), b"", Kind::Vendor);
        assert_eq!(source.file.as_deref(), Some("doc.json"));
    }

    #[test]
    fn an_incomplete_record_is_rejected() {
        let whole = source().to_text();
        for key in ["url", "fetched", "sha256", "kind"] {
            let holed: String = whole
                .lines()
                .filter(|line| !line.starts_with(key))
                .map(|line| format!("{line}\n"))
                .collect();
            assert!(Source::parse(&holed).is_err(), "without {key}");
        }
        assert!(Source::parse(&whole.replace("vendor", "unknown")).is_err());
        assert!(Source::parse(&whole.replace("fetched = \"2", "fetched = \"x")).is_err());
    }
}
