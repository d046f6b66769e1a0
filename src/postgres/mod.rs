//! Stores tokens, an event log and a shared rate limit in a PostgreSQL database.

mod builder;
mod error;
mod event_log;
mod rate_limit;
mod replay;
mod rows;
mod schema;
mod server;
mod tls;

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use self::error::{Failure, Kind};
use self::schema::Names;
use self::server::Server;
use crate::auth::{
    ConnectionFilter, ConnectionRecord, Lease, StoreError, StoreFuture, Swap, TokenStore,
};
use crate::text::hex;

pub use self::builder::PostgresBuilder;
pub use self::error::PostgresError;
pub use self::event_log::PostgresEventLog;
pub use self::rate_limit::PostgresLimit;
pub use self::replay::{ReplayLeader, ReplayState};

/// A token store in a PostgreSQL database, for processes on any number of machines.
///
/// Cheap to clone; clones share their connections.
///
/// - Each operation is one statement without a name, in a transaction of its own. So PgBouncer in
///   transaction mode works, and a future that is dropped leaves neither a transaction nor a lock.
/// - A connection that fails, or that leads to a standby, is replaced, and the statement is
///   repeated. Each operation ends within 9 s.
/// - Leases are measured with the clock of the database.
/// - A swap that returned [`Swap::Done`] is as durable as the database: see
///   [`durability`](Self::durability).
/// - TLS is used for every server that is not on this machine, unless the URL sets
///   `sslmode=disable`. The certificate and the host name are always verified.
/// - Wrap the store in an [`EncryptedStore`](crate::encryption::EncryptedStore) to encrypt the
///   tokens in the database and its backups.
///
/// The guide [Many machines](crate::guide::fleet) describes how to operate it.
///
/// ```no_run
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// use fullscript::auth::OAuthApp;
/// use fullscript::postgres::PostgresStore;
///
/// let url = std::env::var("DATABASE_URL")?;
/// // Once for each release, by a role that may create tables:
/// PostgresStore::builder(&url).migrate().await?;
/// // In each process:
/// let store = PostgresStore::connect(&url).await?;
/// let app = OAuthApp::builder(fullscript::Environment::UsSandbox).store(store);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct PostgresStore {
    server: Arc<Server>,
    names: Arc<Names>,
    durability: Durability,
}

/// What a failure of the database server may lose, by the settings that a store found when it
/// connected.
///
/// A lost token refresh is a lost connection: the vendor invalidates the old refresh token when one
/// of the new access tokens is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Durability {
    /// A write is on the disk of a standby before it counts as saved (`synchronous_commit` and
    /// `synchronous_standby_names` are set). A failover to this standby loses nothing.
    Replicated,
    /// A write is on the disk of the primary alone. A crash loses nothing, but a failover to an
    /// asynchronous standby loses the last writes.
    Local,
    /// A write may be lost in a crash of the server (`synchronous_commit` or `fsync` is off).
    Volatile,
}

impl PostgresStore {
    /// Connects to the database with this URL, with all other settings at their defaults.
    ///
    /// Settings in the form `host=.. user=..` are accepted too.
    ///
    /// # Errors
    /// Returns the errors of [`PostgresBuilder::connect`].
    pub async fn connect(url: impl Into<String>) -> Result<Self, PostgresError> {
        Self::builder(url).connect().await
    }

    /// Creates the settings of a store in the database with this URL.
    pub fn builder(url: impl Into<String>) -> PostgresBuilder {
        PostgresBuilder::new(url.into())
    }

    /// Returns what a failure of the database server may lose.
    #[must_use]
    pub fn durability(&self) -> Durability {
        self.durability
    }
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore")
            .field("durability", &self.durability)
            .finish_non_exhaustive()
    }
}

impl TokenStore for PostgresStore {
    fn load<'a>(&'a self, key: &'a str) -> StoreFuture<'a, Option<ConnectionRecord>> {
        store_future(self.load_row(key))
    }

    fn compare_and_swap(
        &self,
        expected: Option<u64>,
        new: ConnectionRecord,
    ) -> StoreFuture<'_, Swap> {
        store_future(self.swap(expected, new, None))
    }

    fn delete<'a>(&'a self, key: &'a str, expected: Option<u64>) -> StoreFuture<'a, Swap> {
        store_future(self.delete_row(key, expected))
    }

    fn list<'a>(
        &'a self,
        filter: &'a ConnectionFilter,
        after: Option<&'a str>,
        limit: usize,
    ) -> StoreFuture<'a, Vec<ConnectionRecord>> {
        store_future(self.list_rows(filter, after, limit))
    }

    fn lease<'a>(&'a self, key: &'a str, owner: &'a str, ttl: Duration) -> StoreFuture<'a, Lease> {
        store_future(self.lease_row(key, owner, ttl))
    }

    fn release<'a>(&'a self, key: &'a str, owner: &'a str) -> StoreFuture<'a, ()> {
        store_future(self.release_row(key, owner))
    }

    fn lease_and_load<'a>(
        &'a self,
        key: &'a str,
        owner: &'a str,
        ttl: Duration,
    ) -> StoreFuture<'a, (Lease, Option<ConnectionRecord>)> {
        store_future(self.lease_and_load_row(key, owner, ttl))
    }

    fn swap_and_release<'a>(
        &'a self,
        expected: Option<u64>,
        new: ConnectionRecord,
        owner: &'a str,
    ) -> StoreFuture<'a, Swap> {
        store_future(self.swap(expected, new, Some(owner)))
    }
}

/// Returns a random id, by which a claim or a leader is known again.
fn random_id() -> Result<String, Failure> {
    let mut id = [0; 16];
    getrandom::fill(&mut id).map_err(|error| Failure::caused(Kind::Other, error))?;
    Ok(hex(&id))
}

fn store_future<'a, T>(
    work: impl Future<Output = Result<T, Failure>> + Send + 'a,
) -> StoreFuture<'a, T> {
    Box::pin(async {
        work.await
            .map_err(|failure| StoreError::new(PostgresError::from(failure)))
    })
}
