//! The document of an update: downloaded and validated, with a new record unless it is the
//! committed one.

use std::path::Path;

use reqwest::Url;
use serde_json::Value;

use super::options::Options;
use crate::document::fetch::{self, Fetched, Origin};
use crate::document::judge;
use crate::document::source::{Kind, Source};
use crate::document::spec_dir::{DOCUMENT, SOURCE, SpecDir};
use crate::refusal::{Refusal, refuse, usage};

/// A validated document, with its record unless the old one stays.
pub(crate) struct Incoming {
    pub(crate) document: Value,
    pub(crate) record: Option<Source>,
    /// The name of the document in reports.
    pub(crate) name: String,
}

/// Downloads and validates the document.
pub(crate) fn receive(options: &Options, spec: &SpecDir) -> Result<Incoming, Refusal> {
    // An invalid record is ignored, because this command replaces it.
    let known = spec.source().ok();
    match &options.from {
        Origin::File(path) if spec.is_document(path) => rederive(options, spec, known.as_ref()),
        Origin::File(path) => from_file(path, options, known),
        Origin::Url(url) => from_url(url, options, spec, known),
    }
}

fn from_file(path: &Path, options: &Options, known: Option<Source>) -> Result<Incoming, Refusal> {
    let received = fetch::read_file(path, &options.limits)?;
    let document = judge::judge(&received.bytes, None)?;
    let kind = options.kind.unwrap_or_else(|| Kind::of(&document));
    let record = Source::of_file(path, &received.bytes, kind);
    Ok(Incoming {
        document,
        name: record.name(),
        record: renewed(record, known, options.kind),
    })
}

fn from_url(
    url: &Url,
    options: &Options,
    spec: &SpecDir,
    known: Option<Source>,
) -> Result<Incoming, Refusal> {
    // A validator (ETag, Last-Modified) belongs to the whole URL, but the record omits the query.
    let is_whole = url.query().is_none();
    let held = known
        .as_ref()
        .filter(|known| is_whole && known.is_of(url))
        .and_then(|known| Some((known, committed_document(spec)?)));
    let conditional = held.as_ref().map(|(known, _)| *known);
    let received = match (fetch::fetch(url, conditional, &options.limits)?, held) {
        (Fetched::Document(received), _) => received,
        (Fetched::Unchanged, Some((known, document))) => {
            let record = options.kind.and_then(|kind| known.clone().with_kind(kind));
            let name = known.name();
            return Ok(Incoming {
                document,
                record,
                name,
            });
        }
        (Fetched::Unchanged, None) => {
            return Err(refuse(
                "status 304 (not modified) for a request without conditions",
                "the document",
                "save the document with a browser and pass the file with --from",
            ));
        }
    };
    let document = judge::judge(&received.bytes, received.content_type.as_deref())?;
    let kind = options.kind.unwrap_or(Kind::Vendor);
    let record = Source {
        etag: received.etag.filter(|_| is_whole),
        last_modified: received.last_modified.filter(|_| is_whole),
        ..Source::of_url(url, &received.bytes, kind)
    };
    Ok(Incoming {
        document,
        name: record.name(),
        record: renewed(record, known, options.kind),
    })
}

fn rederive(
    options: &Options,
    spec: &SpecDir,
    known: Option<&Source>,
) -> Result<Incoming, Refusal> {
    if options.kind.is_some() {
        return Err(usage(format!(
            "--kind cannot be used with the committed {DOCUMENT}: its record does not change"
        )));
    }
    let Some(known) = known else {
        return Err(refuse(
            format!("the committed {DOCUMENT} has no readable {SOURCE}"),
            "a record of the document's source",
            format!("restore {SOURCE} with git, or run `cargo xtask update-spec`"),
        ));
    };
    let bytes = spec.file(DOCUMENT).unwrap_or_default();
    Ok(Incoming {
        document: judge::judge(bytes, None)?,
        record: None,
        name: known.name(),
    })
}

/// Returns the committed document if it can be used for a 304 response.
fn committed_document(spec: &SpecDir) -> Option<Value> {
    let bytes = spec.file(DOCUMENT)?;
    let document = judge::judge(bytes, None).ok()?;
    (judge::format(&document).as_bytes() == bytes).then_some(document)
}

/// Returns the new record. An unchanged document keeps its record, and so its date.
fn renewed(record: Source, known: Option<Source>, kind: Option<Kind>) -> Option<Source> {
    match known {
        Some(known) if known.sha256 == record.sha256 => known.with_kind(kind?),
        _ => Some(record),
    }
}
