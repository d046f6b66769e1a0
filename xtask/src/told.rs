//! What an update tells on the terminal, and in JSON to machines.

use std::fmt;

use serde_json::{Value, json};

use crate::changelog;
use crate::review::{FORMAT, Side};
use crate::spec_dir::lines_changed;
use crate::update::{Format, Mode, News, Report};

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.format {
            Format::Text => self.text(f),
            Format::Json => writeln!(f, "{:#}", self.json()),
        }
    }
}

impl Report {
    fn text(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let spec = self.spec.display();
        if self.is_unchanged() {
            return writeln!(f, "unchanged: {spec} is what {} gives", self.from);
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
        for (name, is_new, new, gone) in self.files() {
            match is_new {
                false => writeln!(f, "changed {name}: +{new} -{gone} lines")?,
                true => writeln!(f, "new {name}: +{new} lines")?,
            }
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

    fn json(&self) -> Value {
        let files = self.files().into_iter().map(
            |(name, _, new, gone)| json!({ "name": name, "new_lines": new, "gone_lines": gone }),
        );
        json!({
            "format": FORMAT,
            "outcome": match (self.is_unchanged(), self.mode) {
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

    /// Each file that changes: whether it is new, and its lines new and gone.
    fn files(&self) -> Vec<(&str, bool, usize, usize)> {
        let changes = self.changes.iter().map(|change| {
            let (new, gone) = change.lines();
            (change.name, change.before.is_none(), new, gone)
        });
        let draft = self.draft.iter().map(|draft| {
            let (new, gone) = lines_changed(&draft.before, &draft.after);
            (changelog::NAME, false, new, gone)
        });
        changes.chain(draft).collect()
    }
}

/// What a document holds that nothing can be compared with.
impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "# {}, compared with nothing\n", self.name)?;
        writeln!(f, "{}", self.surface.summary())?;
        writeln!(f, "{} types.", self.surface.types.len())
    }
}
