//! The file itself: its creation, its owner and permissions, and whether it is still at its path.

use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::io::ErrorKind;
use std::path::{Path, PathBuf, is_separator};

use super::error::{Failure, Kind};

/// The files of a database that must stay in place while it is open.
const SUFFIXES: [&str; 2] = ["", "-wal"];

/// A file that is open, and its identity when it was opened.
pub(super) struct OpenFile {
    parts: [(PathBuf, Identity); SUFFIXES.len()],
}

/// What tells two files at one path apart: device and inode.
#[derive(PartialEq, Eq)]
struct Identity(#[cfg(unix)] (u64, u64));

impl OpenFile {
    /// Returns the file at a path that was opened just now.
    pub(super) fn at(path: &Path) -> Result<Self, Failure> {
        let part = |suffix| {
            let path = beside(path, suffix);
            let metadata = fs::metadata(&path).map_err(refused)?;
            Ok::<_, Failure>((path, identity(&metadata)))
        };
        let [main, log] = SUFFIXES.map(part);
        Ok(Self {
            parts: [main?, log?],
        })
    }

    /// Returns an error if the file was deleted, moved, replaced or cut to 0 bytes since it was
    /// opened.
    ///
    /// SQLite does not notice, and saves in a file that nobody can open again.
    pub(super) fn is_in_place(&self) -> Result<(), Failure> {
        for (path, known) in &self.parts {
            match fs::metadata(path) {
                Ok(metadata) if identity(&metadata) != *known => {
                    return Err(Failure::new(Kind::Replaced));
                }
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    return Err(Failure::new(Kind::Gone));
                }
                Err(error) => return Err(refused(error)),
            }
        }
        is_not_empty(&self.parts[0].0)
    }
}

/// Returns an error if a file has no content.
///
/// A new file appears at its path with its tables, so an empty one was cut off.
pub(super) fn is_not_empty(path: &Path) -> Result<(), Failure> {
    let length = fs::metadata(path).map_err(refused)?.len();
    if length == 0 {
        Err(Failure::new(Kind::Empty))
    } else {
        Ok(())
    }
}

/// Creates the file if it does not exist, accessible to its owner only, and returns its absolute
/// path.
///
/// `fill` writes the content of a new file before the file appears at its path.
pub(super) fn make(
    path: &Path,
    fill: impl FnOnce(&Path) -> Result<(), Failure>,
) -> Result<PathBuf, Failure> {
    // The path of a directory may end with a separator; the path of a file never does.
    let ends_with_separator = path.as_os_str().to_string_lossy().ends_with(is_separator);
    if path.is_dir() || ends_with_separator {
        return Err(Failure::new(Kind::IsDirectory));
    }
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => create(path, fill)?,
        Err(error) => return Err(refused(error)),
        Ok(_) => {}
    }
    fs::canonicalize(path).map_err(refused)
}

fn create(path: &Path, fill: impl FnOnce(&Path) -> Result<(), Failure>) -> Result<(), Failure> {
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(|_| Failure::new(Kind::Other))?;
    let new = beside(path, &format!(".{:016x}.new", u64::from_le_bytes(random)));
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    drop(options.open(&new).map_err(refused)?);
    let filled = fill(&new).and_then(|()| match fs::hard_link(&new, path) {
        // Another process was faster.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        linked => linked.map_err(refused),
    });
    for suffix in ["", "-wal", "-shm"] {
        let _absent_or_left_behind = fs::remove_file(beside(&new, suffix));
    }
    filled
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut path = OsString::from(path);
    path.push(suffix);
    path.into()
}

/// Checks the owner of the file, and restricts an own file and those next to it to their owner.
///
/// A file of another user is accepted if it is shared with a group of this process and with nobody
/// else, as in a volume of Kubernetes with `fsGroup`. SQLite creates the other files with the mode
/// of the main file.
#[cfg(unix)]
pub(super) fn admit(path: &Path) -> Result<(), Failure> {
    use std::os::unix::fs::MetadataExt;

    use rustix::process::{getegid, geteuid, getgroups};

    let metadata = fs::metadata(path).map_err(refused)?;
    if metadata.uid() == geteuid().as_raw() {
        return narrow(path);
    }
    let groups = getgroups().unwrap_or_default();
    let mut groups = groups.into_iter().chain([getegid()]);
    let is_shared = groups.any(|group| group.as_raw() == metadata.gid());
    if !is_shared || metadata.mode() & 0o067 != 0o060 {
        return Err(Failure::new(Kind::Stranger));
    }
    #[cfg(feature = "tracing")]
    tracing::warn!(
        target: "fullscript",
        uid = metadata.uid(),
        gid = metadata.gid(),
        "token file: owned by another user and shared with a group"
    );
    Ok(())
}

#[cfg(unix)]
fn narrow(path: &Path) -> Result<(), Failure> {
    use std::os::unix::fs::PermissionsExt;
    for suffix in ["", "-wal", "-shm", "-journal"] {
        let file = beside(path, suffix);
        let Ok(metadata) = fs::metadata(&file) else {
            continue;
        };
        let mode = metadata.permissions().mode();
        if mode & 0o077 == 0 {
            continue;
        }
        let owner_only = fs::Permissions::from_mode(mode & 0o600);
        match fs::set_permissions(&file, owner_only) {
            // The last process that used the file may have just removed it.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            narrowed => narrowed.map_err(refused)?,
        }
    }
    Ok(())
}

#[cfg(not(unix))]
pub(super) fn admit(_: &Path) -> Result<(), Failure> {
    Ok(())
}

#[cfg(unix)]
fn identity(metadata: &Metadata) -> Identity {
    use std::os::unix::fs::MetadataExt;
    Identity((metadata.dev(), metadata.ino()))
}

#[cfg(not(unix))]
fn identity(_: &Metadata) -> Identity {
    Identity()
}

fn refused(error: std::io::Error) -> Failure {
    let kind = match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => Kind::NoDirectory,
        ErrorKind::PermissionDenied => Kind::NotAllowed,
        ErrorKind::ReadOnlyFilesystem => Kind::ReadOnly,
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Kind::Full,
        ErrorKind::IsADirectory => Kind::IsDirectory,
        _ => Kind::CannotOpen,
    };
    Failure::caused(kind, error)
}
