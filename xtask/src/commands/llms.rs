//! `cargo xtask llms`: writes `llms.txt`, the description of the crate for coding assistants.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::document::spec_dir::{NORMALIZED, SpecDir};
use crate::refusal::{Refusal, refuse};
use crate::release::workspace::Workspace;

/// The help text of the command.
pub const HELP: &str = "\
cargo xtask llms
    Writes llms.txt from the block of context in src/tools/, the guides and the
    table of operations. `cargo xtask check` compares it.
    Exit status: 0 done, 2 error
";

/// The file that is written.
pub const NAME: &str = "llms.txt";

const CONTEXT: &str = "src/tools/context.md";
const GUIDES: &str = "src/guide";

const HEAD: &str = "\
# fullscript

> A Rust client of the Fullscript partner API: practitioners, patients, treatment plans, orders, \
labs and webhooks. Written by `cargo xtask llms`; do not edit.
";

/// Writes the file if it changed, and returns a text that says so.
///
/// # Errors
/// Returns a [`Refusal`] if a source is missing, or if the file cannot be written.
pub fn run(spec: &Path) -> Result<String, Refusal> {
    let failed = |problem: String| {
        let expected = format!("{CONTEXT}, {GUIDES}/mod.rs and spec/{NORMALIZED}");
        refuse(problem, &expected, "restore the file with git")
    };
    let spec = SpecDir::open(spec)?;
    let workspace = Workspace::of(&spec);
    let after = text(workspace.path(), &spec).map_err(failed)?;
    let path = workspace.path().join(NAME);
    if fs::read_to_string(&path).unwrap_or_default() == after {
        return Ok(format!("unchanged: {NAME}\n"));
    }
    fs::write(&path, after).map_err(|error| failed(format!("cannot write {NAME}: {error}")))?;
    Ok(format!("changed: {NAME}\n"))
}

/// Returns a message if the file is not the one that the command writes. A directory without the
/// block of context has no such file.
pub fn outdated(root: &Path, spec: &SpecDir) -> Option<String> {
    if !root.join(CONTEXT).exists() {
        return None;
    }
    let committed = fs::read_to_string(root.join(NAME)).unwrap_or_default();
    match text(root, spec) {
        Ok(text) if text == committed => None,
        Ok(_) => Some(format!("{NAME}: out of date; fix with: cargo xtask llms")),
        Err(fault) => Some(format!("{NAME}: {fault}")),
    }
}

fn text(root: &Path, spec: &SpecDir) -> Result<String, String> {
    let read = |path: &str| {
        fs::read_to_string(root.join(path)).map_err(|error| format!("{path}: {error}"))
    };
    let context = read(CONTEXT)?;
    let (_, context) = context.split_once('\n').unwrap_or_default();
    let guides = guides(&read(&format!("{GUIDES}/mod.rs"))?);
    let document = spec.file(NORMALIZED).unwrap_or_default();
    let document =
        serde_json::from_slice(document).map_err(|error| format!("{NORMALIZED}: {error}"))?;
    let operations = operations(&document);
    Ok(format!(
        "{HEAD}{context}\n## Guides\n\n{guides}\n## Operations\n\n\
         The id is the method of `Client` and the name of the tool. `!` needs commercial approval, \
         `*` is a list with `items()`.\n\n{operations}"
    ))
}

/// Returns a link to each guide, from the modules and their first lines.
fn guides(modules: &str) -> String {
    let lines: Vec<&str> = modules.lines().collect();
    let pairs = lines.windows(2).filter_map(|pair| {
        let about = pair[0].strip_prefix("/// ")?;
        let name = pair[1].strip_prefix("pub mod ")?.strip_suffix(" {")?;
        Some(format!("- [{name}]({GUIDES}/{name}.md): {about}\n"))
    });
    pairs.collect()
}

/// Returns a line for each operation, sorted by path.
fn operations(document: &Value) -> String {
    let mut text = String::new();
    for (path, methods) in document["paths"].as_object().into_iter().flatten() {
        for (method, operation) in methods.as_object().into_iter().flatten() {
            let Some(id) = operation["operationId"].as_str() else {
                continue;
            };
            let mark = |name: &str, mark| if operation[name] == true { mark } else { "" };
            let approval = mark("x-requires-commercial-approval", "!");
            let paged = mark("x-paged", "*");
            let (method, summary) = (method.to_uppercase(), operation["summary"].as_str());
            let summary = summary.unwrap_or_default();
            text += &format!("- {id}{approval}{paged}: {method} {path}, {summary}\n");
        }
    }
    text
}
