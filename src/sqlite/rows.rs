//! Reads and writes the tables inside a transaction.

use std::time::{Duration, SystemTime};

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::error::Failure;
use crate::auth::{ConnectionFilter, ConnectionRecord, Lease, RecordData, Swap, to_millis};
use crate::clock::{from_nanos, nanos_after};

/// The rows of an open file.
#[derive(Clone, Copy)]
pub(super) struct Rows<'d> {
    pub(super) connection: &'d Connection,
}

/// The columns of a record, in the order in which [`record`] reads and `write` writes them.
const COLUMNS: &str = "key, generation, app, tenant, scopes, expires_at, used_at, \
                       needs_reconnect, is_failing, data";

impl Rows<'_> {
    pub(super) fn load(self, key: &str) -> Result<Option<ConnectionRecord>, Failure> {
        let sql = format!("SELECT {COLUMNS} FROM connections WHERE key = ?1");
        let mut statement = self.connection.prepare(&sql)?;
        Ok(statement.query_row([key], record).optional()?)
    }

    pub(super) fn swap(
        self,
        expected: Option<u64>,
        new: &ConnectionRecord,
    ) -> Result<Swap, Failure> {
        let sql = "SELECT generation FROM connections WHERE key = ?1";
        let generation: Option<i64> = self
            .connection
            .prepare(sql)?
            .query_row([&new.key], |row| row.get(0))
            .optional()?;
        if generation.map(i64::cast_unsigned) == expected {
            self.write(new)?;
            return Ok(Swap::Done);
        }
        Ok(Swap::Lost(self.load(&new.key)?))
    }

    pub(super) fn delete(self, key: &str, expected: Option<u64>) -> Result<Swap, Failure> {
        let deleted = self.connection.execute(
            "DELETE FROM connections WHERE key = ?1 AND (?2 IS NULL OR generation = ?2)",
            params![key, expected.map(u64::cast_signed)],
        )?;
        if deleted > 0 {
            return Ok(Swap::Done);
        }
        Ok(Swap::Lost(self.load(key)?))
    }

    pub(super) fn list(
        self,
        filter: &ConnectionFilter,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<ConnectionRecord>, Failure> {
        // The scopes are compared in code.
        let sql = format!(
            "SELECT {COLUMNS} FROM connections
             WHERE key > ?1
               AND (?2 IS NULL OR app = ?2)
               AND (?3 IS NULL OR tenant = ?3)
               AND (?4 IS NULL OR needs_reconnect = ?4)
               AND (?5 IS NULL OR is_failing = ?5)
               AND (?6 IS NULL OR used_at < ?6)
               AND (?7 IS NULL OR expires_at < ?7)
             ORDER BY key"
        );
        let mut statement = self.connection.prepare(&sql)?;
        let records = statement.query_map(
            params![
                after.unwrap_or_default(),
                filter.app,
                filter.tenant,
                filter.needs_reconnect,
                filter.is_failing,
                filter.not_used_since.map(to_millis),
                filter.expires_before.map(to_millis),
            ],
            record,
        )?;
        let matches = |record: &Result<ConnectionRecord, _>| {
            record
                .as_ref()
                .map_or(true, |record| filter.matches(record))
        };
        Ok(records
            .filter(matches)
            .take(limit)
            .collect::<Result<_, _>>()?)
    }

    pub(super) fn lease(
        self,
        key: &str,
        owner: &str,
        now: SystemTime,
        ttl: Duration,
    ) -> Result<Lease, Failure> {
        let held: Option<(String, i64)> = self
            .connection
            .query_row(
                "SELECT owner, until FROM leases WHERE key = ?1",
                [key],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .optional()?;
        if let Some((holder, until)) = held
            && holder != owner
            && let Ok(remaining) = from_nanos(until).duration_since(now)
            && !remaining.is_zero()
        {
            return Ok(Lease::Held { remaining });
        }
        self.connection.execute(
            "INSERT OR REPLACE INTO leases (key, owner, until) VALUES (?1, ?2, ?3)",
            params![key, owner, nanos_after(now, ttl)],
        )?;
        Ok(Lease::Granted)
    }

    pub(super) fn release(self, key: &str, owner: &str) -> Result<(), Failure> {
        self.connection.execute(
            "DELETE FROM leases WHERE key = ?1 AND owner = ?2",
            [key, owner],
        )?;
        Ok(())
    }

    fn write(self, new: &ConnectionRecord) -> Result<(), Failure> {
        let sql = format!(
            "INSERT OR REPLACE INTO connections ({COLUMNS})
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)"
        );
        self.connection.prepare(&sql)?.execute(params![
            new.key,
            new.generation.cast_signed(),
            new.app,
            new.tenant,
            new.scopes,
            new.expires_at,
            new.used_at,
            new.needs_reconnect,
            new.is_failing,
            new.data.expose(),
        ])?;
        Ok(())
    }
}

fn record(row: &Row<'_>) -> rusqlite::Result<ConnectionRecord> {
    let generation: i64 = row.get(1)?;
    let data = RecordData::new(row.get(9)?);
    let mut record =
        ConnectionRecord::new(row.get::<_, String>(0)?, generation.cast_unsigned(), data);
    record.app = row.get(2)?;
    record.tenant = row.get(3)?;
    record.scopes = row.get(4)?;
    record.expires_at = row.get(5)?;
    record.used_at = row.get(6)?;
    record.needs_reconnect = row.get(7)?;
    record.is_failing = row.get(8)?;
    Ok(record)
}
