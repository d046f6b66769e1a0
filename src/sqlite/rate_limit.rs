//! The state of a shared rate limit in the same file.

use std::fmt;

use rusqlite::{OptionalExtension, params};

use super::worker::Access;
use super::{SqliteStore, Workers};
use crate::clock::{Clock, SystemClock};
use crate::transport::shared_limit::{
    PermitRequest, Permits, SharedLimit, SharedLimitError, SharedLimitFuture,
};

/// The rate limit that processes of one machine share, in an SQLite file next to the tokens; returned
/// by [`SqliteStore::rate_limit`].
///
/// Cheap to clone. The limit survives a restart of the processes. After a restart of the machine it
/// begins without a burst, because a power failure may undo the last writes (on Linux, which names
/// each start of the machine).
#[derive(Clone)]
pub struct SqliteRateLimit {
    workers: Workers,
    /// The id of this start of the machine, empty if it is not known.
    boot: String,
}

impl SqliteStore {
    /// Returns the shared rate limit of this file, for [`RateLimit::shared`].
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("tokens.db");
    /// use fullscript::auth::OAuthApp;
    /// use fullscript::sqlite::SqliteStore;
    /// use fullscript::{Environment, RateLimit};
    ///
    /// let store = SqliteStore::open(path).await?;
    /// // Four processes use this file.
    /// let limit = RateLimit::default().shared(store.rate_limit(), 4);
    /// let app = OAuthApp::builder(Environment::UsSandbox).store(store).rate_limit(limit);
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    ///
    /// [`RateLimit::shared`]: crate::RateLimit::shared
    #[must_use]
    pub fn rate_limit(&self) -> SqliteRateLimit {
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id");
        SqliteRateLimit {
            workers: self.workers.clone(),
            boot: boot.unwrap_or_default(),
        }
    }
}

impl fmt::Debug for SqliteRateLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteRateLimit").finish_non_exhaustive()
    }
}

impl SharedLimit for SqliteRateLimit {
    fn take<'a>(&'a self, app: &'a str, request: PermitRequest) -> SharedLimitFuture<'a, Permits> {
        let (app, boot) = (app.to_string(), self.boot.clone());
        let taken = self.workers.submit(Access::Relaxed, move |database| {
            let connection = database.rows().connection;
            let state: Option<Vec<u8>> = connection
                .query_row(
                    "SELECT state FROM rate_limits WHERE app = ?1 AND boot = ?2",
                    [&app, &boot],
                    |row| row.get(0),
                )
                .optional()?;
            // Read under the lock of the file.
            let now = SystemClock.now();
            let (state, permits) = request.apply(state.as_deref(), now);
            connection.execute(
                "INSERT OR REPLACE INTO rate_limits (app, state, boot) VALUES (?1, ?2, ?3)",
                params![app, state, boot],
            )?;
            Ok(permits)
        });
        Box::pin(async { taken.await.map_err(SharedLimitError::new) })
    }
}
