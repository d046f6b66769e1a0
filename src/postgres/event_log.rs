//! The event log in the same database.

use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use tokio::time::Instant;
use tokio_postgres::types::Type;

use super::PostgresStore;
use super::error::{Failure, PostgresError};
use super::random_id;
use super::schema::Names;
use super::server::{Answer, Server, Values};
use crate::clock::{from_nanos, to_nanos};
use crate::lock::lock;
use crate::webhook::{
    Claim, DEFAULT_AGE, EventKey, EventLog, EventLogError, EventLogFuture, Grant,
};

/// The interval at which a process deletes old events: 1 min.
const SWEEP_INTERVAL: Duration = Duration::from_secs(60);

/// The maximum number of rows of each table that one sweep deletes, so that it is short.
const SWEEP_ROWS: i64 = 10_000;

/// The number of times that a claim is repeated because others change the same event.
const RACES: usize = 4;

/// The time at which the statement began, in nanoseconds since 1970. It is the same for all rows, so
/// that an index can be used.
const NOW: &str = "((extract(epoch FROM statement_timestamp()) * 1000000)::bigint * 1000)";

/// The longest duration of a claim and the greatest age, which can be added to [`NOW`]: 100 years.
const MAX_DURATION: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// An event log in a PostgreSQL database, for processes on any number of machines; returned by
/// [`PostgresStore::event_log`].
///
/// Cheap to clone. Of all concurrent claims, one is granted. A completed
/// [`EventLog::acknowledge`] is as durable as the database. The log contains no health data.
///
/// The duration of a claim, from `now` to its deadline, and the age of an event are measured with
/// the clock of the database, so the clocks of the machines need not agree.
#[derive(Clone)]
pub struct PostgresEventLog {
    server: Arc<Server>,
    names: Arc<Names>,
    age: Duration,
    swept_at: Arc<Mutex<Option<Instant>>>,
}

impl PostgresStore {
    /// Returns the event log of this database, which remembers each event for 30 days.
    #[must_use]
    pub fn event_log(&self) -> PostgresEventLog {
        PostgresEventLog {
            server: Arc::clone(&self.server),
            names: Arc::clone(&self.names),
            age: DEFAULT_AGE,
            swept_at: Arc::default(),
        }
    }
}

impl PostgresEventLog {
    /// Sets how long an event is remembered. Default: 30 days. An event that is delivered again
    /// after that counts as new.
    #[must_use]
    pub fn age(mut self, age: Duration) -> Self {
        self.age = age;
        self
    }

    async fn query(&self, sql: &str, values: &Values<'_>) -> Result<Answer, Failure> {
        self.server.query(sql, values).await
    }

    async fn is_processed_row(&self, key: &EventKey) -> Result<bool, Failure> {
        let table = self.names.table("webhook_events");
        let sql = format!("SELECT 1 FROM {table} WHERE key = $1 AND until IS NULL");
        let answer = self.query(&sql, &[(&key.id, Type::TEXT)]).await?;
        Ok(!answer.rows.is_empty())
    }

    async fn claim_row(
        &self,
        key: &EventKey,
        now: SystemTime,
        deadline: SystemTime,
    ) -> Result<Claim, Failure> {
        let events = self.names.table("webhook_events");
        let subjects = self.names.table("webhook_subjects");
        // A repeated statement finds its own claim, by the random id of the claim. What is too old
        // counts as forgotten, although its row may still exist. A claim that is lost in a crash of
        // the server is equivalent to one whose process died, so it does not wait for the disk; an
        // acknowledgment does, together with all writes before it.
        let sql = format!(
            "WITH relaxed AS (
                 SELECT set_config('synchronous_commit', 'off', true), {NOW} AS now
             ), event AS (
                 INSERT INTO {events} AS present (key, attempt, claim, until, at)
                 SELECT $1, 1, $2, now + $3, now FROM relaxed
                 ON CONFLICT (key) DO UPDATE SET
                     attempt = CASE WHEN present.at < excluded.at - $4 THEN 1
                                    WHEN present.claim = excluded.claim THEN present.attempt
                                    ELSE present.attempt + 1 END,
                     claim = excluded.claim, until = excluded.until, at = excluded.at
                 WHERE present.at < excluded.at - $4 OR present.until <= excluded.at
                     OR present.claim = excluded.claim
                 RETURNING attempt, at
             ), subject AS (
                 INSERT INTO {subjects} AS present (subject, newest, at)
                 SELECT $5, $6, at FROM event WHERE $5 IS NOT NULL AND $6 IS NOT NULL
                 ON CONFLICT (subject) DO UPDATE SET
                     newest = CASE WHEN present.at < excluded.at - $4 THEN excluded.newest
                                   ELSE greatest(present.newest, excluded.newest) END,
                     at = excluded.at
                 RETURNING newest
             )
             SELECT attempt, (SELECT newest FROM subject WHERE newest > $6) FROM event"
        );
        let state = format!("SELECT until - {NOW} FROM {events} WHERE key = $1");
        let claim = random_id()?;
        let duration = deadline.duration_since(now).unwrap_or_default();
        let (duration, age) = (nanos(duration), nanos(self.age));
        let created_at = key.created_at.map(to_nanos);
        let values: &Values<'_> = &[
            (&key.id, Type::TEXT),
            (&claim, Type::TEXT),
            (&duration, Type::INT8),
            (&age, Type::INT8),
            (&key.subject, Type::TEXT),
            (&created_at, Type::INT8),
        ];
        let mut remaining = Duration::ZERO;
        for _ in 0..RACES {
            let answer = self.query(&sql, values).await?;
            if let Some(row) = answer.rows.first() {
                let (attempt, newest): (i64, Option<i64>) = (row.try_get(0)?, row.try_get(1)?);
                let grant = Grant::new(&key.id, attempt.cast_unsigned());
                self.sweep();
                return Ok(Claim::Granted(grant.newer(newest.map(from_nanos))));
            }
            // Only a later statement sees what won.
            let answer = self.query(&state, &[(&key.id, Type::TEXT)]).await?;
            let Some(row) = answer.rows.first() else {
                continue;
            };
            match row.try_get::<_, Option<i64>>(0)? {
                None => return Ok(Claim::Processed),
                Some(nanos) => {
                    remaining = Duration::from_nanos(nanos.try_into().unwrap_or_default());
                }
            }
            if !remaining.is_zero() {
                break;
            }
        }
        Ok(Claim::HeldUntil(now + remaining))
    }

    async fn acknowledge_row(&self, grant: &Grant) -> Result<(), Failure> {
        let table = self.names.table("webhook_events");
        let sql = format!(
            "INSERT INTO {table} (key, attempt, claim, until, at) VALUES ($1, $2, '', NULL, {NOW})
             ON CONFLICT (key) DO UPDATE SET claim = '', until = NULL, at = excluded.at"
        );
        let attempt = grant.attempt.cast_signed();
        let values: &Values<'_> = &[(&grant.key, Type::TEXT), (&attempt, Type::INT8)];
        self.query(&sql, values).await?;
        Ok(())
    }

    async fn release_row(&self, grant: &Grant) -> Result<(), Failure> {
        let table = self.names.table("webhook_events");
        let sql = format!(
            "UPDATE {table} SET until = $3, claim = ''
             WHERE key = $1 AND attempt = $2 AND until IS NOT NULL"
        );
        let attempt = grant.attempt.cast_signed();
        let values: &Values<'_> = &[
            (&grant.key, Type::TEXT),
            (&attempt, Type::INT8),
            (&i64::MIN, Type::INT8),
        ];
        self.query(&sql, values).await?;
        Ok(())
    }

    /// Deletes old rows beside the calls, at most once a minute.
    fn sweep(&self) {
        let mut swept_at = lock(&self.swept_at);
        if swept_at.is_some_and(|at| at.elapsed() < SWEEP_INTERVAL) {
            return;
        }
        *swept_at = Some(Instant::now());
        drop(swept_at);
        let log = self.clone();
        tokio::spawn(async move {
            for (table, key) in [("webhook_events", "key"), ("webhook_subjects", "subject")] {
                let table = log.names.table(table);
                // Two processes that sweep at the same time do not wait for each other.
                let sql = format!(
                    "DELETE FROM {table} WHERE {key} IN (
                         SELECT {key} FROM {table} WHERE at < {NOW} - $1 LIMIT $2
                         FOR UPDATE SKIP LOCKED
                     )"
                );
                let age = nanos(log.age);
                let values: &Values<'_> = &[(&age, Type::INT8), (&SWEEP_ROWS, Type::INT8)];
                // The next sweep deletes what this one could not.
                let _not_reported = log.query(&sql, values).await;
            }
        });
    }
}

impl fmt::Debug for PostgresEventLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresEventLog")
            .field("age", &self.age)
            .finish_non_exhaustive()
    }
}

impl EventLog for PostgresEventLog {
    fn is_processed<'a>(&'a self, key: &'a EventKey) -> EventLogFuture<'a, bool> {
        log_future(self.is_processed_row(key))
    }

    fn claim<'a>(
        &'a self,
        key: &'a EventKey,
        now: SystemTime,
        deadline: SystemTime,
    ) -> EventLogFuture<'a, Claim> {
        log_future(self.claim_row(key, now, deadline))
    }

    fn acknowledge<'a>(&'a self, grant: &'a Grant, _: SystemTime) -> EventLogFuture<'a, ()> {
        log_future(self.acknowledge_row(grant))
    }

    fn release<'a>(&'a self, grant: &'a Grant) -> EventLogFuture<'a, ()> {
        log_future(self.release_row(grant))
    }
}

/// Returns a duration in nanoseconds.
fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.min(MAX_DURATION).as_nanos()).unwrap_or_default()
}

fn log_future<'a, T>(
    work: impl Future<Output = Result<T, Failure>> + Send + 'a,
) -> EventLogFuture<'a, T> {
    Box::pin(async {
        work.await
            .map_err(|failure| EventLogError::new(PostgresError::from(failure)))
    })
}
