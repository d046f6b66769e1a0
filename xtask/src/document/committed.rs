//! The documents as the last commit holds them: what an update is compared
//! with, however often it is run before it is committed itself.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::document::judge;
use crate::document::source::Source;
use crate::document::spec_dir::{DOCUMENT, NORMALIZED, REVIEW, SOURCE, SpecDir};
use crate::normalize::{self, Derived};
use crate::refusal::Refusal;

/// What stood in the directory before the update.
pub(crate) struct Committed {
    /// The record's name for the document.
    pub(crate) name: String,
    /// What was received.
    pub(crate) document: Value,
    /// What was derived from it.
    pub(crate) normalized: Value,
    /// The review that was committed with it.
    pub(crate) review: Option<String>,
}

impl Committed {
    /// The documents of the last commit, or those of the directory where git
    /// does not know them; none where nothing can be compared with.
    pub(crate) fn of(spec: &SpecDir) -> Option<Self> {
        let from_git = Self::read(|name| show(spec.path(), name));
        from_git.or_else(|| Self::read(|name| spec.file(name).map(<[u8]>::to_vec)))
    }

    /// The old document as it is derived today: its repairs are not recorded,
    /// what was committed of it is.
    ///
    /// # Errors
    /// A [`Refusal`] where the committed document is none any more.
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

/// A file of the directory as of the last commit.
fn show(directory: &Path, name: &str) -> Option<Vec<u8>> {
    let mut git = Command::new("git");
    git.arg("-C").arg(directory);
    git.arg("show").arg(format!("HEAD:./{name}"));
    // A hook of git's has these set, for another repository perhaps.
    for variable in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"] {
        git.env_remove(variable);
    }
    let output = git.output().ok()?;
    output.status.success().then_some(output.stdout)
}
