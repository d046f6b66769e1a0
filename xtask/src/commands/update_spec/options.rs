//! The command line options of `cargo xtask update-spec`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use lexopt::{Arg, Parser, ValueExt};

use crate::document::fetch::{DEFAULT_SOURCE, Limits, Origin};
use crate::document::source::Kind;
use crate::document::spec_dir::DEFAULT_PATH;
use crate::refusal::{Refusal, usage};

/// The options of the command.
#[derive(Debug, Clone)]
pub struct Options {
    /// The source of the document.
    pub from: Origin,
    /// The directory of the documents.
    pub spec: PathBuf,
    /// Whether to write files.
    pub mode: Mode,
    /// Who wrote the document, if given.
    pub kind: Option<Kind>,
    /// The format of the report.
    pub format: Format,
    /// The limits of time and size of the download.
    pub limits: Limits,
    /// Whether an error of the vendor's, such as a dangling reference, refuses the document.
    pub strict: bool,
    /// Whether the generated crate is compiled before files are written.
    pub compile: bool,
}

/// Whether to write files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Replace the files.
    Write,
    /// Report what would change.
    DryRun,
    /// Report what would change, and exit with 1 if anything would.
    Check,
}

/// The format of the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// The review as in `REVIEW.md`, and the changed files.
    Text,
    /// The same as JSON.
    Json,
}

impl Options {
    /// Parses the options of the command.
    ///
    /// # Errors
    /// Returns a [`Refusal`] for an unknown option or an invalid value.
    pub fn parse(args: &mut Parser) -> Result<Self, Refusal> {
        let mut from = OsString::from(DEFAULT_SOURCE);
        let mut spec = PathBuf::from(DEFAULT_PATH);
        let mut mode = Mode::Write;
        let mut kind = None;
        let mut format = Format::Text;
        let mut limits = Limits::default();
        let (mut strict, mut compile) = (false, true);
        while let Some(arg) = args.next().map_err(usage)? {
            match arg {
                Arg::Long("from") => from = args.value().map_err(usage)?,
                Arg::Long("spec") => spec = args.value().map_err(usage)?.into(),
                Arg::Long("check") => mode = Mode::Check,
                Arg::Long("dry-run") if mode == Mode::Check => {}
                Arg::Long("dry-run") => mode = Mode::DryRun,
                Arg::Long("strict") => strict = true,
                Arg::Long("no-check") => compile = false,
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
            strict,
            compile,
        })
    }
}

/// Parses a value that is one of two words.
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
