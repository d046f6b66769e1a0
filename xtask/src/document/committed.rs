//! The documents of the last commit. An update is compared with these, so that it can run
//! repeatedly before it is committed.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::document::judge;
use crate::document::source::Source;
use crate::document::spec_dir::{DOCUMENT, NORMALIZED, REVIEW, SOURCE, SpecDir};
use crate::normalize::{self, Derived};
use crate::refusal::Refusal;

/// The documents before the update.
pub(crate) struct Committed {
    /// The name in the record.
    pub(crate) name: String,
    /// The document as received.
    pub(crate) document: Value,
    /// The normalized document.
    pub(crate) normalized: Value,
    /// The committed review.
    pub(crate) review: Option<String>,
}

impl Committed {
    /// Reads the documents of the last commit, or those of the directory if git does not know them;
    /// `None` if neither has them.
    pub(crate) fn of(spec: &SpecDir) -> Option<Self> {
        let from_git = Self::read(|name| show(spec.path(), name));
        from_git.or_else(|| Self::held(spec))
    }

    /// Reads the documents of the directory, which the overlay belongs to.
    pub(crate) fn held(spec: &SpecDir) -> Option<Self> {
        Self::read(|name| spec.file(name).map(<[u8]>::to_vec))
    }

    /// Derives the old document again to get its repairs, which are not recorded, and keeps the
    /// committed normalized document.
    ///
    /// # Errors
    /// Returns a [`Refusal`] if the committed document is no longer accepted.
    pub(crate) fn derived(&self, overlay: &str) -> Result<Derived, Refusal> {
        let derived = normalize::derive(&self.document, overlay)?;
        Ok(Derived {
            document: self.normalized.clone(),
            ..derived
        })
    }

    fn read(file: impl Fn(&str) -> Option<Vec<u8>>) -> Option<Self> {
        let text = |name: &str| String::from_utf8(file(name)?).ok();
        let source = text(SOURCE).and_then(|text| Source::parse(&text).ok());
        Some(Self {
            name: source.map_or_else(|| "the document before".into(), |source| source.name()),
            document: judge::judge(&file(DOCUMENT)?, None).ok()?,
            normalized: serde_json::from_slice(&file(NORMALIZED)?).ok()?,
            review: text(REVIEW),
        })
    }
}

/// Returns a file of the directory in the last commit.
fn show(directory: &Path, name: &str) -> Option<Vec<u8>> {
    let mut git = Command::new("git");
    git.arg("-C").arg(directory);
    git.arg("show").arg(format!("HEAD:./{name}"));
    // A git hook sets these variables, possibly for another repository.
    for variable in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"] {
        git.env_remove(variable);
    }
    let output = git.output().ok()?;
    output.status.success().then_some(output.stdout)
}
