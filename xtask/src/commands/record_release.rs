//! `cargo xtask record-release`: records the public surface of a published version.

use std::path::Path;

use crate::codegen::code;
use crate::document::spec_dir::{NORMALIZED, SpecDir};
use crate::refusal::{Refusal, refuse};
use crate::release::record::{PATH, Release};
use crate::release::workspace::Workspace;
use crate::surface::Surface;

/// The help text of the command.
pub const HELP: &str = "\
cargo xtask record-release
    Records the public surface of the version in Cargo.toml in
    xtask/released.json, and removes the marks of the drafted part of
    CHANGELOG.md. Run it when a version is published; `check` compares the next
    version with this record.
    Exit status: 0 done, 2 error
";

/// Records the current public surface under the current version.
///
/// # Errors
/// Returns a [`Refusal`] if no code can be generated from the document in `spec/`, or if a file
/// cannot be read or written.
pub fn run(spec: &Path) -> Result<String, Refusal> {
    let spec = SpecDir::open(spec)?;
    let workspace = Workspace::of(&spec);
    let failed = |problem: String| {
        refuse(
            problem,
            "a workspace that `cargo xtask check` accepts",
            "run `cargo xtask check`",
        )
    };
    let version = workspace.version().map_err(failed)?;
    let version =
        version.ok_or_else(|| failed("no Cargo.toml with a version next to spec/".into()))?;
    let normalized = spec.file(NORMALIZED).unwrap_or_default();
    let surface = code(&String::from_utf8_lossy(normalized))
        .and_then(|code| Surface::of(&code))
        .map_err(failed)?;
    Release::new(version.clone(), surface)
        .write(workspace.path())
        .and_then(|()| workspace.settle_changelog())
        .map_err(|error| failed(format!("cannot write the record or the changelog: {error}")))?;
    Ok(format!("recorded {version} in {PATH}\n"))
}
