//! The surface of the last release, in `xtask/released.json`: what the next
//! version is judged against.
//!
//! A tag would do too, but then a shallow checkout could not be checked.

use std::fs;
use std::io;
use std::path::Path;

use semver::Version;
use serde::{Deserialize, Serialize};

use crate::review::{Level, Since, since};
use crate::surface::Surface;

/// What a released version gave its users.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Release {
    /// The version of this form.
    format: u32,
    /// The version that was released.
    pub version: Version,
    /// What users got.
    pub surface: Surface,
}

const FORMAT: u32 = 1;

/// Where a release is recorded, in the workspace.
pub const PATH: &str = "xtask/released.json";

impl Release {
    /// What a version gives its users.
    pub fn new(version: Version, surface: Surface) -> Self {
        Self {
            format: FORMAT,
            version,
            surface,
        }
    }

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
        if release.format != FORMAT {
            return Err("written by another version of this command".into());
        }
        Ok(Some(release))
    }

    /// Writes the record of a workspace.
    ///
    /// # Errors
    /// What the system says.
    pub fn write(&self, workspace: &Path) -> io::Result<()> {
        let text = serde_json::to_string_pretty(self)?;
        fs::write(workspace.join(PATH), format!("{text}\n"))
    }

    /// How far the surface has moved since, and where.
    pub fn compared_with(&self, present: &Surface) -> Since {
        since(&self.surface, present)
    }

    /// The least version that may come next.
    pub fn next(&self, level: Level) -> Version {
        level.after(&self.version)
    }
}
