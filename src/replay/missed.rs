//! An event that nobody has handled yet.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::Cursor;
use super::progress::{Open, Progress};
use crate::clock::Clock;
use crate::webhook::{Event, EventLog, EventLogError, Grant};

/// An event that nobody has handled yet, and that is the caller's to handle.
///
/// Say how that went with [`acknowledge`](Self::acknowledge) or [`release`](Self::release).
/// One that is dropped without, as when the process dies, is told again by a
/// replay after the time to handle it.
///
/// Moves to another task, if events are to be handled side by side.
#[non_exhaustive]
pub struct Missed {
    /// What has happened.
    pub event: Event,
    /// The right to handle it; says too if something newer is known of what it
    /// is about.
    pub grant: Grant,
    pub(super) open: Open,
    pub(super) is_done: AtomicBool,
    pub(super) progress: Progress,
    pub(super) event_log: Arc<dyn EventLog>,
    pub(super) clock: Arc<dyn Clock>,
}

impl Missed {
    /// The event was handled: neither a replay nor a webhook tells it again.
    ///
    /// Returns the cursor to save: it waits for the oldest event that is not
    /// done.
    ///
    /// # Errors
    /// When the record of events fails: call it again, or the event is told
    /// again.
    pub async fn acknowledge(&self) -> Result<Cursor, EventLogError> {
        self.event_log
            .acknowledge(&self.grant, self.clock.now())
            .await?;
        if !self.is_done.swap(true, Ordering::Relaxed) {
            self.progress.settle(&self.open);
        }
        Ok(self.progress.cursor())
    }

    /// Handling has failed: a webhook may bring the event again at once, and
    /// the next replay does; this one does not.
    ///
    /// # Errors
    /// When the record of events fails: the event is told again all the same,
    /// after the time to handle it.
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
