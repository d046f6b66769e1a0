//! `cargo xtask record-release`: keeps what a published version gave its users.

use std::path::Path;

use crate::codegen::code;
use crate::document::spec_dir::{NORMALIZED, SpecDir};
use crate::refusal::{Refusal, refuse};
use crate::release::record::{PATH, Release};
use crate::release::workspace::Workspace;
use crate::surface::Surface;

/// How to use the command.
pub const HELP: &str = "\
cargo xtask record-release
    Records in xtask/released.json what users get of the version in Cargo.toml,
    and makes the drafted part of CHANGELOG.md a written one. Run it when a
    version is published; `check` judges the next version by it.
    Exit status: 0 done, 2 refused
";

/// Records the present surface under the present version.
///
/// # Errors
/// A [`Refusal`] if `spec/` holds no document that code can be generated from,
/// or a file cannot be read or written.
pub fn run(spec: &Path) -> Result<String, Refusal> {
    let spec = SpecDir::open(spec)?;
    let workspace = Workspace::of(&spec);
    let failed = |came: String| {
        refuse(
            came,
            "a workspace that is as derived",
            "run `cargo xtask check`",
        )
    };
    let version = workspace.version().map_err(failed)?;
    let version =
        version.ok_or_else(|| failed("no Cargo.toml with a version beside spec/".into()))?;
    let normalized = spec.file(NORMALIZED).unwrap_or_default();
    let surface = code(&String::from_utf8_lossy(normalized))
        .and_then(|code| Surface::of(&code))
        .map_err(failed)?;
    Release::new(version.clone(), surface)
        .write(workspace.path())
        .and_then(|()| workspace.settle_changelog())
        .map_err(|error| failed(format!("a write that failed: {error}")))?;
    Ok(format!("recorded {version} in {PATH}\n"))
}
