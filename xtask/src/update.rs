//! `cargo xtask update-spec`: the only writer of `spec/`.
//!
//! Everything happens in memory first: receive, judge, derive, generate. The
//! files are replaced only when all of that went well.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::panic;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use lexopt::{Arg, Parser, ValueExt};
use reqwest::Url;
use serde_json::Value;

use crate::fetch::{self, DEFAULT_SOURCE, Fetched, Limits, Origin};
use crate::generate::generate;
use crate::judge::{self, Refusal, refuse, usage};
use crate::normalize;
use crate::source::{Kind, Source};
use crate::spec_dir::{Change, DEFAULT_PATH, DOCUMENT, NORMALIZED, SOURCE, SpecDir};

/// How to use the command.
pub const HELP: &str = "\
cargo xtask update-spec [options]
    Receives the vendor's document, repairs it, tries the generator on it and
    only then replaces openapi.json, openapi.normalized.json and source.toml,
    all or none. An unchanged document changes nothing, the date included.

    --from <file or address>     where the document comes from, by default
                                 https://us.fullscript.com/docs/api/open-api/v1/openapi.json
                                 If it is spec/openapi.json itself, the rest is
                                 derived from it again, offline, and source.toml
                                 stays as it is: use this after an edit of
                                 overlay.yaml or of the normalizer.
    --dry-run                    do everything but write
    --check                      write nothing, exit 1 if anything would change
    --kind vendor|reconstructed  who wrote the document; by default the vendor,
                                 unless a file says that it is reconstructed
    --timeout <seconds>          for the whole transfer, by default 60
    --spec <directory>           by default the workspace's spec/
    Exit status: 0 done, 1 would change (--check), 2 refused, nothing written
";

/// What to do, from where, and to which directory.
#[derive(Debug)]
pub struct Options {
    /// Where the document comes from.
    pub from: Origin,
    /// The directory of the documents.
    pub spec: PathBuf,
    /// Whether to write.
    pub mode: Mode,
    /// Who wrote the document, if the caller knows better.
    pub kind: Option<Kind>,
    /// How long and how much may be received.
    pub limits: Limits,
}

/// Whether to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Replace the files.
    Write,
    /// Say what would change.
    DryRun,
    /// Say what would change, and fail if anything would.
    Check,
}

/// What was changed, or would be.
#[derive(Debug)]
pub struct Report {
    mode: Mode,
    from: Origin,
    spec: PathBuf,
    changes: Vec<Change>,
    repairs: BTreeMap<&'static str, usize>,
    unmatched: Vec<String>,
}

/// Brings a document into the directory.
///
/// # Errors
/// A [`Refusal`] if the document cannot be had, taken or written; the
/// directory is as it was then.
pub fn run(options: &Options) -> Result<Report, Refusal> {
    let spec = SpecDir::open(&options.spec)?;
    if options.mode == Mode::Write {
        spec.sweep();
    }
    let overlay = spec.overlay()?;
    let incoming = receive(options, &spec)?;
    let derived = normalize::derive(&incoming.document, overlay)?;
    let normalized = judge::format(&derived.document);
    try_generator(&normalized)?;

    let record = incoming.record.map(|source| source.to_text()).transpose();
    let record = record.map_err(|error| {
        refuse(
            error.to_string(),
            "a record that toml can write",
            "report this as a bug",
        )
    })?;
    let changes: Vec<Change> = [
        spec.change(DOCUMENT, judge::format(&incoming.document)),
        spec.change(NORMALIZED, normalized),
        record.and_then(|text| spec.change(SOURCE, text)),
    ]
    .into_iter()
    .flatten()
    .collect();
    if options.mode == Mode::Write && !changes.is_empty() {
        spec.replace(&changes)?;
    }

    let mut repairs = BTreeMap::new();
    for repair in &derived.repairs {
        *repairs.entry(repair.fix).or_default() += 1;
    }
    Ok(Report {
        mode: options.mode,
        from: options.from.clone(),
        spec: spec.path().to_owned(),
        changes,
        repairs,
        unmatched: derived.unmatched,
    })
}

impl Options {
    /// Reads the options behind the verb.
    ///
    /// # Errors
    /// A [`Refusal`] for an option or value that is not one of ours.
    pub fn parse(args: &mut Parser) -> Result<Self, Refusal> {
        let mut from = OsString::from(DEFAULT_SOURCE);
        let mut spec = PathBuf::from(DEFAULT_PATH);
        let mut mode = Mode::Write;
        let mut kind = None;
        let mut limits = Limits::default();
        while let Some(arg) = args.next().map_err(usage)? {
            match arg {
                Arg::Long("from") => from = args.value().map_err(usage)?,
                Arg::Long("spec") => spec = args.value().map_err(usage)?.into(),
                Arg::Long("check") => mode = Mode::Check,
                Arg::Long("dry-run") if mode == Mode::Check => {}
                Arg::Long("dry-run") => mode = Mode::DryRun,
                Arg::Long("kind") => kind = Some(parsed(args)?),
                Arg::Long("timeout") => limits.total = Duration::from_secs(parsed(args)?),
                other => return Err(usage(other.unexpected())),
            }
        }
        Ok(Self {
            from: Origin::parse(&from)?,
            spec,
            mode,
            kind,
            limits,
        })
    }
}

impl Report {
    /// The status with which the command ends.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(u8::from(
            self.mode == Mode::Check && !self.changes.is_empty(),
        ))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let spec = self.spec.display();
        if self.changes.is_empty() {
            return writeln!(f, "unchanged: {spec} is what {} gives", self.from);
        }
        for change in &self.changes {
            let (new, gone) = change.lines();
            match change.before {
                Some(_) => writeln!(f, "changed {}: +{new} -{gone} lines", change.name)?,
                None => writeln!(f, "new {}: +{new} lines", change.name)?,
            }
        }
        writeln!(f, "{} repairs", self.repairs.values().sum::<usize>())?;
        for (fix, count) in &self.repairs {
            writeln!(f, "{count:>6} {fix}")?;
        }
        for target in &self.unmatched {
            writeln!(f, "warning: overlay target matched nothing: {target}")?;
        }
        match self.mode {
            Mode::Write => writeln!(f, "updated {spec} from {}", self.from),
            Mode::DryRun => writeln!(f, "dry run: nothing was written to {spec}"),
            Mode::Check => writeln!(
                f,
                "outdated: {spec} is not what {} gives; run the command without --check",
                self.from
            ),
        }
    }
}

/// A judged document, with its record unless the old one stays.
struct Incoming {
    document: Value,
    record: Option<Source>,
}

fn parsed<T>(args: &mut Parser) -> Result<T, Refusal>
where
    T: std::str::FromStr,
    T::Err: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    args.value().and_then(|value| value.parse()).map_err(usage)
}

fn receive(options: &Options, spec: &SpecDir) -> Result<Incoming, Refusal> {
    let known = known_source(spec);
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
            return Ok(Incoming { document, record });
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
    if known.is_none() {
        return Err(refuse(
            format!("the committed {DOCUMENT} without a readable {SOURCE} beside it"),
            "a record of where the document came from",
            format!("restore {SOURCE} with git, or run `cargo xtask update-spec`"),
        ));
    }
    let bytes = spec.file(DOCUMENT).unwrap_or_default();
    Ok(Incoming {
        document: judge::judge(bytes, None)?,
        record: None,
    })
}

/// A broken record counts as none: this command is what mends it.
fn known_source(spec: &SpecDir) -> Option<Source> {
    let text = str::from_utf8(spec.file(SOURCE)?).ok()?;
    Source::parse(text).ok()
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

/// Runs the generator, whose output users compile.
fn try_generator(normalized: &str) -> Result<(), Refusal> {
    // The generator asserts where it should return, so a panic is an answer;
    // `generate` catches it, and its message is told below.
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let outcome = generate(normalized);
    panic::set_hook(hook);
    let Err(reason) = outcome else {
        return Ok(());
    };
    let reason = reason.split_whitespace().collect::<Vec<_>>().join(" ");
    Err(refuse(
        format!("a document from which no code can be generated: {reason}"),
        "a normalized document that progenitor turns into Rust",
        "add a fix to xtask/src/normalize for what the generator cannot take",
    ))
}
