//! What can go wrong with the file.

use std::fmt;
use std::sync::Arc;

use rusqlite::ErrorCode;

/// A token file that can't be used, or a step on it that failed.
///
/// `Display` says what to do next; neither it nor `Debug` shows a token or a
/// key. Cheap to clone: writes that went to the disk together fail together.
#[derive(Clone)]
pub struct SqliteError(Failure);

/// What the store fails with inside: SQLite's own error becomes one by `?`,
/// and is so no part of what the crate promises.
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
    Damaged,
    DamagedTokens,
    NoWriteAheadLog,
    KeyMissing,
    KeyWrong,
    KeyChanged,
    OnlyPreviousKey,
    KeyText,
    NoRandomness,
    NoThread,
    ThreadEnded,
    Other,
}

impl SqliteError {
    /// Whether the file is encrypted and the key was not given, is another
    /// one, or is no key at all.
    #[must_use]
    pub fn is_key_refused(&self) -> bool {
        matches!(
            self.0.kind,
            Kind::KeyMissing
                | Kind::KeyWrong
                | Kind::KeyChanged
                | Kind::OnlyPreviousKey
                | Kind::KeyText
        )
    }

    /// Whether other processes kept the file locked for too long: trying again
    /// may help.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.0.is_busy()
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

    pub(super) fn is_busy(&self) -> bool {
        self.kind == Kind::Busy
    }

    /// Whether it concerns the tokens of one user alone, so that the writes
    /// for others can go on.
    pub(super) fn is_of_one_user(&self) -> bool {
        matches!(self.kind, Kind::DamagedTokens | Kind::NoRandomness)
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
            Some(ErrorCode::SystemIoFailure) => Kind::Io,
            _ => match error {
                // A value is not of the kind that it was written as.
                Cause::FromSqlConversionFailure(..)
                | Cause::IntegralValueOutOfRange(..)
                | Cause::InvalidColumnType(..) => Kind::DamagedTokens,
                _ => Kind::Other,
            },
        };
        Self::caused(kind, error)
    }
}

impl fmt::Display for SqliteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0.kind {
            Kind::NoDirectory => "the directory of the token file does not exist, make it first",
            Kind::IsDirectory => "the path of the token file is a directory, name a file in it",
            Kind::NotAllowed => {
                "this process may not use the token file, make its user the owner of the file and its directory"
            }
            Kind::CannotOpen => {
                "the token file or one beside it can't be opened, look at who may use it and its directory, and at the number of open files"
            }
            Kind::ReadOnly => {
                "the token file can't be written, it or its directory is read-only or was moved"
            }
            Kind::Full => "the disk of the token file is full, make room, nothing was changed",
            Kind::Busy => "the token file is locked by another process, try again later",
            Kind::Io => "the disk of the token file failed, look at the system's log",
            Kind::Foreign => {
                "the file is a database of another application, choose another path for the tokens"
            }
            Kind::Newer => {
                "the token file was made by a newer version of this crate, update the crate"
            }
            Kind::Damaged => {
                "the file is no token file or is damaged, choose another path or restore it from a backup"
            }
            Kind::DamagedTokens => {
                "the tokens of this user were changed by something else and can't be read, restore them or forget the user and let them connect again"
            }
            Kind::NoWriteAheadLog => {
                "the file system of the token file lacks shared memory, choose a local disk"
            }
            Kind::KeyMissing => "the token file is encrypted, open it with its encryption key",
            Kind::KeyWrong => {
                "the token file is encrypted with another key, give that one, as the previous key if it is to be replaced"
            }
            Kind::KeyChanged => {
                "another process has changed the encryption of the token file, open it again with the new key"
            }
            Kind::OnlyPreviousKey => {
                "there is a previous encryption key and no new one, give both, or the one of the file as its key"
            }
            Kind::KeyText => {
                "the encryption key is not 32 bytes in base64 or hex, make one with `EncryptionKey::generate`"
            }
            Kind::NoRandomness => "the machine has no randomness, nothing was changed",
            Kind::NoThread => "no thread could be started for the token file",
            Kind::ThreadEnded => "the thread of the token file has ended, open the store again",
            Kind::Other => "the token file could not be used",
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
