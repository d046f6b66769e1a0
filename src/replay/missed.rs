//! An event that was not processed yet.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::Cursor;
use super::progress::{Open, Progress};
use crate::clock::Clock;
use crate::webhook::{Event, EventLog, EventLogError, Grant};

/// An event that was not processed yet, with a claim that is granted to the caller.
///
/// Report the result with [`acknowledge`](Self::acknowledge) or [`release`](Self::release). If
/// neither is called, for example because the process dies, a replay returns the event again after
/// the claim expires.
///
/// Can move to another task, to process events concurrently.
#[non_exhaustive]
pub struct Missed {
    /// The event.
    pub event: Event,
    /// The claim, which also states whether a newer event about the same object is known.
    pub grant: Grant,
    pub(super) open: Open,
    pub(super) is_done: AtomicBool,
    pub(super) progress: Progress,
    pub(super) event_log: Arc<dyn EventLog>,
    pub(super) clock: Arc<dyn Clock>,
}

impl Missed {
    /// Acknowledges the event as processed: it is not granted again, neither to a replay nor to a
    /// webhook handler.
    ///
    /// Returns the cursor to save, which does not advance past the oldest event that is not
    /// acknowledged.
    ///
    /// # Errors
    /// Returns an [`EventLogError`] if the event log fails. Call it again; otherwise the event is
    /// returned again.
    pub async fn acknowledge(&self) -> Result<Cursor, EventLogError> {
        self.event_log
            .acknowledge(&self.grant, self.clock.now())
            .await?;
        if !self.is_done.swap(true, Ordering::Relaxed) {
            self.progress.settle(&self.open);
        }
        Ok(self.progress.cursor())
    }

    /// Releases the claim after a failure: a webhook delivery may be granted the event immediately,
    /// and the next replay returns it again. This replay does not.
    ///
    /// # Errors
    /// Returns an [`EventLogError`] if the event log fails. The event is returned again anyway,
    /// after the claim expires.
    pub async fn release(&self) -> Result<(), EventLogError> {
        self.event_log.release(&self.grant).await
    }
}

impl fmt::Debug for Missed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Missed")
            .field("event", &self.event)
            .field("grant", &self.grant)
            .finish_non_exhaustive()
    }
}
