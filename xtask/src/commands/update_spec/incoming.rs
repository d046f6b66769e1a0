//! The document that an update brings: received, judged, and recorded unless
//! it is the one that is there.

use std::path::Path;

use reqwest::Url;
use serde_json::Value;

use super::options::Options;
use crate::document::fetch::{self, Fetched, Origin};
use crate::document::judge;
use crate::document::source::{Kind, Source};
use crate::document::spec_dir::{DOCUMENT, SOURCE, SpecDir};
use crate::refusal::{Refusal, refuse, usage};

/// A judged document, with its record unless the old one stays.
pub(crate) struct Incoming {
    pub(crate) document: Value,
    pub(crate) record: Option<Source>,
    /// What it is called in a report.
    pub(crate) name: String,
}

/// Receives and judges the document.
pub(crate) fn receive(options: &Options, spec: &SpecDir) -> Result<Incoming, Refusal> {
    // A broken record counts as none: this command is what repairs it.
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
    // A validator belongs to the whole address, of which the record leaves
    // the query out.
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
                "the answer \"unchanged\" to a request without conditions",
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
            "--kind together with the committed {DOCUMENT}, whose record stays as it is"
        )));
    }
    let Some(known) = known else {
        return Err(refuse(
            format!("the committed {DOCUMENT} without a readable {SOURCE} beside it"),
            "a record of where the document came from",
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

/// The document we hold, if it can stand in for one that is unchanged.
fn committed_document(spec: &SpecDir) -> Option<Value> {
    let bytes = spec.file(DOCUMENT)?;
    let document = judge::judge(bytes, None).ok()?;
    (judge::format(&document).as_bytes() == bytes).then_some(document)
}

/// Leaves the old record, and so its date, to a document that is the same.
fn renewed(record: Source, known: Option<Source>, kind: Option<Kind>) -> Option<Source> {
    match known {
        Some(known) if known.sha256 == record.sha256 => known.with_kind(kind?),
        _ => Some(record),
    }
}
