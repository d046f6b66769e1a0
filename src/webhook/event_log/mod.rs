//! Event logs: which events were processed.

mod key;
mod memory;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::value::Hidden;

pub use key::EventKey;
pub use memory::MemoryEventLog;

/// The default retention, as long as the Events API lists events.
pub(crate) const DEFAULT_AGE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// The future that the methods of [`EventLog`] return.
pub type EventLogFuture<'a, T> =
    Pin<Box<dyn Future<Output = Result<T, EventLogError>> + Send + 'a>>;

/// A log of processed events, used to process each event once although it may be delivered several
/// times.
///
/// Fullscript delivers an event again until a delivery gets a reply in time, and the Events API
/// lists it too. A process claims an event before it processes it. Of all concurrent claims, in all
/// processes, one is granted:
///
/// ```
/// use std::time::{Duration, SystemTime};
///
/// use fullscript::webhook::{Claim, Event, MemoryEventLog, EventLog, EventLogError, EventKey};
///
/// /// Longer than processing ever takes.
/// const CLAIM_DURATION: Duration = Duration::from_secs(60);
///
/// /// Returns whether the event needs no further attempt.
/// async fn process_once(
///     event_log: &dyn EventLog,
///     event: &Event,
///     now: SystemTime,
/// ) -> Result<bool, EventLogError> {
///     let key = EventKey::from(event);
///     match event_log.claim(&key, now, now + CLAIM_DURATION).await? {
///         Claim::Processed => Ok(true),
///         // Another process has the claim and may still fail, so keep the event.
///         Claim::HeldUntil(_) => Ok(false),
///         Claim::Granted(grant) => match process(event).await {
///             Ok(()) => event_log.acknowledge(&grant, now).await.map(|()| true),
///             Err(_) => event_log.release(&grant).await.map(|()| false),
///         },
///     }
/// }
/// # async fn process(_: &Event) -> Result<(), ()> { Ok(()) }
/// # let now = std::time::UNIX_EPOCH;
/// # let event = Event::from_body(br#"{"id":"1","type":"patient.created"}"#);
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// # let event_log = MemoryEventLog::new();
/// # for _ in 0..2 { assert!(process_once(&event_log, &event, now).await.unwrap()); }
/// # });
/// ```
///
/// If this runs before the response is sent, respond to `Ok(false)` with 503, so that Fullscript
/// retries the delivery. With 200 the event would be lost if the process with the claim dies.
///
/// # When a process dies
///
/// - While it processes an event: the claim expires at its deadline, and the next delivery is
///   granted the event again.
/// - Between processing and [`acknowledge`](EventLog::acknowledge): likewise, so the event is
///   processed twice. Nothing outside the handler can prevent that. If it matters, record the event
///   in the transaction that processes it: implement this trait on that database.
/// - A handler that exceeds its deadline may run concurrently with another. [`Grant::attempt`]
///   tells the later one from the earlier one.
///
/// # Requirements for implementations
///
/// - A claim reads and writes in one atomic step: of two concurrent claims, one is granted.
/// - A completed [`acknowledge`](EventLog::acknowledge) survives a crash; a claim need not.
/// - An acknowledged event stays acknowledged while it is remembered, whatever is released or
///   claimed.
/// - Attempts of an event are counted upwards; releasing does not reset the count.
/// - A log for several machines measures the time from `now` to the deadline of a claim, and the age
///   of events, with a clock that they share: that of its database.
///
/// All methods may be called concurrently from any task. An implementation that blocks must do so
/// on a thread of its own.
pub trait EventLog: Send + Sync + 'static {
    /// Returns whether an event was acknowledged, without changing anything.
    ///
    /// A replay uses it to skip events without retrieving them.
    fn is_processed<'a>(&'a self, key: &'a EventKey) -> EventLogFuture<'a, bool>;

    /// Claims an event until `deadline`.
    ///
    /// The claim is granted if the event was not acknowledged and no other claim is active; a claim
    /// is active while its deadline is after `now`. `now` is the time of the caller. A log that has a
    /// clock of its own measures the time from `now` to the deadline with it, and adds the rest of
    /// another claim to `now` for [`Claim::HeldUntil`].
    fn claim<'a>(
        &'a self,
        key: &'a EventKey,
        now: SystemTime,
        deadline: SystemTime,
    ) -> EventLogFuture<'a, Claim>;

    /// Acknowledges an event as processed: it is not granted again.
    ///
    /// Also takes effect if the deadline has passed and the event was granted to another process.
    fn acknowledge<'a>(&'a self, grant: &'a Grant, now: SystemTime) -> EventLogFuture<'a, ()>;

    /// Releases a claim after a failure: the event may be granted again immediately.
    ///
    /// Does nothing if the event was acknowledged or has been granted to another process.
    fn release<'a>(&'a self, grant: &'a Grant) -> EventLogFuture<'a, ()>;
}

/// Lets any event log be shared.
impl<S: EventLog + ?Sized> EventLog for Arc<S> {
    fn is_processed<'a>(&'a self, key: &'a EventKey) -> EventLogFuture<'a, bool> {
        (**self).is_processed(key)
    }

    fn claim<'a>(
        &'a self,
        key: &'a EventKey,
        now: SystemTime,
        deadline: SystemTime,
    ) -> EventLogFuture<'a, Claim> {
        (**self).claim(key, now, deadline)
    }

    fn acknowledge<'a>(&'a self, grant: &'a Grant, now: SystemTime) -> EventLogFuture<'a, ()> {
        (**self).acknowledge(grant, now)
    }

    fn release<'a>(&'a self, grant: &'a Grant) -> EventLogFuture<'a, ()> {
        (**self).release(grant)
    }
}

/// The result of a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// The claim was granted: the caller must process the event.
    Granted(Grant),
    /// The event was already processed.
    Processed,
    /// Another process has a claim on the event that expires at this time.
    HeldUntil(SystemTime),
}

/// A granted claim on an event, valid until its deadline.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Grant {
    /// Id of the event's key; see [`EventKey::id`].
    pub key: String,
    /// Number of times the event was granted: 1 for the first time.
    pub attempt: u64,
    /// Time of the newest event about the same object, if an event newer than this one was claimed
    /// before. The data of this event may be outdated.
    ///
    /// Fullscript does not guarantee any order. Fetch the current state from the API instead of
    /// overwriting newer data with older data.
    pub newer: Option<SystemTime>,
}

impl Grant {
    /// Creates a grant of an event, for an implementation of [`EventLog`].
    ///
    /// `key` is the [id](EventKey::id) of the event's key; attempts count from 1.
    #[must_use]
    pub fn new(key: impl Into<String>, attempt: u64) -> Self {
        Self {
            key: key.into(),
            attempt,
            newer: None,
        }
    }

    /// Sets when the newest event about the same object happened, if a newer one was claimed.
    #[must_use]
    pub fn newer(mut self, newer: Option<SystemTime>) -> Self {
        self.newer = newer;
        self
    }
}

impl fmt::Debug for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Grant")
            .field("key", &Hidden)
            .field("attempt", &self.attempt)
            .field("newer", &self.newer)
            .finish()
    }
}

/// The error of an event log that failed.
#[derive(Clone)]
pub struct EventLogError {
    source: Arc<dyn std::error::Error + Send + Sync>,
}

impl EventLogError {
    /// Wraps the cause. Its messages must not contain health data.
    pub fn new(source: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self {
            source: Arc::new(source),
        }
    }
}

impl fmt::Display for EventLogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("event log: operation failed; keep the event and retry")
    }
}

impl fmt::Debug for EventLogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventLogError")
            .field("source", &self.source)
            .finish()
    }
}

impl std::error::Error for EventLogError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&*self.source)
    }
}
