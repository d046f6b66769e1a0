//! The leader of a replay, and its cursor.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio_postgres::types::Type;

use super::PostgresStore;
use super::error::{Failure, PostgresError};
use super::random_id;
use super::rows::micros;
use super::server::Values;

/// One of the processes that may run the replay of a clinic; returned by
/// [`PostgresStore::replay_leader`].
///
/// At most one process leads at a time, and the cursor is saved beside the lease.
/// A process that was suspended past its lease saves no cursor.
/// Of each event, the event log decides: so two processes that replay at the same time process no
/// event twice, and only send unnecessary requests.
///
/// ```no_run
/// # async fn run(store: fullscript::postgres::PostgresStore, client: fullscript::Client)
/// #     -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
///
/// use fullscript::replay::Cursor;
///
/// /// Longer than a pass takes between two events.
/// const LEASE: Duration = Duration::from_secs(120);
///
/// // In each process, every few minutes:
/// let mut leader = store.replay_leader("clinic-7");
/// let Some(saved) = leader.lead(LEASE).await? else {
///     return Ok(()); // another process replays
/// };
/// let since = saved.cursor.map_or(Ok(Cursor::default()), |text| text.parse())?;
/// let mut replay = client.events(store.event_log()).replay(since);
/// while let Some(missed) = replay.next().await {
///     let cursor = missed?.acknowledge().await?;
///     if !leader.save(&cursor.to_string(), LEASE).await? {
///         return Ok(()); // the lease has expired, and another process leads
///     }
/// }
/// leader.save(&replay.cursor().to_string(), LEASE).await?;
/// leader.resign().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct ReplayLeader {
    store: PostgresStore,
    clinic: Arc<str>,
    /// The random id by which the database knows this leader.
    owner: Option<Arc<str>>,
}

/// The state of a replay that a process leads.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReplayState {
    /// The cursor that was saved last, by any process.
    pub cursor: Option<String>,
}

impl PostgresStore {
    /// Returns a candidate for the replay of a clinic.
    ///
    /// `clinic` is the application's own reference. Create a candidate for each process.
    #[must_use]
    pub fn replay_leader(&self, clinic: impl Into<String>) -> ReplayLeader {
        ReplayLeader {
            store: self.clone(),
            clinic: clinic.into().into(),
            owner: None,
        }
    }
}

impl ReplayLeader {
    /// Becomes the leader for the duration `ttl` from now, or remains it.
    ///
    /// Returns `None` if another process leads.
    ///
    /// # Errors
    /// Returns a [`PostgresError`] if the database failed.
    pub async fn lead(&mut self, ttl: Duration) -> Result<Option<ReplayState>, PostgresError> {
        let owner = match &self.owner {
            Some(owner) => Arc::clone(owner),
            None => random_id()?.into(),
        };
        self.owner = Some(Arc::clone(&owner));
        let table = self.store.names.table("replays");
        let sql = format!(
            "INSERT INTO {table} AS present (clinic, owner, until)
             VALUES ($1, $2, clock_timestamp() + $3 * interval '1 microsecond')
             ON CONFLICT (clinic) DO UPDATE SET owner = excluded.owner, until = excluded.until
             WHERE present.owner = excluded.owner OR present.until <= clock_timestamp()
             RETURNING cursor"
        );
        let ttl = micros(ttl);
        let values: &Values<'_> = &[
            (&&*self.clinic, Type::TEXT),
            (&&*owner, Type::TEXT),
            (&ttl, Type::INT8),
        ];
        let answer = self.store.server.query(&sql, values).await?;
        let Some(row) = answer.rows.first() else {
            return Ok(None);
        };
        let cursor = row.try_get(0).map_err(Failure::from)?;
        Ok(Some(ReplayState { cursor }))
    }

    /// Saves the cursor, and remains the leader for the duration `ttl` from now.
    ///
    /// Returns `false`, and saves nothing, if this process does not lead.
    ///
    /// # Errors
    /// Returns a [`PostgresError`] if the database failed.
    pub async fn save(&self, cursor: &str, ttl: Duration) -> Result<bool, PostgresError> {
        let Some(owner) = self.owner.as_deref() else {
            return Ok(false);
        };
        let table = self.store.names.table("replays");
        let sql = format!(
            "UPDATE {table} SET cursor = $3,
                 until = clock_timestamp() + $4 * interval '1 microsecond'
             WHERE clinic = $1 AND owner = $2 RETURNING 1"
        );
        let ttl = micros(ttl);
        let values: &Values<'_> = &[
            (&&*self.clinic, Type::TEXT),
            (&owner, Type::TEXT),
            (&cursor, Type::TEXT),
            (&ttl, Type::INT8),
        ];
        let answer = self.store.server.query(&sql, values).await?;
        Ok(!answer.rows.is_empty())
    }

    /// Lets another process lead at once.
    ///
    /// Does nothing if this process does not lead. A process that ends without this call leads
    /// until its lease expires.
    ///
    /// # Errors
    /// Returns a [`PostgresError`] if the database failed.
    pub async fn resign(&mut self) -> Result<(), PostgresError> {
        let Some(owner) = self.owner.take() else {
            return Ok(());
        };
        let table = self.store.names.table("replays");
        let sql = format!(
            "UPDATE {table} SET owner = '', until = clock_timestamp()
             WHERE clinic = $1 AND owner = $2"
        );
        let values: &Values<'_> = &[(&&*self.clinic, Type::TEXT), (&&*owner, Type::TEXT)];
        self.store.server.query(&sql, values).await?;
        Ok(())
    }
}

impl fmt::Debug for ReplayLeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplayLeader").finish_non_exhaustive()
    }
}
