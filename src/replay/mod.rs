//! Events that no webhook brought: found, told once each, and resumed.
//!
//! The vendor gives up on a delivery after six tries, and keeps what has
//! happened for thirty days. A [`Replay`] reads the lists of the Events API
//! and the list of deliveries, and tells each event that was not handled yet,
//! the oldest first:
//!
//! ```
//! use fullscript::Client;
//! use fullscript::replay::{Cursor, ReplayError};
//! use fullscript::webhook::{Event, EventLog};
//!
//! /// Handles what was missed; to be run every few minutes.
//! async fn catch_up(
//!     client: &Client,
//!     seen: impl EventLog,
//!     since: Cursor,
//! ) -> Result<Cursor, Box<dyn std::error::Error>> {
//!     let mut replay = client.events(seen).replay(since);
//!     while let Some(next) = replay.next().await {
//!         match next {
//!             Ok(missed) => match handle(&missed.event).await {
//!                 // A cursor to save, so that a crash costs less.
//!                 Ok(()) => save(missed.acknowledge().await?),
//!                 Err(_) => missed.release().await?,
//!             },
//!             // "the list orders could not be read to its end, .."
//!             Err(error) => eprintln!("{error}"),
//!         }
//!     }
//!     Ok(replay.cursor())
//! }
//! # async fn handle(_: &Event) -> Result<(), ()> { Ok(()) }
//! # fn save(_: Cursor) {}
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! # use fullscript::testing::{FakeFullscript, Script};
//! # let fake = FakeFullscript::start().await?;
//! # for list in ["patient", "treatment_plan", "product", "lab_order", "clinic_key"] {
//! #     let none = Script::json(200, &serde_json::json!({"events": []}));
//! #     fake.answer(&format!("list_{list}_events"), none);
//! # }
//! # let seen = fullscript::webhook::MemoryEventLog::new();
//! # let cursor = catch_up(&fake.client(), seen, Cursor::default()).await?;
//! # assert!(cursor.of(fullscript::replay::EventList::Orders).is_some());
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! # }).unwrap();
//! ```
//!
//! The [guide to webhooks](crate::guide::webhooks) shows it beside a receiver.
//!
//! # Once each
//!
//! Give it the record of events that the webhook's handler has too: an event
//! is claimed in it before it is told, so that of both, and of all processes,
//! one handles it, and what is done is not told again. That record is the
//! truth; [`Cursor`] only says how far back the lists need to be read. The
//! record has to remember events for the thirty days that the vendor lists
//! them, and to have room for as many; after that they are left out here.
//!
//! What [`EventLog`] says of a process that dies holds here: an event that was
//! handled, and not yet done, is told again.
//!
//! An event without an id is left out.
//!
//! # When to run it
//!
//! A replay is one pass, and ends. Run it for each clinic, with the token of
//! one of its users, since others' events are not listed: every few minutes
//! where there are no webhooks, and every hour or so beside them. Each pass
//! takes a request for each hundred records of the last two or three days in
//! each list, at least one for each list, and one for each missed event that
//! the list of deliveries does not tell whole. They wait for their turn in the
//! [`RateLimit`](crate::RateLimit) as any others. Leave lists out that the app
//! does not need with [`Events::lists`].
//!
//! # What is known and what is inferred
//!
//! - The lists filter by day, in a time zone that is not told: the days are
//!   taken one wider on both sides.
//! - How late an event may be listed is not told: what comes within a day is
//!   found, and what comes later by a replay from [`Cursor::default`], which
//!   once a day costs little.
//! - So `since` is no sharp edge: events from up to three days before it are
//!   told too if they were not handled.
//! - Which scope the deliveries need is not told. A list that is refused ends
//!   nothing but itself, see [`ReplayError`].

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

/// More than handling takes, and no longer than until the next replay but one.
const TIME_TO_HANDLE: Duration = Duration::from_secs(300);

impl Client {
    /// The events of the user's clinic, of which this record knows which were
    /// handled; see [`replay`](crate::replay).
    ///
    /// Give the record that the webhook's handler uses: a clone of
    /// [`MemoryEventLog`](crate::webhook::MemoryEventLog) or of `SqliteEventLog`, or an
    /// `Arc` of another.
    #[must_use]
    pub fn events(&self, event_log: impl EventLog) -> Events {
        Events {
            client: self.clone(),
            event_log: Arc::new(event_log),
            clock: Arc::clone(&self.context.calls.clock),
            lists: EventList::ALL.into(),
            time_to_handle: TIME_TO_HANDLE,
        }
    }
}

impl Events {
    /// Reads the lists once, and tells each event since then that was not
    /// handled: from a saved [`Cursor`], from a `SystemTime`, or with
    /// [`Cursor::default`] from the beginning.
    ///
    /// Nothing is sent before the first event is asked for.
    pub fn replay(&self, since: impl Into<Cursor>) -> Replay {
        let pass = Box::new(Pass::new(self.clone(), since.into()));
        Replay {
            progress: pass.progress().clone(),
            step: Step::Idle(pass),
        }
    }
}

/// The events that were missed, the oldest first; made by [`Events::replay`].
///
/// A [`Stream`], and with [`Replay::next`] also of use where no stream library
/// is. The lists are read before the first event is told, the newest records
/// first, and their errors are told ahead of it. Held in memory are the ids of
/// the events that were missed and up to a thousand events that the deliveries
/// told whole; and while a list is read, the ids of all its records.
///
/// Drop it at any time: what was not told is told by the next one.
#[must_use = "a stream does nothing unless it is polled"]
pub struct Replay {
    step: Step,
    progress: Progress,
}

type Told = Option<Result<Missed, ReplayError>>;

/// Finds the next event. Only polled, so that it can be shared between threads.
type Finding = SyncWrapper<Pin<Box<dyn Future<Output = (Box<Pass>, Told)> + Send>>>;

enum Step {
    Idle(Box<Pass>),
    Busy(Finding),
    Over,
}

impl Replay {
    /// The next event, `None` at the end.
    ///
    /// Dropping the future loses nothing: what is under way is taken up by the
    /// next call.
    ///
    /// # Errors
    /// When a list can't be read, an event can't be retrieved, or the record
    /// of events fails. Go on calling: the rest follows, unless
    /// [`ReplayError::is_end`].
    pub async fn next(&mut self) -> Option<Result<Missed, ReplayError>> {
        std::future::poll_fn(|context| Pin::new(&mut *self).poll_next(context)).await
    }

    /// The cursor to save now, and at the end: nothing before it is left to
    /// do, but what was reported as gone.
    ///
    /// In a list that was not read to its end it stands where it stood, and
    /// else before the oldest event that is not done, whoever has it.
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        self.progress.cursor()
    }
}

/// The pass is moved between steps, never pinned.
impl Unpin for Replay {}

impl Stream for Replay {
    type Item = Result<Missed, ReplayError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Told> {
        let mut busy: Finding = match std::mem::replace(&mut self.step, Step::Over) {
            Step::Over => return Poll::Ready(None),
            Step::Busy(busy) => busy,
            Step::Idle(mut pass) => SyncWrapper::new(Box::pin(async move {
                let told = pass.next().await;
                (pass, told)
            })),
        };
        let Poll::Ready((pass, told)) = busy.get_mut().as_mut().poll(context) else {
            self.step = Step::Busy(busy);
            return Poll::Pending;
        };
        let is_over = match &told {
            None => true,
            Some(Ok(_)) => false,
            Some(Err(error)) => error.is_end(),
        };
        if !is_over {
            self.step = Step::Idle(pass);
        }
        Poll::Ready(told)
    }
}

impl fmt::Debug for Replay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replay")
            .field("cursor", &self.cursor())
            .finish_non_exhaustive()
    }
}
