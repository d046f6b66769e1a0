//! A few connections to a server, opened when they are needed and replaced when they fail.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Config, NoTls, Row};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::error::{Failure, Kind};
use crate::lock::lock;

/// The maximum time of an operation with all its attempts: 9 s.
///
/// It is shorter than the timeout of a token store (10 s), so that the cause is reported.
const DEADLINE: Duration = Duration::from_secs(9);

/// The maximum time to open a connection, and also that of a statement: 3 s.
///
/// A connection that carries no data any more is then replaced within the deadline.
pub(super) const STEP_TIMEOUT: Duration = Duration::from_secs(3);

/// The delays before each attempt. A restart of PgBouncer or a switchover of less than 2 s is not
/// noticed.
const DELAYS: [Duration; 4] = [
    Duration::ZERO,
    Duration::from_millis(100),
    Duration::from_millis(400),
    Duration::from_millis(1_500),
];

/// The values of a statement with their types. A statement that declares its types needs no name,
/// which a connection pooler in transaction mode would lose.
pub(super) type Values<'a> = [(&'a (dyn ToSql + Sync), Type)];

/// The connections to a server.
pub(super) struct Server {
    /// The settings for each host, which are tried in order.
    hosts: Vec<Config>,
    /// The index of the host that was connected to last.
    current: AtomicUsize,
    tls: Option<MakeRustlsConnect>,
    idle: Mutex<Vec<Connection>>,
    /// One permit for each connection.
    permits: Semaphore,
    /// The last failure of a connection, if none has succeeded since.
    failure: Mutex<Option<Failure>>,
}

/// The rows that a statement returned.
pub(super) struct Answer {
    pub(super) rows: Vec<Row>,
    /// Whether an earlier attempt may have taken effect, because its answer was lost.
    pub(super) is_repeated: bool,
}

struct Connection {
    client: Client,
    task: AbortHandle,
}

/// Closes a connection at once unless it is disarmed, because the statement that it carries may
/// hang. A connection that is dropped waits for its statement, and says goodbye.
struct CloseOnDrop {
    task: AbortHandle,
    is_armed: bool,
}

impl Server {
    pub(super) fn new(
        hosts: Vec<Config>,
        tls: Option<MakeRustlsConnect>,
        connections: usize,
    ) -> Self {
        Self {
            hosts,
            current: AtomicUsize::new(0),
            tls,
            idle: Mutex::default(),
            permits: Semaphore::new(connections.clamp(1, Semaphore::MAX_PERMITS)),
            failure: Mutex::default(),
        }
    }

    /// Returns a server with connections of its own.
    pub(super) fn separate(&self, connections: usize) -> Self {
        Self::new(self.hosts.clone(), self.tls.clone(), connections)
    }

    /// Runs one statement in a transaction of its own, and repeats it if the connection fails.
    ///
    /// So each statement must have the same effect if it is repeated.
    pub(super) async fn query(&self, text: &str, values: &Values<'_>) -> Result<Answer, Failure> {
        let mut last = None;
        let attempts = async {
            let mut is_repeated = false;
            for delay in DELAYS {
                if !delay.is_zero() {
                    sleep(delay).await;
                }
                // An error means that the semaphore was closed, which nothing does.
                let _permit = self.permits.acquire().await;
                let failure = match self.connection().await {
                    Ok(connection) => match self.attempt(connection, text, values).await {
                        Ok(rows) => {
                            *lock(&self.failure) = None;
                            return Ok(Answer { rows, is_repeated });
                        }
                        Err(failure) => {
                            is_repeated |= failure.is_uncertain();
                            failure
                        }
                    },
                    Err(failure) => failure,
                };
                if !failure.is_repeatable() {
                    return Err(Some(failure));
                }
                *lock(&self.failure) = Some(failure.clone());
                last = Some(failure);
            }
            Err(last.clone())
        };
        let answer = timeout(DEADLINE, attempts).await;
        answer.unwrap_or_else(|_| Err(last)).map_err(|last| {
            // A statement that got no connection fails for the reason of those that had one.
            let failure = last.or_else(|| lock(&self.failure).clone());
            failure.unwrap_or_else(|| Failure::new(Kind::Exhausted))
        })
    }

    /// Runs statements that are separated by semicolons, on a connection of their own.
    pub(super) async fn run_script(&self, text: &str) -> Result<(), Failure> {
        let connection = self.open().await?;
        let mut guard = connection.guard();
        let run = timeout(DEADLINE, connection.client.batch_execute(text)).await;
        run.map_err(|_| Failure::new(Kind::TimedOut))??;
        guard.is_armed = false;
        Ok(())
    }

    async fn attempt(
        &self,
        connection: Connection,
        text: &str,
        values: &Values<'_>,
    ) -> Result<Vec<Row>, Failure> {
        let mut guard = connection.guard();
        let query = connection.client.query_typed(text, values);
        let rows = match timeout(STEP_TIMEOUT, query).await {
            Ok(rows) => rows.map_err(Failure::from),
            Err(_) => Err(Failure::new(Kind::TimedOut)),
        };
        match &rows {
            // The other connections lead to the same server, which is gone, or no longer primary.
            Err(failure) if failure.is_of_connection() => self.idle().clear(),
            _ => {
                guard.is_armed = false;
                self.idle().push(connection);
            }
        }
        rows
    }

    /// Returns an idle connection, or opens one.
    async fn connection(&self) -> Result<Connection, Failure> {
        let idle = {
            let mut idle = self.idle();
            idle.retain(|connection| !connection.client.is_closed());
            idle.pop()
        };
        match idle {
            Some(connection) => Ok(connection),
            None => self.open().await,
        }
    }

    /// Opens a connection to the first host that accepts writes, beginning with the last one.
    async fn open(&self) -> Result<Connection, Failure> {
        let first = self.current.load(Ordering::Relaxed);
        let mut last = Failure::new(Kind::Unreachable);
        for index in (first..self.hosts.len()).chain(0..first) {
            // Each host has a time of its own, because one may accept connections and hang.
            let connected = timeout(STEP_TIMEOUT, self.open_to(&self.hosts[index])).await;
            last = match connected {
                Ok(Ok(connection)) => {
                    self.current.store(index, Ordering::Relaxed);
                    return Ok(connection);
                }
                Ok(Err(error)) => Failure::of_connecting(&error),
                Err(_) => Failure::caused(Kind::Unreachable, "no connection within 3 s"),
            };
            if !last.is_of_connection() {
                break;
            }
        }
        Err(last)
    }

    async fn open_to(&self, host: &Config) -> Result<Connection, tokio_postgres::Error> {
        let (client, task) = match &self.tls {
            Some(tls) => {
                let (client, connection) = host.connect(tls.clone()).await?;
                (client, tokio::spawn(connection).abort_handle())
            }
            None => {
                let (client, connection) = host.connect(NoTls).await?;
                (client, tokio::spawn(connection).abort_handle())
            }
        };
        Ok(Connection { client, task })
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        lock(&self.idle)
    }
}

impl Connection {
    fn guard(&self) -> CloseOnDrop {
        CloseOnDrop {
            task: self.task.clone(),
            is_armed: true,
        }
    }
}

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        if self.is_armed {
            self.task.abort();
        }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").finish_non_exhaustive()
    }
}
