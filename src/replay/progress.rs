//! What is not handled yet, and so how far the cursor may go.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Cursor, EventList};

const LISTS: usize = EventList::ALL.len();

/// Shared by a replay and the events that it has told.
#[derive(Clone)]
pub(super) struct Progress(Arc<Mutex<State>>);

struct State {
    /// Where the replay began, in seconds.
    now: u64,
    lists: [Of; LISTS],
}

#[derive(Default)]
struct Of {
    since: Option<u64>,
    /// Whether the list was read to its end.
    is_read: bool,
    /// How many events of each second are not handled.
    open: BTreeMap<u64, usize>,
}

/// An event that is not handled: when it happened, if that is known, and the
/// lists that tell of it.
#[derive(Clone, Copy, Default)]
pub(super) struct Open {
    pub(super) at: Option<u64>,
    pub(super) lists: [bool; LISTS],
}

impl Progress {
    pub(super) fn new(since: Cursor, now: u64) -> Self {
        let of = |since| Of {
            since,
            ..Of::default()
        };
        Self(Arc::new(Mutex::new(State {
            now,
            lists: since.seconds.map(of),
        })))
    }

    /// A list was read to its end.
    pub(super) fn read(&self, list: EventList) {
        self.state().lists[list.index()].is_read = true;
    }

    /// This list tells of an event that is not handled.
    pub(super) fn open(&self, event: &mut Open, list: EventList) {
        if std::mem::replace(&mut event.lists[list.index()], true) {
            return;
        }
        let mut state = self.state();
        let of = &mut state.lists[list.index()];
        *of.open.entry(of.second(event.at)).or_default() += 1;
    }

    /// An event is handled, or there is nothing to handle any more.
    pub(super) fn settle(&self, event: &Open) {
        let mut state = self.state();
        let lists = state.lists.iter_mut().zip(event.lists);
        for (of, _) in lists.filter(|(_, tells)| *tells) {
            let second = of.second(event.at);
            if let Some(count) = of.open.get_mut(&second) {
                *count -= 1;
                if *count == 0 {
                    of.open.remove(&second);
                }
            }
        }
    }

    pub(super) fn cursor(&self) -> Cursor {
        let state = self.state();
        let mut cursor = Cursor::default();
        for (seconds, of) in cursor.seconds.iter_mut().zip(&state.lists) {
            let oldest = of.open.keys().next().copied();
            *seconds = if of.is_read {
                Some(oldest.map_or(state.now, |oldest| oldest.min(state.now)))
            } else {
                of.since
            };
        }
        cursor
    }

    /// Each change is whole, so a panic elsewhere leaves nothing half done.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Of {
    /// One of an unknown time holds the cursor where it was.
    fn second(&self, at: Option<u64>) -> u64 {
        at.or(self.since).unwrap_or(0)
    }
}
