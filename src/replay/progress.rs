//! Tracks events that are not processed, which limits how far the cursor may advance.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use super::{Cursor, EventList};
use crate::lock::lock;

const LISTS: usize = EventList::ALL.len();

/// Shared by a replay and the events that it returned.
#[derive(Clone)]
pub(super) struct Progress(Arc<Mutex<State>>);

struct State {
    /// Start time of the replay, in seconds.
    now: u64,
    lists: [ListProgress; LISTS],
}

#[derive(Default)]
struct ListProgress {
    since: Option<u64>,
    /// Whether the list was read to its end.
    is_read: bool,
    /// Number of unprocessed events in each second.
    open: BTreeMap<u64, usize>,
}

/// An unprocessed event: its time, if known, and the lists that contain it.
#[derive(Clone, Copy, Default)]
pub(super) struct Open {
    pub(super) at: Option<u64>,
    pub(super) lists: [bool; LISTS],
}

impl Progress {
    pub(super) fn new(since: Cursor, now: u64) -> Self {
        let list = |since| ListProgress {
            since,
            ..ListProgress::default()
        };
        Self(Arc::new(Mutex::new(State {
            now,
            lists: since.seconds.map(list),
        })))
    }

    /// Records that a list was read to its end.
    pub(super) fn read(&self, list: EventList) {
        self.state().lists[list.index()].is_read = true;
    }

    /// Records that this list contains an unprocessed event.
    pub(super) fn open(&self, event: &mut Open, list: EventList) {
        if std::mem::replace(&mut event.lists[list.index()], true) {
            return;
        }
        let mut state = self.state();
        let progress = &mut state.lists[list.index()];
        *progress.open.entry(progress.second(event.at)).or_default() += 1;
    }

    /// Records that an event was processed, or no longer exists.
    pub(super) fn settle(&self, event: &Open) {
        let mut state = self.state();
        let lists = state.lists.iter_mut().zip(event.lists);
        for (list, _) in lists.filter(|(_, contains)| *contains) {
            let second = list.second(event.at);
            if let Some(count) = list.open.get_mut(&second) {
                *count -= 1;
                if *count == 0 {
                    list.open.remove(&second);
                }
            }
        }
    }

    pub(super) fn cursor(&self) -> Cursor {
        let state = self.state();
        let mut cursor = Cursor::default();
        for (seconds, list) in cursor.seconds.iter_mut().zip(&state.lists) {
            let oldest = list.open.keys().next().copied();
            *seconds = if list.is_read {
                Some(oldest.map_or(state.now, |oldest| oldest.min(state.now)))
            } else {
                list.since
            };
        }
        cursor
    }

    /// Each change is atomic, so a poisoned lock leaves no partial change.
    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.0)
    }
}

impl ListProgress {
    /// An event of an unknown time keeps the cursor where it was.
    fn second(&self, at: Option<u64>) -> u64 {
        at.or(self.since).unwrap_or(0)
    }
}
