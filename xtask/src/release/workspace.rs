//! The files next to `spec/` that depend on it: the package's version, and the changelog with its
//! drafted part.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use semver::Version;

use crate::document::spec_dir::{Change, SpecDir, stage};
use crate::release::changelog;
use crate::release::record::{PATH, Release};
use crate::review;
use crate::surface::Surface;

/// The directory that contains `spec/`.
#[derive(Debug)]
pub struct Workspace {
    path: PathBuf,
}

impl Workspace {
    /// Returns the workspace of a directory of documents.
    pub fn of(spec: &SpecDir) -> Self {
        Self {
            path: spec.path().parent().unwrap_or(spec.path()).to_owned(),
        }
    }

    /// Returns the path of the directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the version in `Cargo.toml`; `None` if there is no package.
    ///
    /// # Errors
    /// Returns one line about what is wrong with the manifest.
    pub fn version(&self) -> Result<Option<Version>, String> {
        let Some(text) = self.read("Cargo.toml")? else {
            return Ok(None);
        };
        let manifest: toml::Table =
            toml::from_str(&text).map_err(|error| format!("Cargo.toml: {}", error.message()))?;
        let version = manifest
            .get("package")
            .and_then(|package| package.get("version"));
        let Some(version) = version else {
            return Ok(None);
        };
        let version = version.as_str().and_then(review::version);
        version
            .map(Some)
            .ok_or_else(|| "Cargo.toml: its version is not three numbers".into())
    }

    /// Returns the record of the last release, if there was one.
    ///
    /// # Errors
    /// Returns one line about what is wrong with the record.
    pub fn release(&self) -> Result<Option<Release>, String> {
        Release::of(&self.path).map_err(|fault| format!("{PATH}: {fault}"))
    }

    /// Returns a message if the version in `Cargo.toml` increased less than the changes since the
    /// release require.
    ///
    /// # Errors
    /// Returns one line about what is wrong with the manifest.
    pub fn behind(
        &self,
        release: Option<&Release>,
        surface: &Surface,
    ) -> Result<Option<String>, String> {
        let (Some(release), Some(version)) = (release, self.version()?) else {
            return Ok(None);
        };
        let since = release.compared_with(surface);
        let level = since.level;
        let needed = release.next(level);
        if version >= needed {
            return Ok(None);
        }
        let lines = since.lines.iter().filter(|line| line.level == level);
        let lines = lines.map(|line| format!("\n    {}: {}", line.subject, line.effect));
        let access = since.access.iter().filter(|access| access.level == level);
        let access = access.map(|access| format!("\n    {}", access.text));
        let because: Vec<String> = access.chain(lines).collect();
        Ok(Some(format!(
            "Cargo.toml: version {version}, but the changes since {} are {level}; \
             set {needed} or higher{}",
            release.version,
            because.concat()
        )))
    }

    /// Drafts the changelog's part about a surface; `None` if there is no changelog or its text
    /// would not change.
    ///
    /// # Errors
    /// Returns one line about what is wrong with the changelog.
    pub fn draft(
        &self,
        release: Option<&Release>,
        surface: &Surface,
    ) -> Result<Option<Change>, String> {
        let Some(before) = self.read(changelog::NAME)? else {
            return Ok(None);
        };
        let after = changelog::drafted(&before, changelog::entry(release, surface).as_deref())?;
        Ok((after != before).then_some(Change {
            name: changelog::NAME,
            before: Some(before),
            after,
        }))
    }

    /// Writes a draft atomically.
    ///
    /// # Errors
    /// Returns the error of the file system.
    pub fn write(&self, draft: &Change) -> io::Result<()> {
        self.replace(&draft.after)
    }

    /// Removes the marks of the drafted part, so that later updates do not change it.
    ///
    /// # Errors
    /// Returns the error of the file system.
    pub fn settle_changelog(&self) -> io::Result<()> {
        let text = self.read(changelog::NAME).map_err(io::Error::other)?;
        text.map_or(Ok(()), |text| self.replace(&changelog::settled(&text)))
    }

    fn replace(&self, text: &str) -> io::Result<()> {
        let target = self.path.join(changelog::NAME);
        stage(&target, text)?.persist(target)?;
        Ok(())
    }

    fn read(&self, name: &str) -> Result<Option<String>, String> {
        match fs::read_to_string(self.path.join(name)) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(format!("{name}: cannot read: {error}")),
        }
    }
}
