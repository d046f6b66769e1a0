//! Errors of the SQLite file.

use std::fmt;
use std::sync::Arc;

use rusqlite::ErrorCode;
use rusqlite::ffi::SQLITE_IOERR_SHMSIZE;

/// An error of opening, reading or writing a token file.
///
/// `Display` states what to do; neither it nor `Debug` shows a token. Cheap to clone:
/// writes that are saved together fail with the same error.
#[derive(Clone)]
pub struct SqliteError(Failure);

/// The internal error. It implements `From<rusqlite::Error>`, so that this conversion is not part
/// of the public API.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    kind: Kind,
    source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    NoDirectory,
    IsDirectory,
    NotAllowed,
    CannotOpen,
    ReadOnly,
    Full,
    Busy,
    Io,
    Foreign,
    Newer,
    Gone,
    Replaced,
    Empty,
    Stranger,
    Damaged,
    DamagedTokens,
    NoWriteAheadLog,
    NoThread,
    ThreadEnded,
    Other,
}

impl SqliteError {
    /// Returns whether waiting helps: other processes kept the file locked, or the disk is full.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self.0.kind, Kind::Busy | Kind::Full)
    }
}

impl Failure {
    pub(super) fn new(kind: Kind) -> Self {
        Self { kind, source: None }
    }

    pub(super) fn caused(
        kind: Kind,
        source: impl std::error::Error + Send + Sync + 'static,
    ) -> Self {
        Self {
            kind,
            source: Some(Arc::new(source)),
        }
    }

    /// Returns the failure with another kind, if SQLite does not distinguish its cause.
    pub(super) fn explained(self, cause: impl FnOnce() -> Option<Kind>) -> Self {
        let kind = match self.kind {
            Kind::CannotOpen | Kind::Io => cause().unwrap_or(self.kind),
            known => known,
        };
        Self { kind, ..self }
    }

    pub(super) fn is_busy(&self) -> bool {
        self.kind == Kind::Busy
    }

    /// Returns whether the error concerns the tokens of one user only, so that writes for other
    /// users can continue.
    pub(super) fn is_of_one_user(&self) -> bool {
        self.kind == Kind::DamagedTokens
    }
}

impl From<Failure> for SqliteError {
    fn from(failure: Failure) -> Self {
        Self(failure)
    }
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::Error as Cause;
        let kind = match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => Kind::Damaged,
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Kind::Busy,
            Some(ErrorCode::DiskFull) => Kind::Full,
            Some(ErrorCode::ReadOnly) => Kind::ReadOnly,
            Some(ErrorCode::CannotOpen) => Kind::CannotOpen,
            Some(ErrorCode::PermissionDenied) => Kind::NotAllowed,
            Some(ErrorCode::SystemIoFailure) => match error {
                // There is no space for the memory that the processes share.
                Cause::SqliteFailure(error, _) if error.extended_code == SQLITE_IOERR_SHMSIZE => {
                    Kind::Full
                }
                _ => Kind::Io,
            },
            _ => match error {
                // A value has another type than it was written with.
                Cause::FromSqlConversionFailure(..)
                | Cause::IntegralValueOutOfRange(..)
                | Cause::InvalidColumnType(..) => Kind::DamagedTokens,
                // The file was cut off or overwritten while it was open.
                Cause::SqliteFailure(_, Some(ref text)) if text.contains("no such table") => {
                    Kind::Damaged
                }
                _ => Kind::Other,
            },
        };
        Self::caused(kind, error)
    }
}

impl fmt::Display for SqliteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0.kind {
            Kind::NoDirectory => {
                "token file: its directory, or the target of its symbolic link, does not exist; create it first"
            },
            Kind::IsDirectory => "token file: the path is a directory; name a file in it",
            Kind::NotAllowed => {
                "token file: permission denied; make the process's user the owner of the file and its directory"
            }
            Kind::CannotOpen => {
                "token file: failed to open it or a file next to it; check the permissions and the number of open files"
            }
            Kind::ReadOnly => {
                "token file: not writable; it or its directory is read-only or was moved"
            }
            Kind::Full => "token file: disk full; nothing was changed; free some space",
            Kind::Busy => "token file: locked by another process; retry later",
            Kind::Io => "token file: disk I/O failed; check the system log",
            Kind::Foreign => {
                "token file: the file is a database of another application; choose another path"
            }
            Kind::Newer => {
                "token file: created by a newer version of this crate; update the crate"
            }
            Kind::Gone => {
                "token file: it or a file next to it was deleted or moved while it was open; nothing is saved; put it back, or stop all processes and restore a backup"
            }
            Kind::Replaced => {
                "token file: replaced by another file while it was open; nothing is saved; open the store again"
            }
            Kind::Empty => {
                "token file: empty, it was cut off; restore it from a backup, or delete it to start without users"
            }
            Kind::Stranger => {
                "token file: it or a file next to it is owned by another user, and not shared with a group of this process alone; change its owner"
            }
            Kind::Damaged => {
                "token file: not a token file, or damaged; choose another path or restore it from a backup"
            }
            Kind::DamagedTokens => {
                "token file: the tokens of this user are unreadable; restore them, or delete them and let the user reconnect"
            }
            Kind::NoWriteAheadLog => {
                "token file: the file system does not support shared memory; choose a local disk"
            }
            Kind::NoThread => "token file: failed to start a thread",
            Kind::ThreadEnded => "token file: its thread has ended; open the store again",
            Kind::Other => "token file: SQLite failed",
        })
    }
}

impl fmt::Debug for SqliteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteError")
            .field("kind", &self.0.kind)
            .field("source", &self.0.source)
            .finish()
    }
}

impl std::error::Error for SqliteError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        let source = self.0.source.as_deref()?;
        Some(source)
    }
}
