//! The file itself: its creation, its owner and permissions, and whether it is still at its path.

use std::ffi::OsString;
use std::fs::{self, File, Metadata};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf, is_separator};

use super::error::{Failure, Kind};

/// A file that is open, and its identity when it was opened.
pub(super) struct OpenFile {
    /// The file, its log, and the memory that its processes share.
    parts: [(PathBuf, Identity); 3],
}

/// What tells two files at one path apart: device and inode.
#[derive(PartialEq, Eq)]
struct Identity(#[cfg(unix)] (u64, u64));

impl OpenFile {
    /// Returns the file at a path that was opened just now.
    ///
    /// `given` is the path of the caller. A symbolic link in it may lead to another file later,
    /// which another process would open.
    pub(super) fn at(given: &Path, path: &Path) -> Result<Self, Failure> {
        let part = |path: PathBuf| {
            let metadata = fs::metadata(&path).map_err(refused)?;
            Ok::<_, Failure>((path, identity(&metadata)))
        };
        let given = std::path::absolute(given).map_err(refused)?;
        Ok(Self {
            parts: [
                part(given)?,
                part(beside(path, "-wal"))?,
                part(beside(path, "-shm"))?,
            ],
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
        is_not_empty(&self.parts[0].0)?;
        has_header(&self.parts[1].0)
    }

    /// Names the cause of a failure.
    pub(super) fn explain(&self, failure: Failure) -> Failure {
        explain(failure, &self.parts[1].0)
    }
}

/// Names the cause of a failure that SQLite does not distinguish from others.
#[cfg(unix)]
pub(super) fn explain(failure: Failure, path: &Path) -> Failure {
    use rustix::fs::{Access, AtFlags, CWD, accessat};
    use rustix::io::Errno;

    failure.explained(|| {
        let access = accessat(CWD, path.parent()?, Access::WRITE_OK, AtFlags::EACCESS);
        match access {
            Err(Errno::ROFS) => Some(Kind::ReadOnly),
            Err(Errno::ACCESS) => Some(Kind::NotAllowed),
            _ => None,
        }
    })
}

#[cfg(not(unix))]
pub(super) fn explain(failure: Failure, _: &Path) -> Failure {
    failure
}

/// Returns an error if the log was cut off and written since, so that its begin is a hole.
///
/// A log of 0 bytes is one whose content was moved into the main file.
fn has_header(log: &Path) -> Result<(), Failure> {
    let mut header = [0; 4];
    let length = File::open(log).and_then(|mut log| log.read(&mut header));
    if length.map_err(refused)? > 0 && header == [0; 4] {
        Err(Failure::new(Kind::Empty))
    } else {
        Ok(())
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

/// Returns an error if a file next to an own file belongs to somebody else, because SQLite would
/// write their log into it.
#[cfg(unix)]
pub(super) fn has_own_log(path: &Path) -> Result<(), Failure> {
    use std::os::unix::fs::MetadataExt;

    let own = rustix::process::geteuid().as_raw();
    let is_own = |suffix| fs::metadata(beside(path, suffix)).is_ok_and(|it| it.uid() == own);
    let exists = |suffix| beside(path, suffix).exists();
    let mut others = ["-wal", "-shm", "-journal"].into_iter();
    if is_own("") && others.any(|suffix| exists(suffix) && !is_own(suffix)) {
        return Err(Failure::new(Kind::Stranger));
    }
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

#[cfg(not(unix))]
pub(super) fn has_own_log(_: &Path) -> Result<(), Failure> {
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
