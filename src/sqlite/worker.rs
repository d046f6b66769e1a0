//! The thread that has the connection, and what is asked of it.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use tokio::sync::oneshot;

use super::database::Database;
use super::error::{Failure, Kind};

/// So many requests are answered together at most: few enough that other
/// processes wait for a fraction of a second.
const TOGETHER: usize = 1_000;

/// What a request needs of the file.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    Read,
    /// A write that a loss of power may undo.
    Courtesy,
    /// A write that is on the disk before it is answered.
    Write,
}

/// Reaches the thread, which ends with the last clone.
#[derive(Clone)]
pub(super) struct Worker {
    requests: Sender<Request>,
}

pub(super) struct Request {
    access: Access,
    job: Box<dyn Job>,
}

/// Work with somebody who waits for it.
trait Job: Send {
    /// Does the work and keeps the outcome.
    fn run(&mut self, database: &Database) -> Result<(), Failure>;

    /// Tells the outcome, unless the transaction failed.
    fn answer(self: Box<Self>, transaction: Result<(), Failure>);
}

struct Asked<T, W> {
    work: W,
    outcome: Option<Result<T, Failure>>,
    reply: oneshot::Sender<Result<T, Failure>>,
}

impl Worker {
    /// Starts the thread, and waits until it has the file open.
    pub(super) async fn start(
        open: impl FnOnce() -> Result<Database, Failure> + Send + 'static,
    ) -> Result<Self, Failure> {
        let (requests, queue) = channel();
        let (opened, open_ended) = oneshot::channel();
        let run = move || match open() {
            Err(error) => {
                let _nobody_waits = opened.send(Err(error));
            }
            Ok(database) => {
                let _nobody_waits = opened.send(Ok(()));
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

    /// Puts work into the queue now; the future waits for its outcome.
    pub(super) fn ask<T: Send + 'static>(
        &self,
        access: Access,
        work: impl FnMut(&Database) -> Result<T, Failure> + Send + 'static,
    ) -> impl Future<Output = Result<T, Failure>> + Send + 'static {
        let (reply, answer) = oneshot::channel();
        let job = Box::new(Asked {
            work,
            outcome: None,
            reply,
        });
        // A thread that has ended drops the job, and `reply` with it.
        let _dropped = self.requests.send(Request { access, job });
        async { answer.await.unwrap_or_else(|_| Err(ended())) }
    }
}

fn ended() -> Failure {
    Failure::new(Kind::ThreadEnded)
}

/// Answers what is in the queue, all of it together, until nobody can ask any
/// more. A thousand users who refresh at once cost a few writes to the disk.
fn serve(database: Database, queue: &Receiver<Request>) {
    while let Ok(first) = queue.recv() {
        let queued = std::iter::once(first).chain(queue.try_iter());
        let (reads, writes): (Vec<_>, Vec<_>) = queued
            .take(TOGETHER)
            .partition(|request| request.access == Access::Read);
        // Writes first: a read sees every write that was asked for before it.
        if !writes.is_empty() {
            let on_disk = writes.iter().any(|write| write.access == Access::Write);
            answer(writes, |work| database.write(on_disk, work));
        }
        if !reads.is_empty() {
            answer(reads, |work| database.read(work));
        }
    }
}

/// Runs the requests in one transaction, and tells their outcomes after it.
fn answer(
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
        request.job.answer(ended.clone());
    }
}

impl<T, W> Job for Asked<T, W>
where
    T: Send,
    W: FnMut(&Database) -> Result<T, Failure> + Send,
{
    fn run(&mut self, database: &Database) -> Result<(), Failure> {
        let outcome = (self.work)(database);
        let ended = outcome.as_ref().map(|_| ()).map_err(Clone::clone);
        self.outcome = Some(outcome);
        ended
    }

    fn answer(self: Box<Self>, transaction: Result<(), Failure>) {
        let outcome = match transaction {
            Err(error) => Err(error),
            Ok(()) => self.outcome.unwrap_or_else(|| Err(ended())),
        };
        // Whoever asked may have gone; the work is done all the same.
        let _unheard = self.reply.send(outcome);
    }
}
