//! Replays missed events: finds events that no webhook delivered, each once, and resumes from a
//! cursor.
//!
//! Fullscript stops delivering an event after six attempts, and lists events for thirty days. A
//! [`Replay`] reads the lists of the Events API and the list of webhook deliveries, and returns
//! each event that was not processed yet, oldest first:
//!
//! ```
//! use fullscript::Client;
//! use fullscript::replay::{Cursor, ReplayError};
//! use fullscript::webhook::{Event, EventLog};
//!
//! /// Processes missed events; run this every few minutes.
//! async fn catch_up(
//!     client: &Client,
//!     event_log: impl EventLog,
//!     since: Cursor,
//! ) -> Result<Cursor, Box<dyn std::error::Error>> {
//!     let mut replay = client.events(event_log).replay(since);
//!     while let Some(next) = replay.next().await {
//!         match next {
//!             Ok(missed) => match process(&missed.event).await {
//!                 // Saving the cursor means less to read again after a crash.
//!                 Ok(()) => save(missed.acknowledge().await?),
//!                 Err(_) => missed.release().await?,
//!             },
//!             // "replay: failed to read the list orders to its end; .."
//!             Err(error) => eprintln!("{error}"),
//!         }
//!     }
//!     Ok(replay.cursor())
//! }
//! # async fn process(_: &Event) -> Result<(), ()> { Ok(()) }
//! # fn save(_: Cursor) {}
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! # use fullscript::testing::{FakeFullscript, Script};
//! # let fake = FakeFullscript::start().await?;
//! # for list in ["patient", "treatment_plan", "product", "lab_order", "clinic_key"] {
//! #     let none = Script::json(200, &serde_json::json!({"events": []}));
//! #     fake.answer(&format!("list_{list}_events"), none);
//! # }
//! # let event_log = fullscript::webhook::MemoryEventLog::new();
//! # let cursor = catch_up(&fake.client(), event_log, Cursor::default()).await?;
//! # assert!(cursor.of(fullscript::replay::EventList::Orders).is_some());
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! # }).unwrap();
//! ```
//!
//! The [guide to webhooks](crate::guide::webhooks) shows a replay together with a receiver.
//!
//! # Deduplication
//!
//! Use the event log that the webhook handler uses. An event is claimed in it before the replay
//! returns it, so that of the replay and the webhook handler, and of all processes, only one
//! processes it, and an acknowledged event is not returned again. The event log decides what was
//! processed; [`Cursor`] only limits how far back the lists are read. The event log must remember
//! events for the thirty days that Fullscript lists them, and have capacity for all of them. Older
//! events are left out here.
//!
//! The guarantees of [`EventLog`] for a process that dies apply here: an event that was processed
//! but not acknowledged is returned again.
//!
//! An event without an id is a [`ReplayError`] and not a [`Missed`], because it cannot be retrieved;
//! [`ReplayError::unreadable`] has it, to process or acknowledge it. The cursor advances past it.
//!
//! # When to run it
//!
//! A replay makes one pass over the lists and ends. Run it for each clinic, with the token of one
//! of its users, because events of other clinics are not listed: every few minutes without
//! webhooks, and about every hour in addition to webhooks. In each list, a pass sends one request
//! per hundred records of the last two or three days, and at least one request. In addition, it
//! sends one request for each missed event that the list of deliveries does not contain in full.
//! These requests wait for the [`RateLimit`](crate::RateLimit) like any others. Exclude lists that
//! the app does not need with [`Events::lists`].
//!
//! # Documented and inferred behavior
//!
//! - The lists filter by day, in a time zone that is not documented: the range is extended by a day
//!   on both sides.
//! - How late an event may be listed is not documented. Events listed within a day are found;
//!   events listed later are found by a replay from [`Cursor::default`], which is cheap once a day.
//! - Therefore `since` is not exact: events from up to three days before it are returned too if
//!   they were not processed.
//! - The scope that the list of deliveries needs is not documented. A list that is rejected does
//!   not end the replay; see [`ReplayError`].

mod cursor;
mod error;
mod events;
mod lists;
mod missed;
mod pass;
mod progress;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream;
use sync_wrapper::SyncWrapper;

use crate::client::Client;
use crate::webhook::EventLog;

use pass::Pass;
use progress::Progress;

pub use cursor::{Cursor, InvalidCursor};
pub use error::ReplayError;
pub use events::Events;
pub use lists::EventList;
pub use missed::Missed;

/// Default claim duration: longer than processing takes, and no longer than until the next replay
/// but one.
const DEFAULT_TIME_TO_HANDLE: Duration = Duration::from_secs(300);

impl Client {
    /// Returns the events of the user's clinic, with an event log of those that were processed; see
    /// [`replay`](crate::replay).
    ///
    /// Pass the event log that the webhook handler uses: a clone of
    /// [`MemoryEventLog`](crate::webhook::MemoryEventLog) or of `SqliteEventLog`, or an `Arc` of
    /// another.
    #[must_use]
    pub fn events(&self, event_log: impl EventLog) -> Events {
        Events {
            client: self.clone(),
            event_log: Arc::new(event_log),
            clock: Arc::clone(&self.context.calls.clock),
            lists: EventList::ALL.into(),
            time_to_handle: DEFAULT_TIME_TO_HANDLE,
        }
    }
}

impl Events {
    /// Returns a replay that reads the lists once and returns each event since `since` that was not
    /// processed.
    ///
    /// `since` is a saved [`Cursor`], a `SystemTime`, or [`Cursor::default`] for all events that
    /// Fullscript lists.
    ///
    /// No request is sent before the first event is polled for.
    pub fn replay(&self, since: impl Into<Cursor>) -> Replay {
        let pass = Box::new(Pass::new(self.clone(), since.into()));
        Replay {
            progress: pass.progress().clone(),
            step: Step::Idle(pass),
        }
    }
}

/// A stream of missed events, oldest first; returned by [`Events::replay`].
///
/// [`Replay::next`] reads it without a stream library. All lists are read before the first event is
/// returned, newest records first, and errors of lists are returned before it. The replay holds in
/// memory the ids of the missed events and up to a thousand full events from the list of
/// deliveries; while a list is read, also the ids of all its records.
///
/// It can be dropped at any time: the next replay returns the remaining events.
#[must_use = "a stream does nothing unless it is polled"]
pub struct Replay {
    step: Step,
    progress: Progress,
}

type NextEvent = Option<Result<Missed, ReplayError>>;

/// The search for the next event. `SyncWrapper` makes it `Sync`, because it is only polled.
type Search = SyncWrapper<Pin<Box<dyn Future<Output = (Box<Pass>, NextEvent)> + Send>>>;

enum Step {
    Idle(Box<Pass>),
    Busy(Search),
    Over,
}

impl Replay {
    /// Returns the next event, or `None` at the end.
    ///
    /// Cancel safe: if the future is dropped, the next call continues with the request in flight.
    ///
    /// # Errors
    /// Returns a [`ReplayError`] if a list cannot be read, an event cannot be retrieved, or the
    /// event log fails. Call `next` again for the remaining events, unless [`ReplayError::is_end`].
    pub async fn next(&mut self) -> Option<Result<Missed, ReplayError>> {
        std::future::poll_fn(|context| Pin::new(&mut *self).poll_next(context)).await
    }

    /// Returns the cursor to save, during the replay and at its end.
    ///
    /// All events before it were processed, except those that were reported as gone or without an
    /// id.
    ///
    /// For a list that was not read to its end, it does not advance. For other lists, it is not
    /// after the oldest event that was not acknowledged, no matter which process has the claim.
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        self.progress.cursor()
    }
}

/// The pass is moved between steps and never pinned.
impl Unpin for Replay {}

impl Stream for Replay {
    type Item = Result<Missed, ReplayError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<NextEvent> {
        let mut busy: Search = match std::mem::replace(&mut self.step, Step::Over) {
            Step::Over => return Poll::Ready(None),
            Step::Busy(busy) => busy,
            Step::Idle(mut pass) => SyncWrapper::new(Box::pin(async move {
                let next = pass.next().await;
                (pass, next)
            })),
        };
        let Poll::Ready((pass, next)) = busy.get_mut().as_mut().poll(context) else {
            self.step = Step::Busy(busy);
            return Poll::Pending;
        };
        let is_over = match &next {
            None => true,
            Some(Ok(_)) => false,
            Some(Err(error)) => error.is_end(),
        };
        if !is_over {
            self.step = Step::Idle(pass);
        }
        Poll::Ready(next)
    }
}

impl fmt::Debug for Replay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replay")
            .field("cursor", &self.cursor())
            .finish_non_exhaustive()
    }
}
