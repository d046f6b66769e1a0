//! The report of an update, as text and as JSON.

use std::fmt;
use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::{Value, json};

use super::options::{Format, Mode, Options};
use crate::document::committed::Committed;
use crate::document::spec_dir::Change;
use crate::review::{FORMAT, Review, Side};

/// The changes of an update, made or not.
#[derive(Debug)]
pub struct Report {
    pub(crate) options: Options,
    pub(crate) spec: PathBuf,
    pub(crate) changes: Vec<Change>,
    pub(crate) draft: Option<Change>,
    pub(crate) news: News,
    pub(crate) unmatched: Vec<String>,
    pub(crate) behind: Option<String>,
}

/// How the new document relates to the committed one.
#[derive(Debug)]
pub(crate) enum News {
    /// The document did not change.
    Unchanged,
    /// There is no committed document to compare it with.
    First(Box<Side>),
    /// It was compared with the committed one.
    Reviewed(Box<Review>),
}

impl Report {
    /// Returns the exit status of the command.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(u8::from(
            self.options.mode == Mode::Check && !self.is_unchanged(),
        ))
    }

    pub(crate) fn is_unchanged(&self) -> bool {
        self.changes.is_empty() && self.draft.is_none()
    }
}

impl News {
    /// Returns the new content of `REVIEW.md`, if it changes.
    pub(crate) fn text(&self, committed: Option<&Committed>) -> Option<String> {
        match self {
            Self::Unchanged => None,
            Self::First(side) => Some(side.to_string()),
            // A reverted update restores the review of the last one.
            Self::Reviewed(review) if review.is_empty() => {
                let last = committed.and_then(|committed| committed.review.clone());
                Some(last.unwrap_or_else(|| review.to_string()))
            }
            Self::Reviewed(review) => Some(review.to_string()),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.options.format {
            Format::Text => self.text(f),
            Format::Json => writeln!(f, "{:#}", self.json()),
        }
    }
}

impl Report {
    fn text(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let spec = self.spec.display();
        if self.is_unchanged() {
            return writeln!(f, "unchanged: {spec} matches {}", self.options.from);
        }
        match &self.news {
            News::Unchanged => {}
            News::First(side) => writeln!(f, "{side}")?,
            News::Reviewed(review) => writeln!(f, "{review}")?,
        }
        for target in &self.unmatched {
            writeln!(f, "warning: overlay target matched nothing: {target}")?;
        }
        if let Some(behind) = &self.behind {
            writeln!(f, "warning: {behind}")?;
        }
        for change in self.files() {
            let (name, (new, gone)) = (change.name, change.lines());
            if change.before.is_none() {
                writeln!(f, "new {name}: +{new} lines")?;
            } else {
                writeln!(f, "changed {name}: +{new} -{gone} lines")?;
            }
        }
        if let (Mode::Write, News::Reviewed(_)) = (self.options.mode, &self.news) {
            writeln!(
                f,
                "next: run `cargo xtask snapshots`; CONTRIBUTING.md, \"Tests that fail after an \
                 update\", says what else is left to do"
            )?;
        }
        match self.options.mode {
            Mode::Write => writeln!(f, "updated {spec} from {}", self.options.from),
            Mode::DryRun => writeln!(f, "dry run: nothing was written to {spec}"),
            Mode::Check => writeln!(
                f,
                "outdated: {spec} does not match {}; run the command without --check",
                self.options.from
            ),
        }
    }

    fn json(&self) -> Value {
        let files = self.files().map(|change| {
            let (new, gone) = change.lines();
            json!({ "name": change.name, "new_lines": new, "gone_lines": gone })
        });
        json!({
            "format": FORMAT,
            "outcome": match (self.is_unchanged(), self.options.mode) {
                (true, _) => "unchanged",
                (false, Mode::Write) => "updated",
                (false, _) => "would_change",
            },
            "review": match &self.news {
                News::Reviewed(review) => json!(review),
                News::Unchanged | News::First(_) => Value::Null,
            },
            "files": files.collect::<Vec<_>>(),
            "unmatched": self.unmatched,
            "version": self.behind,
        })
    }

    fn files(&self) -> impl Iterator<Item = &Change> {
        self.changes.iter().chain(&self.draft)
    }
}

/// Summarizes a document that cannot be compared with another one.
impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "# {}: first document\n", self.name)?;
        writeln!(f, "{}", self.surface.summary())?;
        writeln!(f, "{} types.", self.surface.types.len())?;
        if !self.faults.is_empty() {
            writeln!(f, "\n## Errors of the vendor's\n")?;
        }
        for fault in &self.faults {
            writeln!(f, "- {fault}")?;
        }
        Ok(())
    }
}
