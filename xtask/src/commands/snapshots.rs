//! `cargo xtask snapshots`: what a reviewer reads in `tests/snapshots`,
//! written anew from the committed documents.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::document::judge;
use crate::document::spec_dir::{DOCUMENT, SpecDir, lines_changed};
use crate::normalize;
use crate::refusal::{Refusal, refuse};
use crate::release::workspace::Workspace;
use crate::review::Side;

/// How to use the command.
pub const HELP: &str = "\
cargo xtask snapshots
    Writes tests/snapshots anew from what is committed in spec/: the lines that
    a reviewer reads after an update. The tests hold them against the compiled
    code.
    Exit status: 0 done, 2 refused
";

/// The directory of the snapshots, in the workspace.
const DIRECTORY: &str = "tests/snapshots";

/// The lines of each snapshot, by its name.
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

/// Writes those that changed, and says which.
///
/// # Errors
/// A [`Refusal`] if `spec/` holds no document that code can be generated from,
/// or a file cannot be written.
pub fn run(spec: &Path) -> Result<String, Refusal> {
    let spec = SpecDir::open(spec)?;
    let document = judge::judge(spec.file(DOCUMENT).unwrap_or_default(), None)?;
    let derived = normalize::derive(&document, spec.overlay()?)?;
    let failed = |came: String| refuse(came, "documents as derived", "run `cargo xtask check`");
    let side = Side::new("", derived).map_err(failed)?;
    let directory = Workspace::of(&spec).path().join(DIRECTORY);
    let mut said = String::new();
    for (name, lines) in of(&side) {
        let path = directory.join(format!("{name}.snap"));
        let before = fs::read_to_string(&path).unwrap_or_default();
        let after = format!("---\nsource: {}\n---\n{}\n", source(name), lines.join("\n"));
        if before != after {
            fs::write(&path, &after)
                .map_err(|error| failed(format!("a write of {name}.snap that failed: {error}")))?;
            let (new, gone) = lines_changed(&before, &after);
            said.push_str(&format!("changed {name}.snap: +{new} -{gone} lines\n"));
        }
    }
    if said.is_empty() {
        said.push_str("unchanged: tests/snapshots\n");
    }
    Ok(said)
}

/// The test that holds a snapshot against what is built.
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
