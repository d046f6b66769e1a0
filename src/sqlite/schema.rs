//! The tables and their migrations.

use rusqlite::Connection;

use super::error::{Failure, Kind};

/// Application id of a token file: "FSTK".
const APPLICATION: i32 = 0x4653_544b;

/// Migrations from each version to the next; version 0 is an empty file. Only append to them,
/// because a file may have any of these versions.
///
/// Times are milliseconds since 1970 in `connections`, and nanoseconds elsewhere.
/// An event without `until` is acknowledged. Subjects are stored as hashes.
const MIGRATIONS: &[&str] = &[
    "
    CREATE TABLE connections (
        key TEXT NOT NULL PRIMARY KEY,
        generation INTEGER NOT NULL,
        app TEXT NOT NULL,
        tenant TEXT,
        scopes TEXT NOT NULL,
        expires_at INTEGER NOT NULL,
        used_at INTEGER NOT NULL,
        needs_reconnect INTEGER NOT NULL,
        is_failing INTEGER NOT NULL,
        data BLOB NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX connections_tenant ON connections (tenant);
    CREATE TABLE leases (
        key TEXT NOT NULL PRIMARY KEY,
        owner TEXT NOT NULL,
        until INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE webhook_events (
        key TEXT NOT NULL PRIMARY KEY,
        attempt INTEGER NOT NULL,
        until INTEGER,
        at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX webhook_events_at ON webhook_events (at);
    CREATE TABLE webhook_subjects (
        subject TEXT NOT NULL PRIMARY KEY,
        newest INTEGER NOT NULL,
        at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX webhook_subjects_at ON webhook_subjects (at);
    CREATE TABLE webhook_clock (
        one INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
        newest INTEGER NOT NULL,
        forget_from INTEGER NOT NULL
    ) STRICT;
",
    "
    CREATE TABLE rate_limits (
        app TEXT NOT NULL PRIMARY KEY,
        state BLOB NOT NULL,
        boot TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
",
];

/// Returns the version of the file: the number of migrations applied.
///
/// # Errors
/// Returns an error if the file is not a token file, or has a newer version than this crate
/// supports.
pub(super) fn version(connection: &Connection) -> Result<usize, Failure> {
    let number = |sql| connection.query_row(sql, [], |row| row.get::<_, i32>(0));
    let application = number("PRAGMA application_id")?;
    let version = number("PRAGMA user_version")?;
    let tables = number("SELECT count(*) FROM sqlite_schema")?;
    match usize::try_from(version) {
        Ok(0) if application == 0 && tables == 0 => Ok(0),
        Ok(version) if application == APPLICATION && version > 0 => {
            if version > MIGRATIONS.len() {
                return Err(Failure::new(Kind::Newer));
            }
            Ok(version)
        }
        _ => Err(Failure::new(Kind::Foreign)),
    }
}

/// Applies the missing migrations; must run inside a transaction.
pub(super) fn migrate(connection: &Connection) -> Result<(), Failure> {
    let steps = &MIGRATIONS[version(connection)?..];
    if steps.is_empty() {
        return Ok(());
    }
    for step in steps {
        connection.execute_batch(step)?;
    }
    connection.pragma_update(None, "application_id", APPLICATION)?;
    connection.pragma_update(None, "user_version", MIGRATIONS.len() as i64)?;
    Ok(())
}
