//! The surface of the last release, in `xtask/released.json`: what the next
//! version is judged against.
//!
//! A tag would do too, but then a shallow checkout could not be checked.

use std::fs;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::codegen::code;
use crate::refusal::{Refusal, refuse};
use crate::review::{Level, Since, Version, since};
use crate::spec_dir::{NORMALIZED, SpecDir};
use crate::surface::Surface;
use crate::workspace::Workspace;

/// How to use the command.
pub const HELP: &str = "\
cargo xtask record-release
    Records in xtask/released.json what users get of the version in Cargo.toml,
    and makes the drafted part of CHANGELOG.md a written one. Run it when a
    version is published; `check` judges the next version by it.
    Exit status: 0 done, 2 refused
";

/// What a released version gave its users.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Release {
    /// The version of this form.
    format: u32,
    /// The version that was released.
    pub version: String,
    /// What users got.
    pub surface: Surface,
}

const FORMAT: u32 = 1;

/// Where a release is recorded, in the workspace.
pub const PATH: &str = "xtask/released.json";

impl Release {
    /// Reads the record of a workspace; none before the first release.
    ///
    /// # Errors
    /// One line on what is wrong with the record.
    pub fn of(workspace: &Path) -> Result<Option<Self>, String> {
        let text = match fs::read_to_string(workspace.join(PATH)) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(format!("unreadable: {error}")),
        };
        let release: Self = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        if release.format != FORMAT || Version::parse(&release.version).is_none() {
            return Err("written by another version of this command".into());
        }
        Ok(Some(release))
    }

    /// How far the surface has moved since, and where.
    #[must_use]
    pub fn compared_with(&self, present: &Surface) -> Since {
        since(&self.surface, present)
    }

    /// The least version that may come next.
    ///
    /// # Errors
    /// Says so if the recorded version is none.
    pub fn next(&self, level: Level) -> Result<Version, String> {
        let version = Version::parse(&self.version);
        let version = version.ok_or_else(|| format!("{:?} is no version", self.version))?;
        Ok(version.after(level))
    }
}

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
    let release = Release {
        format: FORMAT,
        version: version.to_string(),
        surface,
    };
    let text = serde_json::to_string_pretty(&release).map_err(|error| failed(error.to_string()))?;
    let path = workspace.path().join(PATH);
    fs::write(&path, format!("{text}\n"))
        .and_then(|()| workspace.settle_changelog())
        .map_err(|error| failed(format!("a write that failed: {error}")))?;
    Ok(format!("recorded {version} in {PATH}\n"))
}
