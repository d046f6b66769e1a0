//! The version that a change requires.

use std::fmt;

use semver::Version;
use serde::{Deserialize, Serialize};

/// The part of the version that must increase, by Semantic Versioning of the Rust surface,
/// regardless of who caused the change.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// The same code is generated.
    #[default]
    None,
    /// Documentation or order changed: existing code compiles and behaves the same.
    Patch,
    /// Something was added, or a table has another entry.
    Minor,
    /// Existing code no longer compiles, or fails before it sends.
    Major,
}

/// Parses the three numbers of a version. Text after `-` or `+` is ignored.
pub fn version(text: &str) -> Option<Version> {
    let version = Version::parse(text).ok()?;
    Some(Version::new(version.major, version.minor, version.patch))
}

impl Level {
    /// Returns the lowest version after another one for a change of this level. Before 1.0.0 cargo
    /// treats the first nonzero number as the major one, and the numbers after it as the rest.
    pub fn after(self, version: &Version) -> Version {
        let (major, minor, patch) = (version.major, version.minor, version.patch);
        match (self, major, minor) {
            (Self::None, ..) => Version::new(major, minor, patch),
            (Self::Major, 0, 0) => Version::new(0, 0, patch + 1),
            (Self::Major, 0, _) => Version::new(0, minor + 1, 0),
            (Self::Major, ..) => Version::new(major + 1, 0, 0),
            (Self::Minor, 1.., _) => Version::new(major, minor + 1, 0),
            (Self::Minor | Self::Patch, ..) => Version::new(major, minor, patch + 1),
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Patch => "patch",
            Self::Minor => "minor",
            Self::Major => "major",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_moves_as_cargo_reads_it() {
        for (from, level, to) in [
            ("0.1.0", Level::None, "0.1.0"),
            ("0.1.0", Level::Patch, "0.1.1"),
            ("0.1.0", Level::Minor, "0.1.1"),
            ("0.1.3", Level::Major, "0.2.0"),
            ("0.0.3", Level::Major, "0.0.4"),
            ("1.2.3", Level::Patch, "1.2.4"),
            ("1.2.3", Level::Minor, "1.3.0"),
            ("1.2.3", Level::Major, "2.0.0"),
            ("1.2.3-rc.1+2026-11-22", Level::Minor, "1.3.0"),
        ] {
            let next = level.after(&version(from).unwrap());
            assert_eq!(next.to_string(), to, "{from} {level}");
        }
        assert!(version("1.10.0") > version("1.9.9"));
        for text in ["", "1", "1.2", "1.2.x", "1.2.3.4"] {
            assert_eq!(version(text), None, "{text}");
        }
    }
}
