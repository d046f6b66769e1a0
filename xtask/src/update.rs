//! `cargo xtask update-spec`: the only writer of `spec/`.
//!
//! Everything happens in memory first: receive, judge, derive, generate,
//! review. The files are replaced only when all of that went well.

use std::ffi::OsString;
use std::panic;
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use lexopt::{Arg, Parser, ValueExt};

use crate::committed::Committed;
use crate::fetch::{DEFAULT_SOURCE, Limits, Origin};
use crate::incoming::{Incoming, receive};
use crate::judge;
use crate::normalize::{self, Derived};
use crate::refusal::{Refusal, refuse, usage};
use crate::review::{Review, Side, review};
use crate::source::Kind;
use crate::spec_dir::{Change, DEFAULT_PATH, DOCUMENT, NORMALIZED, REVIEW, SOURCE, SpecDir};
use crate::workspace::{Draft, Workspace};

/// How to use the command.
pub const HELP: &str = "\
cargo xtask update-spec [options]
    Receives the vendor's document, repairs it, tries the generator on it and
    only then replaces openapi.json, openapi.normalized.json, source.toml and
    REVIEW.md, all or none, and drafts the changelog's part about the API. An
    unchanged document changes nothing, the date included.

    --from <file or address>     where the document comes from, by default
                                 https://us.fullscript.com/docs/api/open-api/v1/openapi.json
                                 If it is spec/openapi.json itself, the rest is
                                 derived from it again, offline, and source.toml
                                 stays as it is: use this after an edit of
                                 overlay.yaml or of the normalizer.
    --dry-run                    do everything but write
    --check                      write nothing, exit 1 if anything would change
    --format text|json           how to tell what changed, by default in text
    --kind vendor|reconstructed  who wrote the document; by default the vendor,
                                 unless a file says that it is reconstructed
    --timeout <seconds>          for the whole transfer, by default 60
    --spec <directory>           by default the workspace's spec/
    Exit status: 0 done or unchanged, 1 would change (--check), 2 refused and
    nothing written, 3 the server could not be reached and nothing written
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
    /// How to tell what changed.
    pub format: Format,
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

/// How to tell what changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// The review as `REVIEW.md` holds it, and the files.
    Text,
    /// The same for machines.
    Json,
}

/// What was changed, or would be.
#[derive(Debug)]
pub struct Report {
    pub(crate) mode: Mode,
    pub(crate) from: Origin,
    pub(crate) format: Format,
    pub(crate) spec: PathBuf,
    pub(crate) changes: Vec<Change>,
    pub(crate) draft: Option<Draft>,
    pub(crate) news: News,
    pub(crate) unmatched: Vec<String>,
    pub(crate) behind: Option<String>,
}

/// What the new document means.
#[derive(Debug)]
pub(crate) enum News {
    /// Nothing was derived anew.
    Unchanged,
    /// There is nothing to compare it with.
    First(Box<Side>),
    /// It is compared with the one before.
    Reviewed(Box<Review>),
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
    let mut changes = changes(&spec, &incoming, &derived)?;
    let is_news = changes
        .iter()
        .any(|change| [DOCUMENT, NORMALIZED].contains(&change.name));
    let committed = Committed::of(&spec).filter(|_| is_news);
    let (before, after) = sides(committed.as_ref(), overlay, &incoming.name, derived)?;

    let unmatched = after.unmatched.clone();
    let workspace = Workspace::of(&spec);
    // What is wrong with the record is told by the draft, which needs it too.
    let behind = workspace.behind(&after.surface).unwrap_or_default();
    let draft = workspace.draft(&after.surface);
    let draft =
        draft.map_err(|fault| refuse(fault, "a changelog to draft in", "mend the named place"))?;
    let news = match (is_news, before) {
        (false, _) => News::Unchanged,
        (true, None) => News::First(Box::new(after)),
        (true, Some(before)) => News::Reviewed(Box::new(review(&before, &after))),
    };
    changes.extend(
        news.text(committed.as_ref())
            .and_then(|text| spec.change(REVIEW, text)),
    );

    if options.mode == Mode::Write && !changes.is_empty() {
        spec.replace(&changes)?;
    }
    if let (Mode::Write, Some(draft)) = (options.mode, &draft) {
        workspace.write(draft).map_err(|error| {
            let came = format!("a write of CHANGELOG.md that failed: {error}");
            refuse(
                came,
                "a writable file",
                "mend the permissions, then run the command again",
            )
        })?;
    }
    Ok(Report {
        mode: options.mode,
        from: options.from.clone(),
        format: options.format,
        spec: spec.path().to_owned(),
        changes,
        draft,
        news,
        unmatched,
        behind,
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
        let mut format = Format::Text;
        let mut limits = Limits::default();
        while let Some(arg) = args.next().map_err(usage)? {
            match arg {
                Arg::Long("from") => from = args.value().map_err(usage)?,
                Arg::Long("spec") => spec = args.value().map_err(usage)?.into(),
                Arg::Long("check") => mode = Mode::Check,
                Arg::Long("dry-run") if mode == Mode::Check => {}
                Arg::Long("dry-run") => mode = Mode::DryRun,
                Arg::Long("kind") => kind = Some(parsed(args)?),
                Arg::Long("format") => format = parsed(args)?,
                Arg::Long("timeout") => limits.total = Duration::from_secs(parsed(args)?),
                other => return Err(usage(other.unexpected())),
            }
        }
        Ok(Self {
            from: Origin::parse(&from)?,
            spec,
            mode,
            kind,
            format,
            limits,
        })
    }
}

impl Report {
    /// The status with which the command ends.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(u8::from(self.mode == Mode::Check && !self.is_unchanged()))
    }

    pub(crate) fn is_unchanged(&self) -> bool {
        self.changes.is_empty() && self.draft.is_none()
    }
}

impl News {
    /// What `REVIEW.md` is to hold, if it changes.
    fn text(&self, committed: Option<&Committed>) -> Option<String> {
        match self {
            Self::Unchanged => None,
            Self::First(side) => Some(side.to_string()),
            // An update that was taken back leaves the review of the last one.
            Self::Reviewed(review) if review.is_empty() => {
                let last = committed.and_then(|committed| committed.review.clone());
                Some(last.unwrap_or_else(|| review.to_string()))
            }
            Self::Reviewed(review) => Some(review.to_string()),
        }
    }
}

impl std::str::FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err("is neither text nor json".to_owned()),
        }
    }
}

fn parsed<T>(args: &mut Parser) -> Result<T, Refusal>
where
    T: std::str::FromStr,
    T::Err: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    args.value().and_then(|value| value.parse()).map_err(usage)
}

/// The files of documents that are to be written.
fn changes(spec: &SpecDir, incoming: &Incoming, derived: &Derived) -> Result<Vec<Change>, Refusal> {
    let record = incoming.record.as_ref().map(|source| source.to_text());
    let record = record.transpose().map_err(|error| {
        refuse(
            error.to_string(),
            "a record that toml can write",
            "report this as a bug",
        )
    })?;
    let changes = [
        spec.change(DOCUMENT, judge::format(&incoming.document)),
        spec.change(NORMALIZED, judge::format(&derived.document)),
        record.and_then(|text| spec.change(SOURCE, text)),
    ];
    Ok(changes.into_iter().flatten().collect())
}

/// Runs the generator, whose output users compile, on the old and the new
/// document at once.
fn sides(
    committed: Option<&Committed>,
    overlay: &str,
    name: &str,
    derived: Derived,
) -> Result<(Option<Side>, Side), Refusal> {
    // The generator asserts where it should return, so a panic is an answer;
    // `generate` catches it, and its message is told below.
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let (before, after) = thread::scope(|scope| {
        let before = scope.spawn(|| {
            let committed = committed?;
            Side::new(&committed.name, committed.derived(overlay).ok()?).ok()
        });
        let after = Side::new(name, derived);
        (before.join(), after)
    });
    panic::set_hook(hook);
    let after = after.map_err(|reason| {
        let reason = reason.split_whitespace().collect::<Vec<_>>().join(" ");
        refuse(
            format!("a document from which no code can be generated: {reason}"),
            "a normalized document that progenitor turns into Rust",
            "add a fix to xtask/src/normalize for what the generator cannot take",
        )
    })?;
    // A committed document that today's generator does not take is as good as
    // none: the new one is then the first.
    Ok((before.ok().flatten(), after))
}
