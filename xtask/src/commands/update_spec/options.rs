//! What `cargo xtask update-spec` is told on the command line.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use lexopt::{Arg, Parser, ValueExt};

use crate::document::fetch::{DEFAULT_SOURCE, Limits, Origin};
use crate::document::source::Kind;
use crate::document::spec_dir::DEFAULT_PATH;
use crate::refusal::{Refusal, usage};

/// What to do, from where, and to which directory.
#[derive(Debug, Clone)]
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
                Arg::Long("kind") => {
                    let kinds = [
                        ("vendor", Kind::Vendor),
                        ("reconstructed", Kind::Reconstructed),
                    ];
                    kind = Some(choice(args, kinds)?);
                }
                Arg::Long("format") => {
                    format = choice(args, [("text", Format::Text), ("json", Format::Json)])?;
                }
                Arg::Long("timeout") => {
                    let seconds = args
                        .value()
                        .and_then(|value| value.parse())
                        .map_err(usage)?;
                    limits.total = Duration::from_secs(seconds);
                }
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

/// Reads a value that is one of two words.
fn choice<T: Copy>(args: &mut Parser, choices: [(&str, T); 2]) -> Result<T, Refusal> {
    let [(first, _), (second, _)] = choices;
    let chosen = |text: &str| {
        let chosen = choices.iter().find(|(word, _)| *word == text);
        chosen
            .map(|(_, value)| *value)
            .ok_or(format!("is neither {first} nor {second}"))
    };
    args.value()
        .and_then(|value| value.parse_with(chosen))
        .map_err(usage)
}
