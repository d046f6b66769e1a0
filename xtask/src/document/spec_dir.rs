//! The directory of the documents, and the replacement of its files.
//!
//! New files are written to disk next to the old ones, then renamed one after the other. So each
//! file is always the complete old or the complete new one, and a full disk changes none of them. A
//! process that is killed between two renames leaves a mixture and temporary files. `cargo xtask
//! check` reports these, and the next update removes them.

use std::collections::BTreeMap;
use std::env;
use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;
use tempfile::NamedTempFile;

use super::source::Source;
use crate::refusal::{Refusal, refuse};

/// The document as received, formatted.
pub const DOCUMENT: &str = "openapi.json";
/// Facts that the document lacks; written manually.
pub const OVERLAY: &str = "overlay.yaml";
/// The document that the generator reads.
pub const NORMALIZED: &str = "openapi.normalized.json";
/// The source of the document.
pub const SOURCE: &str = "source.toml";
/// The review of the last update.
pub const REVIEW: &str = "REVIEW.md";

const READ: [&str; 5] = [DOCUMENT, OVERLAY, NORMALIZED, SOURCE, REVIEW];

/// The name prefix of a temporary file.
const STAGED: &str = ".update-spec-";

/// The directory of this workspace.
pub const DEFAULT_PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../spec");

/// The directory, with its files as they were when it was opened.
#[derive(Debug)]
pub struct SpecDir {
    path: PathBuf,
    files: BTreeMap<&'static str, Vec<u8>>,
}

/// A file to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The name of the file.
    pub name: &'static str,
    /// The current content, if the file exists.
    pub before: Option<String>,
    /// The new content.
    pub after: String,
}

impl SpecDir {
    /// Opens a directory and reads its files.
    ///
    /// # Errors
    /// Returns a [`Refusal`] if the directory does not exist or a file in it cannot be read.
    pub fn open(path: &Path) -> Result<Self, Refusal> {
        let no_directory = |problem: String| {
            refuse(
                problem,
                format!("the directory with {OVERLAY}"),
                "pass the correct one with --spec, or omit the option",
            )
        };
        let path = fs::canonicalize(path).map_err(|error| {
            no_directory(format!("no directory at {}: {error}", path.display()))
        })?;
        if !path.is_dir() {
            return Err(no_directory(format!("{}, not a directory", path.display())));
        }
        let mut spec = Self {
            path,
            files: BTreeMap::new(),
        };
        spec.files = spec.read().map_err(|error| {
            refuse(
                format!("cannot read a file in {}: {error}", spec.path.display()),
                "readable files",
                "check the permissions of the directory",
            )
        })?;
        Ok(spec)
    }

    /// Returns the canonical path of the directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the content of a file when the directory was opened.
    pub fn file(&self, name: &str) -> Option<&[u8]> {
        self.files.get(name).map(Vec::as_slice)
    }

    /// Returns the overlay.
    ///
    /// # Errors
    /// Returns a [`Refusal`] if it is missing or not UTF-8.
    pub fn overlay(&self) -> Result<&str, Refusal> {
        let problem = match self.file(OVERLAY).map(str::from_utf8) {
            Some(Ok(text)) => return Ok(text),
            Some(Err(_)) => format!("{OVERLAY} is not UTF-8"),
            None => format!("no {OVERLAY} in {}", self.path.display()),
        };
        Err(refuse(
            problem,
            format!("an OpenAPI overlay in {OVERLAY}"),
            "create it, or restore it with git",
        ))
    }

    /// Returns the record of the document's source.
    ///
    /// # Errors
    /// Returns one line about what is missing or invalid.
    pub(crate) fn source(&self) -> Result<Source, String> {
        let bytes = self.file(SOURCE).ok_or("missing")?;
        Source::parse(str::from_utf8(bytes).map_err(|_| "not UTF-8")?)
    }

    /// Returns whether a path is the committed document.
    pub fn is_document(&self, path: &Path) -> bool {
        fs::canonicalize(path).is_ok_and(|path| path == self.path.join(DOCUMENT))
    }

    /// Returns the change of a file; `None` if the content is the same.
    pub fn change(&self, name: &'static str, after: String) -> Option<Change> {
        let before = self.file(name);
        (before != Some(after.as_bytes())).then(|| Change {
            name,
            before: before.map(|bytes| String::from_utf8_lossy(bytes).into_owned()),
            after,
        })
    }

    /// Returns the temporary files of killed processes.
    pub(crate) fn leftovers(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(&self.path).into_iter().flatten().flatten();
        entries
            .filter(|entry| entry.file_name().to_string_lossy().starts_with(STAGED))
            .map(|entry| entry.path())
            .collect()
    }

    /// Removes the temporary files of killed processes.
    pub fn sweep(&self) {
        let _lock = self.lock();
        for path in self.leftovers() {
            // A file that cannot be removed is harmless, and `check` reports it.
            let _ = fs::remove_file(path);
        }
    }

    /// Replaces files, each one atomically.
    ///
    /// # Errors
    /// Returns a [`Refusal`] if the files have changed since the directory was opened, or if they
    /// cannot be written; no file is replaced then. If a file cannot be replaced after another one
    /// was, the error states so and names the command that restores both.
    pub fn replace(&self, changes: &[Change]) -> Result<(), Refusal> {
        let _lock = self.lock();
        let failed = |error: io::Error| {
            refuse(
                format!("cannot write: {error}"),
                format!("a writable {} with free space", self.path.display()),
                "free space or fix the permissions, then run the command again",
            )
        };
        if self.read().map_err(failed)? != self.files {
            return Err(refuse(
                format!("files in {} changed in the meantime", self.path.display()),
                "no other process that changes them",
                "run the command again",
            ));
        }
        self.rename_each(changes).map_err(|(replaced, error)| {
            let refusal = failed(error);
            if replaced == 0 {
                return refusal;
            }
            Refusal {
                problem: format!(
                    "{}, after {replaced} of {} files were replaced",
                    refusal.problem,
                    changes.len()
                ),
                help: format!(
                    "run `git restore {}`, then {}",
                    within_reach(&self.path).display(),
                    refusal.help
                ),
                ..refusal
            }
        })
    }

    /// Writes all files before it replaces the first one. An error contains the number of replaced
    /// files.
    fn rename_each(&self, changes: &[Change]) -> Result<(), (usize, io::Error)> {
        let staged: io::Result<Vec<_>> = changes
            .iter()
            .map(|change| {
                let target = self.path.join(change.name);
                Ok((stage(&target, &change.after)?, target))
            })
            .collect();
        let staged = staged.map_err(|error| (0, error))?;
        for (replaced, (file, target)) in staged.into_iter().enumerate() {
            file.persist(target)
                .map_err(|error| (replaced, error.error))?;
        }
        // All files are replaced; this makes the renames durable.
        let _ = File::open(&self.path).and_then(|directory| directory.sync_all());
        Ok(())
    }

    fn read(&self) -> io::Result<BTreeMap<&'static str, Vec<u8>>> {
        let mut files = BTreeMap::new();
        for name in READ {
            match fs::read(self.path.join(name)) {
                Ok(bytes) => files.insert(name, bytes),
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                Err(error) => return Err(error),
            };
        }
        Ok(files)
    }

    /// Prevents a second process from removing the temporary files of this one. File systems
    /// without locks offer no protection.
    fn lock(&self) -> Option<File> {
        let directory = File::open(&self.path).ok()?;
        rustix::fs::flock(&directory, FlockOperation::LockExclusive).ok()?;
        Some(directory)
    }
}

impl Change {
    /// Counts the added and removed lines.
    pub fn lines(&self) -> (usize, usize) {
        lines_changed(self.before.as_deref().unwrap_or_default(), &self.after)
    }
}

/// Counts the added and removed lines. A line that only moved does not count.
pub(crate) fn lines_changed(before: &str, after: &str) -> (usize, usize) {
    let mut balance: BTreeMap<&str, isize> = BTreeMap::new();
    for line in after.lines() {
        *balance.entry(line).or_default() += 1;
    }
    for line in before.lines() {
        *balance.entry(line).or_default() -= 1;
    }
    balance.values().fold((0, 0), |(new, gone), count| {
        if *count > 0 {
            (new + count.unsigned_abs(), gone)
        } else {
            (new, gone + count.unsigned_abs())
        }
    })
}

/// Returns the path relative to the current directory, if that is above it.
pub(crate) fn within_reach(path: &Path) -> PathBuf {
    env::current_dir()
        .ok()
        .and_then(|here| path.strip_prefix(here).ok().map(Path::to_owned))
        .filter(|relative| !relative.as_os_str().is_empty())
        .unwrap_or_else(|| path.to_owned())
}

/// Writes a temporary file next to its target, with the permissions of the target.
pub(crate) fn stage(target: &Path, text: &str) -> io::Result<NamedTempFile> {
    let mut file = tempfile::Builder::new()
        .prefix(STAGED)
        // The permissions of any new file, from which the system removes the umask.
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(target.parent().unwrap_or(Path::new("")))?;
    file.write_all(text.as_bytes())?;
    if let Ok(old) = fs::metadata(target) {
        file.as_file().set_permissions(old.permissions())?;
    }
    file.as_file().sync_all()?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(files: &[(&str, &str)]) -> (tempfile::TempDir, SpecDir) {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("spec");
        fs::create_dir(&path).unwrap();
        for (name, text) in files {
            fs::write(path.join(name), text).unwrap();
        }
        let spec = SpecDir::open(&path).unwrap();
        (root, spec)
    }

    fn listing(directory: &Path) -> Vec<(String, String)> {
        let mut listing: Vec<_> = fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap())
            .map(|entry| {
                let text = fs::read_to_string(entry.path()).unwrap_or_default();
                (entry.file_name().into_string().unwrap(), text)
            })
            .collect();
        listing.sort();
        listing
    }

    fn owned(files: &[(&str, &str)]) -> Vec<(String, String)> {
        files
            .iter()
            .map(|(a, b)| (a.to_string(), b.to_string()))
            .collect()
    }

    fn changes(spec: &SpecDir) -> Vec<Change> {
        [
            spec.change(DOCUMENT, "new document".into()),
            spec.change(NORMALIZED, "new normalized".into()),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    const OLD: &[(&str, &str)] = &[("README.md", "read"), (DOCUMENT, "old"), (OVERLAY, "hand")];
    const NEW: &[(&str, &str)] = &[
        ("README.md", "read"),
        (DOCUMENT, "new document"),
        (NORMALIZED, "new normalized"),
        (OVERLAY, "hand"),
    ];

    #[test]
    fn files_are_replaced_and_keep_their_permissions() {
        let (_root, spec) = spec(OLD);
        let document = spec.path().join(DOCUMENT);
        fs::set_permissions(&document, Permissions::from_mode(0o640)).unwrap();
        spec.replace(&changes(&spec)).unwrap();
        assert_eq!(listing(spec.path()), owned(NEW));
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&document), 0o640);
        let by_hand = spec.path().join("by hand");
        fs::write(&by_hand, "").unwrap();
        assert_eq!(mode(&spec.path().join(NORMALIZED)), mode(&by_hand));
    }

    #[test]
    fn a_failure_halfway_names_the_command_that_restores_the_files() {
        let (_root, spec) = spec(OLD);
        let directory = spec.path().join("notes");
        fs::create_dir(&directory).unwrap();
        let mut changes = changes(&spec);
        changes.insert(
            1,
            Change {
                name: "notes",
                before: None,
                after: "no file replaces a directory".into(),
            },
        );

        let refusal = spec.replace(&changes).unwrap_err();

        assert!(refusal.problem.contains("after 1 of 3 files"), "{refusal}");
        let restore = format!("`git restore {}`", spec.path().display());
        assert!(refusal.help.contains(&restore), "{refusal}");
        fs::remove_dir(directory).unwrap();
        let halfway = [NEW[0], NEW[1], NEW[3]];
        assert_eq!(listing(spec.path()), owned(&halfway));
    }

    #[test]
    fn a_file_changed_in_the_meantime_is_not_overwritten() {
        let (_root, spec) = spec(OLD);
        fs::write(spec.path().join(OVERLAY), "edited").unwrap();
        let refusal = spec.replace(&changes(&spec)).unwrap_err();
        assert!(refusal.problem.contains("in the meantime"), "{refusal}");
        assert_eq!(fs::read(spec.path().join(DOCUMENT)).unwrap(), b"old");
    }

    #[test]
    fn folders_and_links_are_carried_over() {
        let (_root, spec) = spec(OLD);
        fs::create_dir(spec.path().join("notes")).unwrap();
        fs::write(spec.path().join("notes/a.md"), "a").unwrap();
        std::os::unix::fs::symlink("README.md", spec.path().join("link")).unwrap();
        spec.replace(&changes(&spec)).unwrap();
        assert_eq!(fs::read(spec.path().join("notes/a.md")).unwrap(), b"a");
        let link = fs::read_link(spec.path().join("link")).unwrap();
        assert_eq!(link, Path::new("README.md"));
    }

    #[test]
    fn only_leftovers_are_swept() {
        let (_root, spec) = spec(OLD);
        let kept = spec.path().join("update-spec-17");
        fs::write(&kept, "").unwrap();
        fs::write(spec.path().join(".update-spec-17"), "").unwrap();
        spec.sweep();
        fs::remove_file(kept).unwrap();
        assert_eq!(listing(spec.path()), owned(OLD));
    }

    #[test]
    fn lines_are_counted() {
        let change = |before: Option<&str>, after: &str| Change {
            name: DOCUMENT,
            before: before.map(str::to_owned),
            after: after.to_owned(),
        };
        assert_eq!(change(None, "a\nb\n").lines(), (2, 0));
        assert_eq!(change(Some("a\nb\nb\n"), "b\na\nc\n").lines(), (1, 1));
    }
}
