//! The file itself: its creation and permissions.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::error::{Failure, Kind};
use crate::lock::lock;

/// Held while a file is created. On POSIX, closing any handle of a file releases all locks that
/// this process has on it, including those of SQLite. Therefore no thread may open the file in
/// SQLite before the handle that created it is closed.
static CREATING: Mutex<()> = Mutex::new(());

/// Creates the file if it does not exist, accessible to its owner only, and returns its absolute
/// path.
pub(super) fn make(path: &Path) -> Result<PathBuf, Failure> {
    create(path)?;
    let path = fs::canonicalize(path).map_err(refused)?;
    if path.is_dir() {
        Err(Failure::new(Kind::IsDirectory))
    } else {
        Ok(path)
    }
}

/// Restricts the file and those next to it to their owner. SQLite creates the other files with the
/// mode of the main file.
#[cfg(unix)]
pub(super) fn narrow(path: &Path) -> Result<(), Failure> {
    use std::os::unix::fs::PermissionsExt;
    for suffix in ["", "-wal", "-shm", "-journal"] {
        let mut file = path.as_os_str().to_owned();
        file.push(suffix);
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
pub(super) fn narrow(_: &Path) -> Result<(), Failure> {
    Ok(())
}

fn create(path: &Path) -> Result<(), Failure> {
    let _held = lock(&CREATING);
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Ok(_made) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        // The path of a directory may end with a separator; the path of a file never does.
        Err(_) if path.is_dir() => Ok(()),
        Err(error) => Err(refused(error)),
    }
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
