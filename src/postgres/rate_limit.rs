//! The state of a shared rate limit in the same database.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio_postgres::types::{ToSql, Type};

use super::PostgresStore;
use super::error::{Failure, PostgresError};
use super::schema::Names;
use super::server::Server;
use crate::clock::from_nanos;
use crate::transport::shared_limit::{
    PermitRequest, Permits, SharedLimit, SharedLimitError, SharedLimitFuture,
};

/// The maximum number of connections for permits. A burst of refreshes occupies those of the store,
/// and a process whose permits take longer than 1 s uses its part of the limit.
const CONNECTIONS: usize = 2;

/// The number of times that a change is computed again because others changed the state meanwhile.
const RACES: usize = 20;

/// The time after which a process that lost all these races asks again.
const RACE_DELAY: Duration = Duration::from_millis(20);

/// The rate limit that processes on any number of machines share, in a PostgreSQL database; returned
/// by [`PostgresStore::rate_limit`].
///
/// Cheap to clone. Granted permits cost two statements (a read and a compare-and-swap), and refused
/// ones mostly one. Times are those of the clock of the database. The state survives a restart of
/// the processes; after a crash of the server or a failover the limit begins without a burst, because
/// the state is in an unlogged table.
///
/// If the database fails, each process uses its part of the limit; see [`RateLimit::shared`].
///
/// [`RateLimit::shared`]: crate::RateLimit::shared
#[derive(Clone)]
pub struct PostgresLimit {
    server: Arc<Server>,
    names: Arc<Names>,
}

impl PostgresStore {
    /// Returns the shared rate limit of this database, for [`RateLimit::shared`].
    ///
    /// It opens up to two connections of its own.
    ///
    /// ```no_run
    /// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// use fullscript::auth::OAuthApp;
    /// use fullscript::postgres::PostgresStore;
    /// use fullscript::{Environment, RateLimit};
    ///
    /// let store = PostgresStore::connect(std::env::var("DATABASE_URL")?).await?;
    /// // Eight processes use this database.
    /// let limit = RateLimit::default().shared(store.rate_limit(), 8);
    /// let app = OAuthApp::builder(Environment::UsSandbox).store(store).rate_limit(limit);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// [`RateLimit::shared`]: crate::RateLimit::shared
    #[must_use]
    pub fn rate_limit(&self) -> PostgresLimit {
        PostgresLimit {
            server: Arc::new(self.server.separate(CONNECTIONS)),
            names: Arc::clone(&self.names),
        }
    }
}

impl PostgresLimit {
    async fn take_permits(&self, app: &str, request: PermitRequest) -> Result<Permits, Failure> {
        let table = self.names.table("rate_limits");
        // Nothing changes the state between the snapshot and the time without changing the version.
        let read = format!(
            "SELECT (extract(epoch FROM at) * 1000000)::bigint * 1000, version, state
             FROM (SELECT clock_timestamp() AS at) AS clock LEFT JOIN {table} ON app = $1"
        );
        let insert = format!(
            "INSERT INTO {table} (app, version, state) VALUES ($1, 1, $2)
             ON CONFLICT (app) DO NOTHING RETURNING 1"
        );
        let update = format!(
            "UPDATE {table} SET state = $2, version = version + 1
             WHERE app = $1 AND version = $3 RETURNING 1"
        );
        for _ in 0..RACES {
            let answer = self.server.query(&read, &[(&app, Type::TEXT)]).await?;
            let Some(row) = answer.rows.first() else {
                continue;
            };
            let now = from_nanos(row.try_get(0)?);
            let version: Option<i64> = row.try_get(1)?;
            let state: Option<&[u8]> = row.try_get(2)?;
            let (new, permits) = request.apply(state, now);
            if state == Some(new.as_slice()) {
                return Ok(permits);
            }
            let mut values: Vec<(&(dyn ToSql + Sync), Type)> =
                vec![(&app, Type::TEXT), (&new, Type::BYTEA)];
            if version.is_some() {
                values.push((&version, Type::INT8));
            }
            let sql = if version.is_some() { &update } else { &insert };
            // If the answer of a change is lost, its permits count as used.
            if !self.server.query(sql, &values).await?.rows.is_empty() {
                return Ok(permits);
            }
        }
        Ok(Permits {
            granted: 0,
            wait: RACE_DELAY,
        })
    }
}

impl fmt::Debug for PostgresLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresLimit").finish_non_exhaustive()
    }
}

impl SharedLimit for PostgresLimit {
    fn take<'a>(&'a self, app: &'a str, request: PermitRequest) -> SharedLimitFuture<'a, Permits> {
        Box::pin(async move {
            let taken = self.take_permits(app, request).await;
            taken.map_err(|failure| SharedLimitError::new(PostgresError::from(failure)))
        })
    }
}
