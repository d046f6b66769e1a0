//! The directory of the documents, and how its files are replaced: all
//! together or not at all.
//!
//! A complete sibling directory is built and exchanged with `spec/` in one
//! system call, so that a crash at any moment leaves the old files or the new
//! ones. Where the file system cannot exchange, the files are renamed one by
//! one and put back if one of them fails.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process;

use rustix::fs::FlockOperation;
use rustix::io::Errno;

use crate::refusal::{Refusal, refuse};

/// What was received, formatted.
pub const DOCUMENT: &str = "openapi.json";
/// What we know beyond the document; written by hand.
pub const OVERLAY: &str = "overlay.yaml";
/// What the generator reads.
pub const NORMALIZED: &str = "openapi.normalized.json";
/// Where the document came from.
pub const SOURCE: &str = "source.toml";
/// What the last update changed.
pub const REVIEW: &str = "REVIEW.md";

const READ: [&str; 5] = [DOCUMENT, OVERLAY, NORMALIZED, SOURCE, REVIEW];

/// The workspace's own directory.
pub const DEFAULT_PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../spec");

/// The directory with the files as they were when it was opened.
#[derive(Debug)]
pub struct SpecDir {
    path: PathBuf,
    parent: PathBuf,
    name: OsString,
    files: BTreeMap<&'static str, Vec<u8>>,
}

/// A file that is to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The name of the file.
    pub name: &'static str,
    /// What it holds now, if it exists.
    pub before: Option<String>,
    /// What it is to hold.
    pub after: String,
}

impl SpecDir {
    /// Opens a directory and reads its files.
    ///
    /// # Errors
    /// A [`Refusal`] if there is no such directory or a file in it cannot be
    /// read.
    pub fn open(path: &Path) -> Result<Self, Refusal> {
        let no_directory = |came: String| {
            refuse(
                came,
                format!("the directory with {OVERLAY}"),
                "pass the right one with --spec, or leave the option off",
            )
        };
        // Exchanging a link would replace the link, not what it points to.
        let path = fs::canonicalize(path).map_err(|error| {
            no_directory(format!("no directory at {}: {error}", path.display()))
        })?;
        let (Some(parent), Some(name), true) = (path.parent(), path.file_name(), path.is_dir())
        else {
            return Err(no_directory(format!("{}, not a directory", path.display())));
        };
        let mut spec = Self {
            parent: parent.to_owned(),
            name: name.to_owned(),
            files: BTreeMap::new(),
            path,
        };
        spec.files = spec.read().map_err(|error| {
            refuse(
                format!(
                    "a file in {} that cannot be read: {error}",
                    spec.path.display()
                ),
                "readable files",
                "check the permissions of the directory",
            )
        })?;
        Ok(spec)
    }

    /// The directory itself, without links.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What a file held when the directory was opened.
    pub fn file(&self, name: &str) -> Option<&[u8]> {
        self.files.get(name).map(Vec::as_slice)
    }

    /// The hand-written overlay.
    ///
    /// # Errors
    /// A [`Refusal`] if there is none or it is not text.
    pub fn overlay(&self) -> Result<&str, Refusal> {
        let came = match self.file(OVERLAY).map(str::from_utf8) {
            Some(Ok(text)) => return Ok(text),
            Some(Err(_)) => format!("an {OVERLAY} that is not UTF-8"),
            None => format!("no {OVERLAY} in {}", self.path.display()),
        };
        Err(refuse(
            came,
            format!("an OpenAPI overlay in {OVERLAY}"),
            "write one, or restore it with git",
        ))
    }

    /// Tells whether a path is the committed document itself.
    pub fn is_document(&self, path: &Path) -> bool {
        fs::canonicalize(path).is_ok_and(|path| path == self.path.join(DOCUMENT))
    }

    /// Names a file and what it is to hold, unless it holds that already.
    pub fn change(&self, name: &'static str, after: String) -> Option<Change> {
        let before = self.file(name);
        (before != Some(after.as_bytes())).then(|| Change {
            name,
            before: before.map(|bytes| String::from_utf8_lossy(bytes).into_owned()),
            after,
        })
    }

    /// Removes what a run that was killed has left behind.
    pub fn sweep(&self) {
        let _lock = self.lock();
        // Nothing depends on this; what cannot be removed is tried next time.
        for directory in [&self.parent, &self.path] {
            for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
                if self.is_leftover(directory, &entry.file_name().to_string_lossy()) {
                    remove(&entry.path());
                }
            }
        }
    }

    /// Replaces files, all or none.
    ///
    /// # Errors
    /// A [`Refusal`] if the files cannot be written, or have changed since the
    /// directory was opened. Nothing has been replaced then.
    pub fn replace(&self, changes: &[Change]) -> Result<(), Refusal> {
        let _lock = self.lock();
        let failed = |error: io::Error| {
            refuse(
                format!("a write that failed: {error}"),
                format!("a writable {} with free space", self.path.display()),
                "free space or mend the permissions, then run the command again",
            )
        };
        if self.read().map_err(failed)? != self.files {
            return Err(refuse(
                format!(
                    "files in {} that changed in the meantime",
                    self.path.display()
                ),
                "nobody else at work on them",
                "run the command again",
            ));
        }
        match self.exchange(changes) {
            Err(error) if is_unsupported(&error) => self.rename_each(changes),
            done => done,
        }
        .map_err(failed)
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

    /// Keeps a second run from sweeping away what this one builds. It is the
    /// parent that is locked, for `spec/` itself gets exchanged. Without locks
    /// in the file system two runs at once are on their own.
    fn lock(&self) -> Option<File> {
        let parent = File::open(&self.parent).ok()?;
        rustix::fs::flock(&parent, FlockOperation::LockExclusive).ok()?;
        Some(parent)
    }

    fn exchange(&self, changes: &[Change]) -> io::Result<()> {
        let staging = Temporary(self.parent.join(self.staging_name()));
        fs::create_dir(&staging.0)?;
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            if !changes
                .iter()
                .any(|change| entry.file_name() == change.name)
            {
                copy(&entry.path(), &staging.0.join(entry.file_name()))?;
            }
        }
        for change in changes {
            let old = self.path.join(change.name);
            write_like(&old, &staging.0.join(change.name), &change.after)?;
        }
        fs::set_permissions(&staging.0, fs::metadata(&self.path)?.permissions())?;
        File::open(&staging.0)?.sync_all()?;
        exchange_directories(&staging.0, &self.path)?;
        // The new files are in place; all that is left is to make it last.
        let _ = File::open(&self.parent).and_then(|parent| parent.sync_all());
        Ok(())
    }

    /// The second best: a crash halfway leaves a mix, which `xtask check` sees.
    /// The temporary files are inside, as `spec/` may be a mount of its own.
    fn rename_each(&self, changes: &[Change]) -> io::Result<()> {
        let temporary = |what: &str, change: &Change| {
            let name = format!(".{what}-{}-{}", process::id(), change.name);
            Temporary(self.path.join(name))
        };
        let mut steps = Vec::new();
        for change in changes {
            let step = Step {
                target: self.path.join(change.name),
                new: temporary("new", change),
                old: change.before.as_ref().map(|_| temporary("old", change)),
            };
            write_like(&step.target, &step.new.0, &change.after)?;
            if let Some(old) = &step.old {
                copy(&step.target, &old.0)?;
            }
            steps.push(step);
        }
        for (done, step) in steps.iter().enumerate() {
            if let Err(error) = fs::rename(&step.new.0, &step.target) {
                let lost = steps[..done].iter().filter(|step| step.undo().is_err());
                return Err(match lost.count() {
                    0 => error,
                    lost => io::Error::other(format!(
                        "{error}, and {lost} files could not be put back: restore them with git"
                    )),
                });
            }
        }
        let _ = File::open(&self.path).and_then(|directory| directory.sync_all());
        Ok(())
    }

    fn staging_name(&self) -> OsString {
        let mut name = self.staging_prefix();
        name.push(process::id().to_string());
        name
    }

    fn staging_prefix(&self) -> OsString {
        let mut prefix = OsString::from(".");
        prefix.push(&self.name);
        prefix.push(".new-");
        prefix
    }

    fn is_leftover(&self, directory: &Path, name: &str) -> bool {
        let is_id = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if directory == self.parent {
            let prefix = self.staging_prefix();
            return name
                .strip_prefix(&*prefix.to_string_lossy())
                .is_some_and(is_id);
        }
        [".new-", ".old-"]
            .iter()
            .filter_map(|prefix| name.strip_prefix(prefix)?.split_once('-'))
            .any(|(id, file)| is_id(id) && READ.contains(&file))
    }
}

impl Change {
    /// Counts the lines that are new and those that are gone.
    pub fn lines(&self) -> (usize, usize) {
        lines_changed(self.before.as_deref().unwrap_or_default(), &self.after)
    }
}

/// Counts the lines that are new and those that are gone. A line that only
/// moved counts as neither.
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

/// A file or directory that is removed when done with.
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        remove(&self.0);
    }
}

/// One rename, with what is needed to take it back.
struct Step {
    target: PathBuf,
    new: Temporary,
    old: Option<Temporary>,
}

impl Step {
    fn undo(&self) -> io::Result<()> {
        match &self.old {
            Some(old) => fs::rename(&old.0, &self.target),
            None => fs::remove_file(&self.target),
        }
    }
}

/// Removes without asking; what stays is swept by the next run.
fn remove(path: &Path) {
    let _ = match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
}

/// Links where possible: that keeps the times, by which cargo decides what to
/// build again, and costs no space.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let metadata = fs::symlink_metadata(from)?;
    if metadata.is_dir() {
        fs::create_dir(to)?;
        for entry in fs::read_dir(from)? {
            let entry = entry?;
            copy(&entry.path(), &to.join(entry.file_name()))?;
        }
        return fs::set_permissions(to, metadata.permissions());
    }
    if fs::hard_link(from, to).is_ok() {
        return Ok(());
    }
    fs::copy(from, to)?;
    File::open(to)?.sync_all()
}

/// Writes a new file down to the disk, with the permissions of the one it is
/// to replace.
fn write_like(old: &Path, new: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(new)?;
    file.write_all(text.as_bytes())?;
    if let Ok(metadata) = fs::metadata(old) {
        file.set_permissions(metadata.permissions())?;
    }
    file.sync_all()
}

#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
fn exchange_directories(one: &Path, other: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    Ok(renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE)?)
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
fn exchange_directories(_: &Path, _: &Path) -> io::Result<()> {
    Err(Errno::NOSYS.into())
}

/// Tells "cannot be done here" from "failed". Busy is what a mount point says.
fn is_unsupported(error: &io::Error) -> bool {
    [
        Errno::NOSYS,
        Errno::INVAL,
        Errno::XDEV,
        Errno::NOTSUP,
        Errno::BUSY,
    ]
    .iter()
    .any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
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
    fn both_ways_of_replacing_give_the_same() {
        type Way = fn(&SpecDir, &[Change]) -> io::Result<()>;
        let ways: [Way; 2] = [SpecDir::exchange, SpecDir::rename_each];
        for way in ways {
            let (root, spec) = spec(OLD);
            way(&spec, &changes(&spec)).unwrap();
            assert_eq!(listing(spec.path()), owned(NEW));
            assert_eq!(listing(root.path()).len(), 1, "nothing is left behind");
        }
    }

    #[test]
    fn a_failed_rename_takes_the_earlier_ones_back() {
        let (_root, spec) = spec(OLD);
        let changes = changes(&spec);
        fs::create_dir(spec.path().join(NORMALIZED)).unwrap();
        let before = listing(spec.path());
        spec.rename_each(&changes).unwrap_err();
        assert_eq!(listing(spec.path()), before);
    }

    #[test]
    fn a_file_changed_in_the_meantime_is_not_overwritten() {
        let (_root, spec) = spec(OLD);
        fs::write(spec.path().join(OVERLAY), "edited").unwrap();
        let refusal = spec.replace(&changes(&spec)).unwrap_err();
        assert!(refusal.came.contains("in the meantime"), "{refusal}");
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
        let (root, spec) = spec(OLD);
        let kept = [".spec.new-", ".spec.new-a", "spec.new-1", ".other.new-1"];
        for name in kept.iter().chain(&[".spec.new-17"]) {
            fs::create_dir(root.path().join(name)).unwrap();
        }
        fs::write(spec.path().join(".new-17-openapi.json"), "").unwrap();
        spec.sweep();
        let left = listing(root.path());
        assert_eq!(left.len(), kept.len() + 1, "{left:?}");
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
