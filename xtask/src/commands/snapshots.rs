//! `cargo xtask snapshots`: writes `tests/snapshots` from the committed documents.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

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
    surface and the repairs, one fact per line, for review. The tests compare
    them with the compiled code.
    Exit status: 0 done, 2 error
";

/// The directory of the snapshots in the workspace.
const DIRECTORY: &str = "tests/snapshots";

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

/// Writes the snapshots that changed, and returns a text that lists them.
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
    let directory = Workspace::of(&spec).path().join(DIRECTORY);
    let mut text = String::new();
    for (name, lines) in of(&side) {
        let path = directory.join(format!("{name}.snap"));
        let before = fs::read_to_string(&path).unwrap_or_default();
        let after = format!("---\nsource: {}\n---\n{}\n", source(name), lines.join("\n"));
        if before != after {
            fs::write(&path, &after)
                .map_err(|error| failed(format!("cannot write {name}.snap: {error}")))?;
            let (new, gone) = lines_changed(&before, &after);
            text.push_str(&format!("changed {name}.snap: +{new} -{gone} lines\n"));
        }
    }
    if text.is_empty() {
        text.push_str("unchanged: tests/snapshots\n");
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
