//! The public surface of the last release, in `xtask/released.json`, which the next version is
//! compared with.
//!
//! A git tag would not work in a shallow checkout.

use std::fs;
use std::io;
use std::path::Path;

use semver::Version;
use serde::{Deserialize, Serialize};

use crate::review::{Level, Since, since};
use crate::surface::Surface;

/// The public surface of a released version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Release {
    /// The version of the file format.
    format: u32,
    /// The released version.
    pub version: Version,
    /// The public surface.
    pub surface: Surface,
}

const FORMAT: u32 = 1;

/// The path of the record in the workspace.
pub const PATH: &str = "xtask/released.json";

impl Release {
    /// Creates the record of a version.
    pub fn new(version: Version, surface: Surface) -> Self {
        Self {
            format: FORMAT,
            version,
            surface,
        }
    }

    /// Reads the record of a workspace; `None` before the first release.
    ///
    /// # Errors
    /// Returns one line about what is wrong with the record.
    pub fn of(workspace: &Path) -> Result<Option<Self>, String> {
        let text = match fs::read_to_string(workspace.join(PATH)) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(format!("cannot read: {error}")),
        };
        let release: Self = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        if release.format != FORMAT {
            return Err("unsupported format; written by another version of `cargo xtask`".into());
        }
        Ok(Some(release))
    }

    /// Writes the record of a workspace.
    ///
    /// # Errors
    /// Returns the error of the file system.
    pub fn write(&self, workspace: &Path) -> io::Result<()> {
        let text = serde_json::to_string_pretty(self)?;
        fs::write(workspace.join(PATH), format!("{text}\n"))
    }

    /// Returns the changes of the surface since the release.
    pub fn compared_with(&self, present: &Surface) -> Since {
        since(&self.surface, present)
    }

    /// Returns the lowest version that may come next.
    pub fn next(&self, level: Level) -> Version {
        level.after(&self.version)
    }
}
