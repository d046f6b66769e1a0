//! Which events were handled already.

mod key;
mod memory;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::SystemTime;

use crate::value::Hidden;

pub use key::EventKey;
#[cfg(feature = "client")]
pub(crate) use memory::AGE;
pub use memory::MemoryEventLog;

/// What the methods of [`EventLog`] return.
pub type EventLogFuture<'a, T> =
    Pin<Box<dyn Future<Output = Result<T, EventLogError>> + Send + 'a>>;

/// Remembers events, so that each is handled once however often it comes.
///
/// The vendor delivers an event again until a delivery is answered in time,
/// and the Events API tells of it too. Whoever is about to handle an event
/// claims it; of all who do, in all processes, one is granted it:
///
/// ```
/// use std::time::{Duration, SystemTime};
///
/// use fullscript::webhook::{Claim, Event, MemoryEventLog, EventLog, EventLogError, EventKey};
///
/// /// More than handling ever takes.
/// const TIME_TO_HANDLE: Duration = Duration::from_secs(60);
///
/// /// Whether the event needs no further try.
/// async fn handle_once(
///     event_log: &dyn EventLog,
///     event: &Event,
///     now: SystemTime,
/// ) -> Result<bool, EventLogError> {
///     let key = EventKey::from(event);
///     match event_log.claim(&key, now, now + TIME_TO_HANDLE).await? {
///         Claim::Processed => Ok(true),
///         // Somebody is at it. If they die it is ours to do, so keep it.
///         Claim::HeldUntil(_) => Ok(false),
///         Claim::Granted(grant) => match handle(event).await {
///             Ok(()) => event_log.acknowledge(&grant, now).await.map(|()| true),
///             Err(_) => event_log.release(&grant).await.map(|()| false),
///         },
///     }
/// }
/// # async fn handle(_: &Event) -> Result<(), ()> { Ok(()) }
/// # let now = std::time::UNIX_EPOCH;
/// # let event = Event::from_body(br#"{"id":"1","type":"patient.created"}"#);
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// # let event_log = MemoryEventLog::new();
/// # for _ in 0..2 { assert!(handle_once(&event_log, &event, now).await.unwrap()); }
/// # });
/// ```
///
/// Where this runs ahead of the answer, answer `Ok(false)` with 503: the vendor
/// tries again. With 200 the event would be lost if the holder dies.
///
/// # When a process dies
///
/// - While it handles an event: the claim ends with its deadline, and the next
///   delivery is granted the event again.
/// - Between handling and [`acknowledge`](EventLog::acknowledge): likewise, so the event is
///   handled twice. Nothing outside of the handler can prevent that. Where it
///   matters, record the event in the transaction that handles it: implement
///   this trait on that database.
/// - A handler that takes longer than its deadline may not be alone.
///   [`Grant::attempt`] tells the later one from the earlier.
///
/// # What an implementation guarantees
///
/// - A claim looks and writes in one step: of two at once, one is granted.
/// - [`acknowledge`](EventLog::acknowledge) that was answered survives a crash; a claim need not.
/// - What is done stays done for the time it is remembered, whatever is released
///   or claimed.
/// - Attempts of one event count upwards; releasing does not reset them.
///
/// All methods may be called at once from any task. An implementation that
/// blocks does it on a thread of its own.
pub trait EventLog: Send + Sync + 'static {
    /// Whether an event is remembered as done; changes nothing.
    ///
    /// So a replay need not retrieve an event to learn that it was handled.
    fn is_processed<'a>(&'a self, key: &'a EventKey) -> EventLogFuture<'a, bool>;

    /// Asks to be the one who handles an event, until `deadline`.
    ///
    /// Granted when it is not done, and nobody holds it or the holder's deadline
    /// is not after `now`.
    fn claim<'a>(
        &'a self,
        key: &'a EventKey,
        now: SystemTime,
        deadline: SystemTime,
    ) -> EventLogFuture<'a, Claim>;

    /// The event was handled: it is not granted again. Counts also when the
    /// deadline has passed and somebody else has been granted it.
    fn acknowledge<'a>(&'a self, grant: &'a Grant, now: SystemTime) -> EventLogFuture<'a, ()>;

    /// Handling has failed: the event may be granted again at once. Nothing if
    /// it is done or was granted to somebody else meanwhile.
    fn release<'a>(&'a self, grant: &'a Grant) -> EventLogFuture<'a, ()>;
}

/// So that any record can be shared.
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

/// How a claim ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// The event is the caller's to handle.
    Granted(Grant),
    /// The event was handled before.
    Processed,
    /// Somebody else is handling it, until then at the latest.
    HeldUntil(SystemTime),
}

/// The right to handle an event, until the deadline of its claim.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Grant {
    /// What the event is known by; see [`EventKey::id`].
    pub key: String,
    /// How often the event was granted: 1 for the first time.
    pub attempt: u64,
    /// When the newest event about the same thing had happened, if one that is
    /// newer than this was claimed before: what this one tells may be outdated.
    ///
    /// The vendor does not promise any order. Ask the API for how things are
    /// rather than to put the older state over the newer.
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

/// A record of events that failed.
#[derive(Clone)]
pub struct EventLogError {
    source: Arc<dyn std::error::Error + Send + Sync>,
}

impl EventLogError {
    /// Wraps the cause. Make sure that its texts hold no health data.
    pub fn new(source: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self {
            source: Arc::new(source),
        }
    }
}

impl fmt::Display for EventLogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the record of events failed, keep the event and try again")
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
