//! `cargo xtask snapshots`: writes `tests/snapshots` and `docs/coverage.md` from the committed
//! documents.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::coverage;
use crate::document::judge;
use crate::document::spec_dir::{DOCUMENT, SpecDir, lines_changed};
use crate::normalize;
use crate::refusal::{Refusal, refuse};
use crate::release::workspace::Workspace;
use crate::review::Side;

/// The help text of the command.
pub const HELP: &str = "\
cargo xtask snapshots
    Writes tests/snapshots from the committed files in spec/: the public
    surface and the repairs, one fact per line, for review; and
    docs/coverage.md, the methods of the vendor's endpoints. The tests compare
    them with the compiled code.
    Exit status: 0 done, 2 error
";

/// The directory of the snapshots in the workspace.
const DIRECTORY: &str = "tests/snapshots";

/// The table of endpoints in the workspace.
const COVERAGE: &str = "docs/coverage.md";

/// Returns the lines of each snapshot, by its name.
pub fn of(side: &Side) -> BTreeMap<&'static str, Vec<String>> {
    let surface = &side.surface;
    BTreeMap::from([
        ("approval", surface.approval_lines()),
        ("lists", surface.list_lines()),
        ("operations", surface.operation_lines()),
        ("repairs", repairs(side)),
        ("types", surface.type_lines()),
    ])
}

/// Writes the files that changed, and returns a text that lists them.
///
/// # Errors
/// Returns a [`Refusal`] if no code can be generated from the document in `spec/`, or if a file
/// cannot be written.
pub fn run(spec: &Path) -> Result<String, Refusal> {
    let spec = SpecDir::open(spec)?;
    let document = judge::judge(spec.file(DOCUMENT).unwrap_or_default(), None)?;
    let derived = normalize::derive(&document, spec.overlay()?)?;
    let failed = |problem: String| {
        refuse(
            problem,
            "documents that `cargo xtask check` accepts",
            "run `cargo xtask check`",
        )
    };
    let side = Side::new("", derived).map_err(failed)?;
    let root = Workspace::of(&spec).path().to_owned();
    let mut files: Vec<(String, String)> = of(&side)
        .into_iter()
        .map(|(name, lines)| {
            let text = format!("---\nsource: {}\n---\n{}\n", source(name), lines.join("\n"));
            (format!("{DIRECTORY}/{name}.snap"), text)
        })
        .collect();
    let coverage = coverage::table(&document, &side).map_err(failed)?;
    files.push((COVERAGE.into(), coverage));
    let mut text = String::new();
    for (name, after) in files {
        let path = root.join(&name);
        let before = fs::read_to_string(&path).unwrap_or_default();
        if before != after {
            fs::write(&path, &after)
                .map_err(|error| failed(format!("cannot write {name}: {error}")))?;
            let (new, gone) = lines_changed(&before, &after);
            text.push_str(&format!("changed {name}: +{new} -{gone} lines\n"));
        }
    }
    if text.is_empty() {
        text.push_str(&format!("unchanged: {DIRECTORY} and {COVERAGE}\n"));
    }
    Ok(text)
}

/// Returns the test that compares a snapshot with the code.
fn source(name: &str) -> &'static str {
    match name {
        "repairs" => "xtask/tests/repairs.rs",
        _ => "tests/it/api/surface.rs",
    }
}

fn repairs(side: &Side) -> Vec<String> {
    let repairs = side.repairs.iter().map(ToString::to_string);
    let unmatched = side.unmatched.iter();
    let unmatched = unmatched.map(|target| format!("overlay matched nothing    {target}"));
    repairs.chain(unmatched).collect()
}
