//! The event log in the same file.

use std::fmt;
use std::time::{Duration, SystemTime};

use rusqlite::{Connection, OptionalExtension, params};

use super::database::Database;
use super::error::Failure;
use super::worker::Access;
use super::{SqliteStore, Workers};
use crate::clock::{from_nanos, nanos_after, to_nanos};
use crate::webhook::{
    Claim, DEFAULT_AGE, EventKey, EventLog, EventLogError, EventLogFuture, Grant,
};

/// An event log in an SQLite file, next to the tokens, for the processes of one machine; returned
/// by [`SqliteStore::event_log`].
///
/// Cheap to clone. Any number of processes may use the same file: of all concurrent claims, one is
/// granted. A completed [`EventLog::acknowledge`] is durable. The log contains no health data and
/// is not encrypted.
#[derive(Clone)]
pub struct SqliteEventLog {
    workers: Workers,
    age: Duration,
}

impl SqliteStore {
    /// Returns the event log of this file, which remembers each event for 30 days.
    ///
    /// A process that only handles webhooks opens the store in the same way.
    #[must_use]
    pub fn event_log(&self) -> SqliteEventLog {
        SqliteEventLog {
            workers: self.workers.clone(),
            age: DEFAULT_AGE,
        }
    }
}

impl SqliteEventLog {
    /// Sets how long an event is remembered at least. Default: 30 days. An event that is delivered
    /// again after that counts as new.
    ///
    /// After a jump of the clock by more than a day, nothing is forgotten for this time, so that a
    /// wrong clock does not make processed events new.
    #[must_use]
    pub fn age(mut self, age: Duration) -> Self {
        self.age = age;
        self
    }

    fn submit<T: Send + 'static>(
        &self,
        access: Access,
        work: impl FnMut(&Database) -> Result<T, Failure> + Send + 'static,
    ) -> EventLogFuture<'static, T> {
        let result = self.workers.submit(access, work);
        Box::pin(async { result.await.map_err(EventLogError::new) })
    }
}

impl fmt::Debug for SqliteEventLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteEventLog")
            .field("age", &self.age)
            .finish_non_exhaustive()
    }
}

/// Each method queues its work when it is called, so dropping the future does not cancel it.
impl EventLog for SqliteEventLog {
    fn is_processed<'a>(&'a self, key: &'a EventKey) -> EventLogFuture<'a, bool> {
        let key = key.id.clone();
        self.submit(Access::Read, move |database| {
            let done = database.rows().connection.query_row(
                "SELECT 1 FROM webhook_events WHERE key = ?1 AND until IS NULL",
                [&key],
                |_| Ok(()),
            );
            Ok(done.optional()?.is_some())
        })
    }

    fn claim<'a>(
        &'a self,
        key: &'a EventKey,
        now: SystemTime,
        deadline: SystemTime,
    ) -> EventLogFuture<'a, Claim> {
        let (key, age) = (key.clone(), self.age);
        // A claim that is lost in a power failure is equivalent to one whose process died. An
        // acknowledgment is durable, together with all writes before it.
        self.submit(Access::Relaxed, move |database| {
            let connection = database.rows().connection;
            forget(connection, now, age)?;
            claim(connection, &key, now, deadline)
        })
    }

    fn acknowledge<'a>(&'a self, grant: &'a Grant, now: SystemTime) -> EventLogFuture<'a, ()> {
        let grant = grant.clone();
        self.submit(Access::Write, move |database| {
            database.rows().connection.execute(
                "INSERT INTO webhook_events (key, attempt, until, at) VALUES (?1, ?2, NULL, ?3)
                 ON CONFLICT (key) DO UPDATE SET until = NULL, at = excluded.at",
                params![grant.key, grant.attempt.cast_signed(), to_nanos(now)],
            )?;
            Ok(())
        })
    }

    fn release<'a>(&'a self, grant: &'a Grant) -> EventLogFuture<'a, ()> {
        let grant = grant.clone();
        self.submit(Access::Relaxed, move |database| {
            database.rows().connection.execute(
                "UPDATE webhook_events SET until = ?3
                 WHERE key = ?1 AND attempt = ?2 AND until IS NOT NULL",
                params![grant.key, grant.attempt.cast_signed(), i64::MIN],
            )?;
            Ok(())
        })
    }
}

/// The largest difference between the clocks of two processes that is believed: 10 min. A claim
/// that was made later than that was made with a wrong clock, and has no effect.
const MAX_SKEW: Duration = Duration::from_secs(600);

/// The time between two claims, in either direction, after which the clock may have been wrong: 1
/// day. Then nothing is forgotten until events would have reached their age since.
const MAX_JUMP: Duration = Duration::from_secs(86_400);

/// The precision to which the time of the last claim is saved: 1 min.
const CLOCK_PRECISION: Duration = Duration::from_secs(60);

/// Deletes old events, unless the clock may be wrong.
fn forget(connection: &Connection, now: SystemTime, age: Duration) -> Result<(), Failure> {
    let clock: Option<(i64, i64)> = connection
        .query_row("SELECT newest, forget_from FROM webhook_clock", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?;
    let (newest, mut forget_from) = clock.unwrap_or((to_nanos(now), to_nanos(now)));
    if to_nanos(now).abs_diff(newest) > nanos(MAX_JUMP) {
        forget_from = nanos_after(now, age);
    }
    if clock.is_none() || to_nanos(now).abs_diff(newest) > nanos(CLOCK_PRECISION) {
        connection.execute(
            "INSERT OR REPLACE INTO webhook_clock (one, newest, forget_from) VALUES (1, ?1, ?2)",
            [to_nanos(now), forget_from],
        )?;
    }
    let Some(oldest) = now.checked_sub(age) else {
        return Ok(());
    };
    if to_nanos(now) < forget_from {
        return Ok(());
    }
    for sql in [
        "DELETE FROM webhook_events WHERE at < ?1",
        "DELETE FROM webhook_subjects WHERE at < ?1",
    ] {
        connection.execute(sql, [to_nanos(oldest)])?;
    }
    Ok(())
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn claim(
    connection: &Connection,
    key: &EventKey,
    now: SystemTime,
    deadline: SystemTime,
) -> Result<Claim, Failure> {
    let known: Option<(i64, Option<i64>, i64)> = connection
        .query_row(
            "SELECT attempt, until, at FROM webhook_events WHERE key = ?1",
            [&key.id],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )
        .optional()?;
    match known {
        Some((_, None, _)) => return Ok(Claim::Processed),
        Some((_, Some(until), at)) if until > to_nanos(now) && at <= nanos_after(now, MAX_SKEW) => {
            return Ok(Claim::HeldUntil(from_nanos(until)));
        }
        _ => {}
    }
    let attempt = known.map_or(0, |(attempt, ..)| attempt).saturating_add(1);
    connection.execute(
        "INSERT OR REPLACE INTO webhook_events (key, attempt, until, at) VALUES (?1, ?2, ?3, ?4)",
        params![key.id, attempt, to_nanos(deadline), to_nanos(now)],
    )?;
    Ok(Claim::Granted(Grant {
        key: key.id.clone(),
        attempt: attempt.cast_unsigned(),
        newer: newer(connection, key, now)?,
    }))
}

/// Returns the time of the newest known event about the same subject if it is newer than this
/// event; otherwise records this event as the newest.
fn newer(
    connection: &Connection,
    key: &EventKey,
    now: SystemTime,
) -> Result<Option<SystemTime>, Failure> {
    let (Some(subject), Some(created_at)) = (&key.subject, key.created_at) else {
        return Ok(None);
    };
    let newest: Option<i64> = connection
        .query_row(
            "SELECT newest FROM webhook_subjects WHERE subject = ?1",
            [subject],
            |row| row.get(0),
        )
        .optional()?;
    let created_at = to_nanos(created_at);
    let newer = newest.filter(|newest| *newest > created_at);
    connection.execute(
        "INSERT OR REPLACE INTO webhook_subjects (subject, newest, at) VALUES (?1, ?2, ?3)",
        params![subject, newer.unwrap_or(created_at), to_nanos(now)],
    )?;
    Ok(newer.map(from_nanos))
}
