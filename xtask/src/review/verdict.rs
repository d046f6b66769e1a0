//! What a change asks of the next version.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How far a version has to move, by Semantic Versioning over the Rust
/// surface, whoever caused the change.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// The same code is generated.
    #[default]
    None,
    /// Documentation, or order: code compiles and does what it did.
    Patch,
    /// Something to use that was not there, or a table that says otherwise.
    Minor,
    /// Code that compiles today does not, or fails before it sends.
    Major,
}

/// A version of the package: three numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    major: u64,
    minor: u64,
    patch: u64,
}

impl Version {
    /// Reads `1.2.3`; what comes after `-` or `+` is left out.
    pub fn parse(text: &str) -> Option<Self> {
        let numbers = text.split(['-', '+']).next()?;
        let mut numbers = numbers.split('.').map(str::parse);
        let mut next = || numbers.next()?.ok();
        let version = Self {
            major: next()?,
            minor: next()?,
            patch: next()?,
        };
        next().is_none().then_some(version)
    }

    /// The least version that a change of this level may have after this one.
    /// Before 1.0.0 cargo takes the first number that is not zero for the
    /// major one, and what follows for all the rest.
    pub fn after(self, level: Level) -> Self {
        let Self {
            major,
            minor,
            patch,
        } = self;
        let (major, minor, patch) = match (level, major, minor) {
            (Level::None, ..) => (major, minor, patch),
            (Level::Major, 0, 0) => (0, 0, patch + 1),
            (Level::Major, 0, _) => (0, minor + 1, 0),
            (Level::Major, ..) => (major + 1, 0, 0),
            (Level::Minor, 1.., _) => (major, minor + 1, 0),
            (Level::Minor | Level::Patch, ..) => (major, minor, patch + 1),
        };
        Self {
            major,
            minor,
            patch,
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            major,
            minor,
            patch,
        } = self;
        write!(f, "{major}.{minor}.{patch}")
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
            let version = Version::parse(from).unwrap().after(level);
            assert_eq!(version.to_string(), to, "{from} {level}");
        }
        assert!(Version::parse("1.10.0") > Version::parse("1.9.9"));
        for text in ["", "1", "1.2", "1.2.x", "1.2.3.4"] {
            assert_eq!(Version::parse(text), None, "{text}");
        }
    }
}
