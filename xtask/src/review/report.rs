//! The review as Markdown, in the order of importance.

use std::fmt;

use super::usage::{named, names};
use super::{Access, Documentation, Level, Line, Review, Subject, TypeLines};

/// The number of names in a sentence before the rest is counted.
const NAMED: usize = 8;

/// The maximum number of repairs of a fix that are listed individually.
const MAX_LISTED: usize = 4;

impl fmt::Display for Review {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return writeln!(
                f,
                "No change: {} and {} generate the same code.",
                self.to, self.from
            );
        }
        let scopes: Vec<_> = self.scopes.iter().map(access).collect();
        writeln!(
            f,
            "# {} compared with {}: {}",
            self.to, self.from, self.verdict
        )?;
        section(f, "Errors of the vendor's", &self.fault_lines())?;
        section(f, "Who may call what", &self.approval_lines())?;
        section(f, "Operations", &self.operation_lines())?;
        section(f, "Types", &self.type_lines())?;
        section(f, "Responses of any shape", &self.untyped_lines())?;
        section(f, "Webhooks", &self.webhook_lines())?;
        section(f, "Scopes", &scopes)?;
        section(f, "Repairs", &self.repair_lines())?;
        section(f, "Overlay", &self.overlay_lines())?;
        section(f, "Documentation", &self.documentation_lines())?;
        section(f, "Verdict", &[self.verdict_line()])
    }
}

impl Review {
    fn fault_lines(&self) -> Vec<String> {
        let lines = self.faults.iter();
        lines.map(|fault| format!("- {fault}")).collect()
    }

    fn untyped_lines(&self) -> Vec<String> {
        if self.untyped.is_empty() {
            return Vec::new();
        }
        vec![format!("- {}", self.untyped.join(", "))]
    }

    fn webhook_lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for (names, word) in [(&self.webhooks.gone, "gone"), (&self.webhooks.new, "new")] {
            if !names.is_empty() {
                let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
                lines.push(format!("- {word}: {}", names.join(", ")));
            }
        }
        lines
    }

    fn approval_lines(&self) -> Vec<String> {
        if self.approval.is_empty() {
            let count = match self.approval_required {
                0 => "no operation requires".to_string(),
                1 => "1 operation requires".to_string(),
                count => format!("{count} operations require"),
            };
            return vec![format!("Unchanged: {count} commercial approval.")];
        }
        self.approval.iter().map(access).collect()
    }

    fn operation_lines(&self) -> Vec<String> {
        let text = |line: &Line| {
            let owner = line.subject.owner();
            match &line.subject {
                Subject::Operation(_) => line_text(line, &format!("`{owner}`")),
                subject => line_text(line, &format!("`{owner}`: {}", subject.part())),
            }
        };
        self.operations.iter().map(text).collect()
    }

    fn type_lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let (mut came, mut gone) = (Vec::new(), Vec::new());
        for ty in &self.types {
            // A new or removed type adds no information to its operations.
            if ty.came {
                came.push(ty.name.clone());
            } else if ty.gone {
                gone.push(ty.name.clone());
            } else {
                lines.extend(of_type(ty));
            }
        }
        if !gone.is_empty() {
            lines.push(format!(
                "- major, compatible: gone, so that code that names them no longer compiles: {}",
                named(&gone)
            ));
        }
        if !came.is_empty() {
            lines.push(format!("- minor, compatible: new: {}", named(&came)));
        }
        lines
    }

    fn repair_lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for repairs in &self.repairs.changed {
            let (began, ceased) = (repairs.began.len(), repairs.ceased.len());
            lines.push(format!(
                "- `{}`: {began} began, {ceased} ceased",
                repairs.fix
            ));
            if began + ceased <= MAX_LISTED {
                let lists = [("began", &repairs.began), ("ceased", &repairs.ceased)];
                for (how, texts) in lists {
                    lines.extend(texts.iter().map(|text| format!("  - {how}: `{text}`")));
                }
            }
        }
        let elsewhere = [
            ("in new parts", self.repairs.with_new),
            ("in removed parts", self.repairs.with_gone),
        ];
        for (how, count) in elsewhere.into_iter().filter(|(_, count)| *count > 0) {
            lines.push(format!("- {count} more {how}"));
        }
        lines
    }

    fn overlay_lines(&self) -> Vec<String> {
        let lost = self.overlay.lost.iter();
        let lost = lost.map(|target| format!("- no longer matches anything: `{target}`"));
        let found = match self.overlay.found.len() {
            0 => None,
            // A larger document matches more targets, which needs no review.
            1 => Some("- 1 action that matched nothing matches now".to_string()),
            count => Some(format!("- {count} actions that matched nothing match now")),
        };
        let moved = self.overlay.moved.iter();
        let moved = moved
            .map(|own| format!("- follows {own}, so that it keeps its name: read its targets"));
        lost.chain(found).chain(moved).collect()
    }

    fn documentation_lines(&self) -> Vec<String> {
        let Documentation {
            level,
            operations,
            types,
            document,
        } = &self.documentation;
        let groups = [
            (*level, "of operations", operations),
            (*level, "of types", types),
            // No code is generated from it.
            (Level::None, "of the document", document),
        ];
        let nonempty = groups.iter().filter(|(_, _, all)| !all.is_empty());
        nonempty
            .map(|(level, what, all)| {
                format!(
                    "- {level}, compatible: {what}: {}",
                    names(all.iter(), NAMED)
                )
            })
            .collect()
    }

    /// Returns the verdict and its reasons on one line.
    pub fn verdict_line(&self) -> String {
        let subjects: Vec<String> = self.because.iter().map(ToString::to_string).collect();
        let because = names(subjects.iter(), NAMED);
        match (self.verdict, subjects.len()) {
            (Level::None, _) => "none: the same code is generated.".into(),
            (Level::Patch, 0) => "patch: only documentation or order changes.".into(),
            (level, 1) => format!("{level}: because of {because}."),
            (level, count) => format!("{level}: because of {count} changes: {because}."),
        }
    }
}

fn access(access: &Access) -> String {
    let Access {
        level, wire, text, ..
    } = access;
    format!("- {level}, {}: {text}", wire.text())
}

fn of_type(ty: &TypeLines) -> Vec<String> {
    let mut lines = vec![format!("- `{}`, in {}", ty.name, ty.used.text())];
    let own = ty.lines.iter();
    lines.extend(own.map(|line| format!("  {}", line_text(line, &line.subject.part()))));
    lines
}

/// Formats one line: level, wire, change, effect on code.
fn line_text(line: &Line, subject: &str) -> String {
    let class = format!("- {}, {}", line.level, line.wire.text());
    match (line.change.as_str(), line.effect.as_str()) {
        ("", effect) => format!("{class}: {subject}: {effect}"),
        (change, "") => format!("{class}: {subject} {change}; no change to code"),
        (change, effect) => format!("{class}: {subject} {change}; {effect}"),
    }
}

fn section(f: &mut fmt::Formatter<'_>, title: &str, lines: &[String]) -> fmt::Result {
    if lines.is_empty() {
        return Ok(());
    }
    writeln!(f, "\n## {title}\n")?;
    lines.iter().try_for_each(|line| writeln!(f, "{line}"))
}
