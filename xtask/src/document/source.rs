//! The record of where the document came from, kept in `spec/source.toml`.

use std::path::Path;

use chrono::{NaiveDate, Utc};
use reqwest::Url;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

const HEADER: &str = "# Written by `cargo xtask update-spec`; not to be edited.\n";

/// Where a document came from, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// The address, without query and user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The name of the file, without its folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The day on which this document was first received (UTC).
    pub fetched: NaiveDate,
    /// The hash of the bytes received, before they were formatted.
    pub sha256: String,
    /// The server's validator, for the next conditional request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// The server's date of change, for the next conditional request.
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
    /// It was put together from what is publicly known.
    Reconstructed,
}

impl Source {
    /// Records a document that came from an address.
    pub fn of_url(url: &Url, bytes: &[u8], kind: Kind) -> Self {
        Self {
            url: Some(without_secrets(url)),
            file: None,
            ..Self::today(bytes, kind)
        }
    }

    /// Records a document that came from a file.
    pub fn of_file(path: &Path, bytes: &[u8], kind: Kind) -> Self {
        let name = path.file_name().unwrap_or(path.as_os_str());
        Self {
            url: None,
            file: Some(name.to_string_lossy().into_owned()),
            ..Self::today(bytes, kind)
        }
    }

    /// What the document is called in a report: its file or its address.
    pub fn name(&self) -> String {
        self.file
            .as_ref()
            .or(self.url.as_ref())
            .cloned()
            .unwrap_or_default()
    }

    /// Tells whether the document came from this address.
    pub fn is_of(&self, url: &Url) -> bool {
        self.url.as_ref() == Some(&without_secrets(url))
    }

    /// The same record with another kind; nothing if it has that kind already.
    pub fn with_kind(self, kind: Kind) -> Option<Self> {
        (self.kind != kind).then_some(Self { kind, ..self })
    }

    /// Reads a record and checks that it is whole.
    ///
    /// # Errors
    /// One line on what is missing or wrong.
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

    /// Writes the record as the text of `source.toml`.
    pub fn to_text(&self) -> String {
        let text = toml::to_string(self).expect("a table of texts and a date is TOML");
        format!("{HEADER}{text}")
    }

    fn today(bytes: &[u8], kind: Kind) -> Self {
        Self {
            url: None,
            file: None,
            fetched: Utc::now().date_naive(),
            sha256: format!("{:x}", Sha256::digest(bytes)),
            etag: None,
            last_modified: None,
            kind,
        }
    }
}

impl Kind {
    /// Tells from what a document says of itself whether it was reconstructed.
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

/// Writes an address without its query, fragment and user, any of which may
/// hold a key.
pub(crate) fn without_secrets(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    // These fail only for addresses without a host, which have no user.
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
    fn a_record_with_a_hole_is_not_taken() {
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
