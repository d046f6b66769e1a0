//! The statements of the token store. Each is a transaction of its own.

use std::time::Duration;

use tokio_postgres::Row;
use tokio_postgres::types::{ToSql, Type};

use super::PostgresStore;
use super::error::{Failure, Kind};
use super::server::{Answer, Values};
use crate::auth::{ConnectionFilter, ConnectionRecord, Lease, RecordData, Swap, to_millis};

/// The number of times that a statement is repeated because others change the same row.
const RACES: usize = 4;

/// The longest lease; the database cannot add more to its time.
const MAX_LEASE: Duration = Duration::from_secs(365 * 24 * 60 * 60);

const COLUMNS: &str =
    "key, generation, app, tenant, scopes, expires_at, used_at, needs_reconnect, is_failing, data";

impl PostgresStore {
    async fn query(&self, sql: &str, values: &Values<'_>) -> Result<Answer, Failure> {
        self.server.query(sql, values).await
    }

    pub(super) async fn load_row(&self, key: &str) -> Result<Option<ConnectionRecord>, Failure> {
        let table = self.names.table("connections");
        let sql = format!("SELECT {COLUMNS} FROM {table} WHERE key = $1");
        let answer = self.query(&sql, &[(&key, Type::TEXT)]).await?;
        answer.rows.first().map(record).transpose()
    }

    /// Replaces a record, and releases the lease of `owner`, if there is one.
    pub(super) async fn swap(
        &self,
        expected: Option<u64>,
        new: ConnectionRecord,
        owner: Option<&str>,
    ) -> Result<Swap, Failure> {
        let table = self.names.table("connections");
        let (generation, data) = (new.generation.cast_signed(), new.data.expose());
        let expected_generation = expected.map(u64::cast_signed);
        let mut values: Vec<(&(dyn ToSql + Sync), Type)> = vec![
            (&new.key, Type::TEXT),
            (&generation, Type::INT8),
            (&new.app, Type::TEXT),
            (&new.tenant, Type::TEXT),
            (&new.scopes, Type::TEXT),
            (&new.expires_at, Type::INT8),
            (&new.used_at, Type::INT8),
            (&new.needs_reconnect, Type::BOOL),
            (&new.is_failing, Type::BOOL),
            (&data, Type::BYTEA),
        ];
        let mut sql = match expected {
            None => format!(
                "INSERT INTO {table} ({COLUMNS}) SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10
                 ON CONFLICT (key) DO NOTHING RETURNING 1"
            ),
            Some(_) => {
                values.push((&expected_generation, Type::INT8));
                format!(
                    "UPDATE {table} SET generation = $2, app = $3, tenant = $4, scopes = $5,
                         expires_at = $6, used_at = $7, needs_reconnect = $8, is_failing = $9,
                         data = $10
                     WHERE key = $1 AND generation = $11 RETURNING 1"
                )
            }
        };
        if let Some(owner) = &owner {
            values.push((owner, Type::TEXT));
            let (leases, number) = (self.names.table("leases"), values.len());
            // The lease is locked before the record, as in `lease_and_load_row`.
            let first = "WHERE (SELECT count(*) FROM released) >= 0 ";
            sql = match expected {
                None => sql.replacen("ON CONFLICT", &format!("{first}ON CONFLICT"), 1),
                Some(_) => sql.replacen("WHERE ", &format!("{first}AND "), 1),
            };
            sql = format!(
                "WITH released AS (
                     DELETE FROM {leases} WHERE key = $1 AND owner = ${number} RETURNING 1
                 ), saved AS ({sql})
                 SELECT 1 FROM saved"
            );
        }
        let mut present = None;
        for _ in 0..RACES {
            let answer = self.query(&sql, &values).await?;
            if !answer.rows.is_empty() {
                return Ok(Swap::Done);
            }
            // Only a later statement sees what won.
            present = self.load_row(&new.key).await?;
            if answer.is_repeated && present.as_ref() == Some(&new) {
                return Ok(Swap::Done);
            }
            // Another process may have deleted the record that was in the way, or restored it.
            if present.as_ref().map(|record| record.generation) != expected {
                break;
            }
        }
        Ok(Swap::Lost(present))
    }

    pub(super) async fn delete_row(
        &self,
        key: &str,
        expected: Option<u64>,
    ) -> Result<Swap, Failure> {
        let table = self.names.table("connections");
        let sql = format!(
            "DELETE FROM {table} WHERE key = $1 AND ($2 IS NULL OR generation = $2) RETURNING 1"
        );
        let expected = expected.map(u64::cast_signed);
        let values: &Values<'_> = &[(&key, Type::TEXT), (&expected, Type::INT8)];
        let answer = self.query(&sql, values).await?;
        if !answer.rows.is_empty() {
            return Ok(Swap::Done);
        }
        Ok(Swap::Lost(self.load_row(key).await?))
    }

    pub(super) async fn list_rows(
        &self,
        filter: &ConnectionFilter,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<ConnectionRecord>, Failure> {
        let table = self.names.table("connections");
        // No condition refuses a record that the filter matches.
        let sql = format!(
            "SELECT {COLUMNS} FROM {table}
             WHERE key > $1
               AND ($2 IS NULL OR app = $2)
               AND ($3 IS NULL OR tenant = $3)
               AND ($4 IS NULL OR needs_reconnect = $4)
               AND ($5 IS NULL OR is_failing = $5)
               AND ($6 IS NULL OR used_at < $6)
               AND ($7 IS NULL OR expires_at < $7)
               AND (cardinality($8) = 0 OR NOT string_to_array(scopes, ' ') @> $8)
             ORDER BY key LIMIT $9"
        );
        let not_used_since = filter.not_used_since.map(to_millis);
        let expires_before = filter.expires_before.map(to_millis);
        let lacks: Vec<&str> = filter.lacks.iter().map(|scope| scope.as_str()).collect();
        let row_limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut after = after.unwrap_or_default().to_string();
        let mut records = Vec::new();
        while records.len() < limit {
            let values: &Values<'_> = &[
                (&after, Type::TEXT),
                (&filter.app, Type::TEXT),
                (&filter.tenant, Type::TEXT),
                (&filter.needs_reconnect, Type::BOOL),
                (&filter.is_failing, Type::BOOL),
                (&not_used_since, Type::INT8),
                (&expires_before, Type::INT8),
                (&lacks, Type::TEXT_ARRAY),
                (&row_limit, Type::INT8),
            ];
            let rows = self.query(&sql, values).await?.rows;
            let is_last = rows.len() < limit;
            let found: Vec<_> = rows.iter().map(record).collect::<Result<_, _>>()?;
            if let Some(last) = found.last() {
                after.clone_from(&last.key);
            }
            records.extend(found.into_iter().filter(|record| filter.matches(record)));
            if is_last {
                break;
            }
        }
        records.truncate(limit);
        Ok(records)
    }

    pub(super) async fn lease_row(
        &self,
        key: &str,
        owner: &str,
        ttl: Duration,
    ) -> Result<Lease, Failure> {
        let table = self.names.table("leases");
        let sql = format!(
            "INSERT INTO {table} AS present (key, owner, until)
             VALUES ($1, $2, clock_timestamp() + $3 * interval '1 microsecond')
             ON CONFLICT (key) DO UPDATE SET owner = excluded.owner, until = excluded.until
             WHERE present.owner = excluded.owner OR present.until <= clock_timestamp()
             RETURNING 1"
        );
        let remaining = format!(
            "SELECT (extract(epoch FROM until - clock_timestamp()) * 1000000)::bigint
             FROM {table} WHERE key = $1"
        );
        let ttl = micros(ttl);
        let values: &Values<'_> = &[(&key, Type::TEXT), (&owner, Type::TEXT), (&ttl, Type::INT8)];
        for _ in 0..RACES {
            if !self.query(&sql, values).await?.rows.is_empty() {
                return Ok(Lease::Granted);
            }
            let answer = self.query(&remaining, &[(&key, Type::TEXT)]).await?;
            let micros = answer.rows.first().map(|row| row.try_get(0)).transpose()?;
            let micros: u64 = micros.map_or(0, |micros: i64| micros.try_into().unwrap_or_default());
            // It has expired, or was released, since the first statement.
            if micros > 0 {
                let remaining = Duration::from_micros(micros);
                return Ok(Lease::Held { remaining });
            }
        }
        let remaining = Duration::ZERO;
        Ok(Lease::Held { remaining })
    }

    /// Acquires a lease, and reads the record if the lease was granted.
    pub(super) async fn lease_and_load_row(
        &self,
        key: &str,
        owner: &str,
        ttl: Duration,
    ) -> Result<(Lease, Option<ConnectionRecord>), Failure> {
        let leases = self.names.table("leases");
        let connections = self.names.table("connections");
        // The statement may have waited for the previous owner, whose record its snapshot does not
        // contain. `FOR SHARE` reads the newest version of the row; this lock is logged, but need
        // not wait for the disk.
        let sql = format!(
            "WITH relaxed AS (
                 SELECT set_config('synchronous_commit', 'off', true)
             ), granted AS (
                 INSERT INTO {leases} AS present (key, owner, until)
                 SELECT $1, $2, clock_timestamp() + $3 * interval '1 microsecond' FROM relaxed
                 ON CONFLICT (key) DO UPDATE SET owner = excluded.owner, until = excluded.until
                 WHERE present.owner = excluded.owner OR present.until <= clock_timestamp()
                 RETURNING key AS leased
             )
             SELECT {COLUMNS}, leased IS NOT NULL,
                 (SELECT (extract(epoch FROM until - clock_timestamp()) * 1000000)::bigint
                  FROM {leases} AS held WHERE held.key = $1)
             FROM (SELECT 1) AS one LEFT JOIN granted ON true LEFT JOIN LATERAL (
                 SELECT {COLUMNS} FROM {connections} WHERE key = leased FOR SHARE
             ) AS stored ON true"
        );
        let ttl = micros(ttl);
        let values: &Values<'_> = &[(&key, Type::TEXT), (&owner, Type::TEXT), (&ttl, Type::INT8)];
        let mut remaining = Duration::ZERO;
        for _ in 0..RACES {
            let answer = self.query(&sql, values).await?;
            let row = answer.rows.first();
            let row = row.ok_or_else(|| Failure::new(Kind::DamagedRow))?;
            if row.try_get(10)? {
                let is_stored = row.try_get::<_, Option<&str>>(0)?.is_some();
                let stored = is_stored.then(|| record(row)).transpose()?;
                return Ok((Lease::Granted, stored));
            }
            let micros = row.try_get::<_, Option<i64>>(11)?.unwrap_or_default();
            remaining = Duration::from_micros(micros.try_into().unwrap_or_default());
            // It has expired, or was released, since the snapshot of the statement.
            if !remaining.is_zero() {
                break;
            }
        }
        Ok((Lease::Held { remaining }, None))
    }

    pub(super) async fn release_row(&self, key: &str, owner: &str) -> Result<(), Failure> {
        let table = self.names.table("leases");
        let sql = format!("DELETE FROM {table} WHERE key = $1 AND owner = $2");
        let values: &Values<'_> = &[(&key, Type::TEXT), (&owner, Type::TEXT)];
        self.query(&sql, values).await?;
        Ok(())
    }
}

/// Returns the duration of a lease in microseconds.
pub(super) fn micros(ttl: Duration) -> i64 {
    i64::try_from(ttl.min(MAX_LEASE).as_micros()).unwrap_or_default()
}

fn record(row: &Row) -> Result<ConnectionRecord, Failure> {
    let generation: i64 = row.try_get(1)?;
    let data = RecordData::new(row.try_get(9)?);
    let key: String = row.try_get(0)?;
    let mut record = ConnectionRecord::new(key, generation.cast_unsigned(), data);
    record.app = row.try_get(2)?;
    record.tenant = row.try_get(3)?;
    record.scopes = row.try_get(4)?;
    record.expires_at = row.try_get(5)?;
    record.used_at = row.try_get(6)?;
    record.needs_reconnect = row.try_get(7)?;
    record.is_failing = row.try_get(8)?;
    Ok(record)
}
