//! `cargo xtask check`: derives all files again, offline, and compares them.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use lexopt::{Arg, Parser};
use serde_json::Value;

use crate::commands::llms;
use crate::document::judge;
use crate::document::spec_dir::{
    DEFAULT_PATH, DOCUMENT, NORMALIZED, SOURCE, SpecDir, within_reach,
};
use crate::normalize::{self, Derived, escape};
use crate::refusal::{Refusal, usage};
use crate::release::changelog;
use crate::release::workspace::Workspace;
use crate::review::Side;

/// The help text of the command.
pub const HELP: &str = "\
cargo xtask check [--spec <directory>]
    Derives all files again from the committed openapi.json and overlay.yaml,
    offline, and compares them with the committed ones. Compares the public
    surface with the last release, and the version in Cargo.toml with the one
    that the changes require.
    Exit status: 0 up to date, 1 something differs, 2 error
";

/// The result of the check.
#[derive(Debug)]
pub struct Report {
    findings: Vec<String>,
    repair: Option<Repair>,
    spec: PathBuf,
}

/// Compares the committed files with the ones derived from them.
///
/// # Errors
/// Returns a [`Refusal`] if the committed document is invalid or cannot be normalized.
pub fn run(spec: &Path) -> Result<Report, Refusal> {
    let spec = SpecDir::open(spec)?;
    let overlay = spec.overlay()?;
    let mut report = Report {
        findings: Vec::new(),
        repair: None,
        spec: spec.path().to_owned(),
    };
    for leftover in spec.leftovers() {
        let name = leftover.file_name().unwrap_or_default().display();
        let finding = format!("{name}: left over from an interrupted update");
        report.found(finding, Repair::Fetch);
    }
    if let Err(fault) = spec.source() {
        report.found(format!("{SOURCE}: {fault}"), Repair::Fetch);
    }
    let Some(bytes) = spec.file(DOCUMENT) else {
        report.found(format!("{DOCUMENT}: missing"), Repair::Fetch);
        return Ok(report);
    };
    let document = judge::judge(bytes, None)?;
    if bytes != judge::format(&document).as_bytes() {
        let finding = format!("{DOCUMENT}: not in the format that update-spec writes");
        report.found(finding, Repair::Derive);
    }
    let derived = normalize::derive(&document, overlay)?;
    if let Some(finding) = compare(spec.file(NORMALIZED), &derived.document) {
        report.found(finding, Repair::Derive);
    }
    if report.findings.is_empty() {
        let workspace = Workspace::of(&spec);
        report
            .findings
            .extend(llms::outdated(workspace.path(), &spec));
        report.workspace(&workspace, derived);
    }
    Ok(report)
}

/// Parses the options of the command: the directory of the documents.
///
/// # Errors
/// Returns a [`Refusal`] for an unknown option.
pub fn parse(args: &mut Parser) -> Result<PathBuf, Refusal> {
    let mut spec = PathBuf::from(DEFAULT_PATH);
    while let Some(arg) = args.next().map_err(usage)? {
        match arg {
            Arg::Long("spec") => spec = args.value().map_err(usage)?.into(),
            other => return Err(usage(other.unexpected())),
        }
    }
    Ok(spec)
}

impl Report {
    fn found(&mut self, finding: String, repair: Repair) {
        self.findings.push(finding);
        self.repair = self.repair.max(Some(repair));
    }

    /// Checks the files outside the directory that depend on the documents.
    fn workspace(&mut self, workspace: &Workspace, derived: Derived) {
        let surface = match Side::new("", derived) {
            Ok(side) => side.surface,
            Err(fault) => return self.found(format!("{NORMALIZED}: {fault}"), Repair::Fetch),
        };
        let release = match workspace.release() {
            Ok(release) => release,
            Err(fault) => return self.findings.push(fault),
        };
        match workspace.draft(release.as_ref(), &surface) {
            Ok(None) => {}
            Ok(Some(_)) => {
                let finding = format!(
                    "{}: the drafted part about the API is out of date",
                    changelog::NAME
                );
                self.found(finding, Repair::Derive);
            }
            Err(fault) => self.findings.push(fault),
        }
        let behind = workspace.behind(release.as_ref(), &surface);
        self.findings.extend(behind.unwrap_or_else(Some));
    }

    /// Returns the exit status of the command.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(u8::from(!self.findings.is_empty()))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.findings.is_empty() {
            return writeln!(f, "checked: {} is up to date", self.spec.display());
        }
        for finding in &self.findings {
            writeln!(f, "{finding}")?;
        }
        let spec = within_reach(&self.spec);
        let option = match Path::new(DEFAULT_PATH).canonicalize() {
            Ok(default) if default == self.spec => String::new(),
            _ => format!(" --spec {}", spec.display()),
        };
        match self.repair {
            None => Ok(()),
            Some(Repair::Derive) => writeln!(
                f,
                "fix with: cargo xtask update-spec --from {}{option}",
                spec.join(DOCUMENT).display()
            ),
            Some(Repair::Fetch) => writeln!(
                f,
                "restore the file with git, or fix with: cargo xtask update-spec{option}"
            ),
        }
    }
}

/// How the findings can be fixed. A version must be set manually.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Repair {
    Derive,
    Fetch,
}

fn compare(committed: Option<&[u8]>, derived: &Value) -> Option<String> {
    let Some(committed) = committed else {
        return Some(format!("{NORMALIZED}: missing"));
    };
    if committed == judge::format(derived).as_bytes() {
        return None;
    }
    let difference = match serde_json::from_slice(committed) {
        Err(error) => format!("not JSON: {error}"),
        Ok(committed) => match first_difference(&committed, derived) {
            Some(pointer) if pointer.is_empty() => {
                "differs from the derived file at the root".to_owned()
            }
            Some(pointer) => format!("differs from the derived file, first at {pointer}"),
            None => "not in the format that update-spec writes".to_owned(),
        },
    };
    Some(format!("{NORMALIZED}: {difference}"))
}

/// Returns the pointer to the first difference of two documents, in sorted order.
fn first_difference(one: &Value, other: &Value) -> Option<String> {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => {
            let keys: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
            let mut keys = keys.into_iter();
            keys.find_map(|key| difference_below(&escape(key), one.get(key), other.get(key)))
        }
        (Value::Array(one), Value::Array(other)) => {
            let mut indices = 0..one.len().max(other.len());
            indices.find_map(|at| difference_below(&at.to_string(), one.get(at), other.get(at)))
        }
        _ => (one != other).then(String::new),
    }
}

fn difference_below(step: &str, one: Option<&Value>, other: Option<&Value>) -> Option<String> {
    let rest = match (one, other) {
        (Some(one), Some(other)) => first_difference(one, other)?,
        _ => String::new(),
    };
    Some(format!("/{step}{rest}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_first_difference_is_found() {
        let one = json!({ "a": [1, { "x/y": 1, "z": 2 }], "b": 1 });
        let mut other = one.clone();
        assert_eq!(first_difference(&one, &other), None);
        other["b"] = 2.into();
        assert_eq!(first_difference(&one, &other).as_deref(), Some("/b"));
        other["a"][1]["x/y"] = 2.into();
        assert_eq!(first_difference(&one, &other).as_deref(), Some("/a/1/x~1y"));
        other["a"] = json!([1]);
        assert_eq!(first_difference(&one, &other).as_deref(), Some("/a/1"));
        assert_eq!(first_difference(&one, &json!(1)).as_deref(), Some(""));
    }
}
