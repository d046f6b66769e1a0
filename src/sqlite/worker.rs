//! The thread that owns the connection, and the requests to it.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::database::Database;
use super::error::{Failure, Kind};

/// The time after which a write that waits for a lock of another process fails: 8 s, within the
/// 10 s of each call of the store.
const WRITE_TIMEOUT: Duration = Duration::from_secs(8);

/// Maximum number of requests in one transaction, so that other processes wait for at most a
/// fraction of a second.
const MAX_BATCH: usize = 1_000;

/// The access that a request needs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    Read,
    /// A write that a power failure may undo.
    Relaxed,
    /// A write that is durable before its result is returned.
    Write,
}

/// A handle to the thread, which ends with the last clone.
#[derive(Clone)]
pub(super) struct Worker {
    requests: Sender<Request>,
}

pub(super) struct Request {
    access: Access,
    queued_at: Instant,
    job: Box<dyn Job>,
}

/// Work whose result is awaited.
trait Job: Send {
    /// Does the work and keeps the result.
    fn run(&mut self, database: &Database) -> Result<(), Failure>;

    /// Sends the result, or the error of the transaction.
    fn finish(self: Box<Self>, transaction: Result<(), Failure>);
}

struct PendingJob<T, W> {
    work: W,
    result: Option<Result<T, Failure>>,
    reply: oneshot::Sender<Result<T, Failure>>,
}

impl Worker {
    /// Starts the thread and waits until it has opened the file.
    pub(super) async fn start(
        open: impl FnOnce() -> Result<Database, Failure> + Send + 'static,
    ) -> Result<Self, Failure> {
        let (requests, queue) = channel();
        let (opened, open_ended) = oneshot::channel();
        let run = move || match open() {
            Err(error) => {
                let _receiver_dropped = opened.send(Err(error));
            }
            Ok(database) => {
                let _receiver_dropped = opened.send(Ok(()));
                serve(database, &queue);
            }
        };
        thread::Builder::new()
            .name("fullscript-sqlite".into())
            .spawn(run)
            .map_err(|error| Failure::caused(Kind::NoThread, error))?;
        open_ended.await.unwrap_or_else(|_| Err(ended()))?;
        Ok(Self { requests })
    }

    /// Queues work immediately; the future waits for its result.
    pub(super) fn submit<T: Send + 'static>(
        &self,
        access: Access,
        work: impl FnMut(&Database) -> Result<T, Failure> + Send + 'static,
    ) -> impl Future<Output = Result<T, Failure>> + Send + 'static {
        let (reply, result) = oneshot::channel();
        let job = Box::new(PendingJob {
            work,
            result: None,
            reply,
        });
        // If the thread has ended, the job and its `reply` are dropped.
        let queued_at = Instant::now();
        let _dropped = self.requests.send(Request {
            access,
            queued_at,
            job,
        });
        async { result.await.unwrap_or_else(|_| Err(ended())) }
    }
}

fn ended() -> Failure {
    Failure::new(Kind::ThreadEnded)
}

/// Processes the queue in batches until all handles are dropped. A thousand users who refresh
/// concurrently cost a few writes to the disk.
fn serve(database: Database, queue: &Receiver<Request>) {
    while let Ok(first) = queue.recv() {
        // The first request has waited for the longest time.
        let patience = WRITE_TIMEOUT.saturating_sub(first.queued_at.elapsed());
        let queued = std::iter::once(first).chain(queue.try_iter());
        let (reads, writes): (Vec<_>, Vec<_>) = queued
            .take(MAX_BATCH)
            .partition(|request| request.access == Access::Read);
        if !writes.is_empty() {
            let on_disk = writes.iter().any(|write| write.access == Access::Write);
            run_batch(writes, |work| database.write(on_disk, patience, work));
        }
        if !reads.is_empty() {
            run_batch(reads, |work| database.read(work));
        }
    }
}

/// Runs the requests in one transaction and sends their results after it.
fn run_batch(
    mut requests: Vec<Request>,
    transaction: impl FnOnce(&mut dyn FnMut(&Database) -> Result<(), Failure>) -> Result<(), Failure>,
) {
    let ended = transaction(&mut |database| {
        for request in &mut requests {
            match request.job.run(database) {
                Err(error) if !error.is_of_one_user() => return Err(error),
                _ => {}
            }
        }
        Ok(())
    });
    for request in requests {
        request.job.finish(ended.clone());
    }
}

impl<T, W> Job for PendingJob<T, W>
where
    T: Send,
    W: FnMut(&Database) -> Result<T, Failure> + Send,
{
    fn run(&mut self, database: &Database) -> Result<(), Failure> {
        let result = (self.work)(database);
        let ended = result.as_ref().map(|_| ()).map_err(Clone::clone);
        self.result = Some(result);
        ended
    }

    fn finish(self: Box<Self>, transaction: Result<(), Failure>) {
        let result = match transaction {
            Err(error) => Err(error),
            Ok(()) => self.result.unwrap_or_else(|| Err(ended())),
        };
        // The caller may have dropped the future; the work is done regardless.
        let _receiver_dropped = self.reply.send(result);
    }
}
