//! Jobs over the connected users of an app.

mod ahead;
mod patience;
mod progress;

use std::collections::HashMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use tokio::task::{Id, JoinSet};
use tokio::time::sleep;

use self::progress::Progress;
use super::app::OAuthApp;
use super::connection::{Connection, Connections};
use super::error::AuthError;
use super::store::ConnectionFilter;
use super::user::UserKey;
use crate::transport::retry::Backoff;

pub use ahead::RefreshAhead;
pub(super) use patience::Patience;

/// The largest number of users of a job that run concurrently.
pub(super) const MAX_CONCURRENCY: usize = 256;

/// The number of attempts to list a page of connections before a job stops.
const LIST_ATTEMPTS: u32 = 4;

/// The number of failures that a report lists: 1,000. The others are counted.
pub(super) const MAX_LISTED: usize = 1_000;

impl OAuthApp {
    /// Runs a job for each connection that matches a filter, for `concurrency` users at a time.
    ///
    /// Starts the users in the order of their keys, and one as soon as another one ends.
    /// The failure of one user stops no other.
    /// Holds one page of connections in memory, and makes no request itself.
    /// `concurrency` is 1 to 256: the rate limit is shared fairly by the users whose requests wait,
    /// so a small number such as 8 is fast enough and delays calls outside of the job least.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// use fullscript::auth::ConnectionFilter;
    /// # let fake = fullscript::testing::FakeFullscript::start().await?;
    /// # let app = fake.app_builder().build()?;
    /// # let request = app.authorize();
    /// # let callback = fake.approve(request.url(), "practitioner");
    /// # app.exchange(app.callback(&callback, request.state())?).await?;
    ///
    /// let connected = ConnectionFilter::new().needs_reconnect(false);
    /// let calls = app.clone();
    /// let report = app
    ///     .for_each_user(connected, 8, move |connection| {
    ///         let client = calls.client(connection.user);
    ///         async move { client.get_clinic().await.map(|_clinic| ()) }
    ///     })
    ///     .run()
    ///     .await;
    /// assert!(report.is_complete());
    /// assert_eq!(report.done, 1);
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub fn for_each_user<J, F, E>(
        &self,
        filter: ConnectionFilter,
        concurrency: usize,
        job: J,
    ) -> ForEachUser<J>
    where
        J: FnMut(Connection) -> F,
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Send + 'static,
    {
        ForEachUser {
            app: self.clone(),
            connections: self.connections(filter),
            concurrency: concurrency.clamp(1, MAX_CONCURRENCY),
            job,
            on_checkpoint: None,
        }
    }
}

/// A job over the connected users of an app; returned by [`OAuthApp::for_each_user`].
#[must_use = "a job does nothing until it runs"]
pub struct ForEachUser<J> {
    app: OAuthApp,
    connections: Connections,
    concurrency: usize,
    job: J,
    on_checkpoint: Option<Listener>,
}

type Listener = Box<dyn FnMut(&UserKey) + Send>;

impl<J> ForEachUser<J> {
    /// Resumes after a checkpoint.
    ///
    /// The filter and its order are those of the first run; a user whose key precedes the
    /// checkpoint and who has connected since is left out.
    pub fn after(mut self, checkpoint: impl Into<UserKey>) -> Self {
        self.connections = self.connections.after(checkpoint);
        self
    }

    /// Sets a function that receives each new checkpoint, to save it.
    ///
    /// A checkpoint is the key of the last user such that the jobs of all users before, and of this
    /// one, have ended. A job that is resumed there runs once more for the users who were running,
    /// and for those who ended while a user before them was running: at most 10,000, which is also
    /// how far a job goes past a user who is running.
    /// A user whose job failed does not hold the checkpoint: record failures in the job itself if
    /// they must survive the process.
    pub fn on_checkpoint(mut self, listener: impl FnMut(&UserKey) + Send + 'static) -> Self {
        self.on_checkpoint = Some(Box::new(listener));
        self
    }

    /// Runs the job, and returns when it has ended for all users.
    ///
    /// Dropping the future stops the running jobs at their next await.
    /// The job stops early if the store fails repeatedly or the app was shut down; the report says
    /// so, and where to resume.
    pub async fn run<F, E>(mut self) -> JobReport<E>
    where
        J: FnMut(Connection) -> F,
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Send + 'static,
    {
        let mut report = JobReport::new();
        let mut progress = Progress::default();
        let mut places: HashMap<Id, u64> = HashMap::new();
        let mut tasks = JoinSet::new();
        let mut is_listed = false;
        loop {
            while !is_listed && tasks.len() < self.concurrency && progress.has_room() {
                match self.next(&mut report.unreadable).await {
                    Ok(Some(connection)) => {
                        let place = progress.start(connection.user.clone());
                        let job = || (self.job)(connection);
                        let task = match catch_unwind(AssertUnwindSafe(job)) {
                            Ok(job) => tasks.spawn(job),
                            // The panic of one user stops no other, wherever the job panics.
                            Err(panic) => tasks.spawn(async move { resume_unwind(panic) }),
                        };
                        places.insert(task.id(), place);
                    }
                    Ok(None) => is_listed = true,
                    Err(error) => {
                        report.stopped = Some(error);
                        is_listed = true;
                    }
                }
            }
            let Some(ended) = tasks.join_next_with_id().await else {
                return report;
            };
            let (task, result) = match ended {
                Ok((task, result)) => (task, result.map_err(JobError::Failed)),
                Err(panicked) => (panicked.id(), Err(JobError::Panicked)),
            };
            let ended = places.remove(&task).and_then(|place| progress.end(place));
            let Some((user, checkpoint)) = ended else {
                continue;
            };
            report.add(user, result);
            if let Some(checkpoint) = checkpoint {
                if let Some(listener) = &mut self.on_checkpoint {
                    listener(&checkpoint);
                }
                report.checkpoint = Some(checkpoint);
            }
        }
    }

    /// Returns the next connection, and counts records that cannot be decoded.
    async fn next(&mut self, unreadable: &mut u64) -> Result<Option<Connection>, AuthError> {
        let mut backoff = Backoff::new(LIST_ATTEMPTS);
        loop {
            self.app.inner.shared.ensure_open()?;
            match self.connections.next().await.transpose() {
                Ok(connection) => return Ok(connection),
                Err(error) if error.is_unreadable_record() => *unreadable += 1,
                Err(error) => match backoff.next(None) {
                    Some(delay) => sleep(delay).await,
                    None => return Err(error),
                },
            }
        }
    }
}

impl<J> fmt::Debug for ForEachUser<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ForEachUser")
            .field("concurrency", &self.concurrency)
            .finish_non_exhaustive()
    }
}

/// The result of a job over the users of an app.
#[derive(Debug)]
#[non_exhaustive]
pub struct JobReport<E> {
    /// The number of users whose job succeeded.
    pub done: u64,
    /// The number of users whose job failed.
    pub failed: u64,
    /// The failures, the first 1,000 at most.
    pub failures: Vec<JobFailure<E>>,
    /// The number of records that cannot be decoded, for which no job was run.
    pub unreadable: u64,
    /// The last checkpoint, to resume with [`ForEachUser::after`]; `None` if no user was listed.
    pub checkpoint: Option<UserKey>,
    /// The error that stopped the job before all users were listed.
    pub stopped: Option<AuthError>,
}

/// The failure of a job for one user.
#[derive(Debug)]
#[non_exhaustive]
pub struct JobFailure<E> {
    /// The user.
    pub user: UserKey,
    /// The error.
    pub error: JobError<E>,
}

/// The error of a job for one user.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum JobError<E> {
    /// The job returned this error.
    Failed(E),
    /// The job panicked.
    Panicked,
}

impl<E> JobReport<E> {
    fn new() -> Self {
        Self {
            done: 0,
            failed: 0,
            failures: Vec::new(),
            unreadable: 0,
            checkpoint: None,
            stopped: None,
        }
    }

    /// Returns whether the job succeeded for all users.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.failed == 0 && self.unreadable == 0 && self.stopped.is_none()
    }

    fn add(&mut self, user: UserKey, result: Result<(), JobError<E>>) {
        let Err(error) = result else {
            self.done += 1;
            return;
        };
        self.failed += 1;
        if self.failures.len() < MAX_LISTED {
            self.failures.push(JobFailure { user, error });
        }
    }
}
