//! One pass over all lists, and the events that it finds.

use std::collections::VecDeque;
use std::collections::hash_map::{Entry, HashMap};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, SystemTime};

use super::cursor::Cursor;
use super::error::ReplayError;
use super::events::Events;
use super::lists::{EventList, LISTED_FOR, Listed, Reading, days, to_seconds};
use super::missed::Missed;
use super::progress::{Open, Progress};
use crate::error::Error;
use crate::types::{EventId, SortOrder, WebhookDeliverySort};
use crate::webhook::{Claim, Event, EventKey};

/// Maximum number of full events in memory (a few megabytes). Beyond it only ids are kept and the
/// events are retrieved.
const MAX_FULL_EVENTS: usize = 1_000;

/// Number of consecutive events that could not be retrieved because of the server or the token,
/// after which the replay ends.
const MAX_FAILURES: u32 = 3;

/// Maximum number of events without an id that are reported for each list.
const MAX_UNREADABLE: usize = 1_000;

/// Tolerance for clock differences. The event log remembers events for thirty days, so by a clock
/// that differs from the server's, it may already have forgotten an event of that age.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(60 * 60);

pub(super) struct Pass {
    events: Events,
    since: Cursor,
    now: SystemTime,
    progress: Progress,
    lists: VecDeque<EventList>,
    /// Events without an id, to be reported, with the errors of their records.
    unreadable: VecDeque<(EventList, Event, Error)>,
    /// Events that are not acknowledged, by the id of their key.
    found: HashMap<String, Found>,
    kept: usize,
    /// Missed events, newest first, once all lists are read.
    missed: Vec<Found>,
    failures: u32,
}

struct Found {
    id: EventId,
    /// Without a subject, unless the full event was listed.
    key: EventKey,
    open: Open,
    whole: Option<Box<Event>>,
}

impl Pass {
    pub(super) fn new(events: Events, since: Cursor) -> Self {
        let now = events.clock.now();
        Self {
            lists: events.lists.iter().copied().collect(),
            unreadable: VecDeque::new(),
            progress: Progress::new(since, to_seconds(now)),
            events,
            since,
            now,
            found: HashMap::new(),
            kept: 0,
            missed: Vec::new(),
            failures: 0,
        }
    }

    pub(super) fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Returns the next event; must not be called after an error that ends the replay.
    pub(super) async fn next(&mut self) -> Option<Result<Missed, ReplayError>> {
        loop {
            while let Some((list, event, error)) = self.unreadable.pop_front() {
                match self
                    .claim(EventKey::from(&event), event, Open::default())
                    .await
                {
                    Ok(Some(missed)) => {
                        return Some(Err(ReplayError::without_id(list, error, missed)));
                    }
                    // It is reported by another process, or was acknowledged.
                    Ok(None) => {}
                    Err(error) => return Some(Err(error)),
                }
            }
            let Some(list) = self.lists.pop_front() else {
                break;
            };
            if let Err(error) = self.read(list).await {
                return Some(Err(error));
            }
        }
        if !self.found.is_empty() {
            self.missed = std::mem::take(&mut self.found).into_values().collect();
            let order = |found: &Found| (found.key.created_at, found.key.id.clone());
            self.missed
                .sort_by_cached_key(|found| std::cmp::Reverse(order(found)));
        }
        while let Some(found) = self.missed.pop() {
            if let Some(next) = self.take(found).await.transpose() {
                return Some(next);
            }
        }
        None
    }

    /// Records the events of a list that are not acknowledged.
    async fn read(&mut self, list: EventList) -> Result<(), ReplayError> {
        let Some(days) = days(self.since.of(list), self.now) else {
            // The clock is set to a time before any event can exist.
            return Ok(());
        };
        // A list that changed is read once more, and not again: a list in daily use may change
        // constantly, and the next replay reads these days too.
        for _ in 0..2 {
            let mut reading = Reading::of(list, &self.events.client, &days);
            self.unreadable.clear();
            while let Some(next) = reading.next().await {
                match next.map_err(|error| ReplayError::list(list, error))? {
                    Some(Listed::Event(event)) => self.note(list, event).await?,
                    Some(Listed::Unreadable(event, error))
                        if self.unreadable.len() < MAX_UNREADABLE && !self.is_old(&event) =>
                    {
                        self.unreadable.push_back((list, event, error));
                    }
                    Some(Listed::Unreadable(..)) | None => {}
                }
            }
            if !reading.has_holes() {
                break;
            }
        }
        self.progress.read(list);
        Ok(())
    }

    /// Returns whether the event log may have forgotten an event of this age.
    fn is_old(&self, event: &Event) -> bool {
        let oldest = LISTED_FOR.saturating_sub(CLOCK_TOLERANCE);
        let oldest = self.now.checked_sub(oldest);
        let at = EventKey::from(event).created_at;
        at.is_some_and(|at| Some(at) < oldest)
    }

    async fn note(&mut self, list: EventList, event: Event) -> Result<(), ReplayError> {
        let key = EventKey::from(&event);
        let Some(id) = event.id.clone().filter(|_| !self.is_old(&event)) else {
            return Ok(());
        };
        let found = match self.found.entry(key.id.clone()) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => {
                let is_done = self.events.event_log.is_processed(&key).await;
                if is_done.map_err(ReplayError::event_log)? {
                    return Ok(());
                }
                let at = key.created_at.map(to_seconds);
                let open = Open {
                    at,
                    ..Open::default()
                };
                new.insert(Found {
                    id,
                    key,
                    open,
                    whole: None,
                })
            }
        };
        self.progress.open(&mut found.open, list);
        let is_whole = event.json().get("data").is_some_and(|data| !data.is_null());
        if is_whole && found.whole.is_none() && self.kept < MAX_FULL_EVENTS {
            found.whole = Some(Box::new(event));
            self.kept += 1;
        }
        Ok(())
    }

    /// Retrieves and claims an event for the caller; `None` if another process has the claim or
    /// processed it.
    async fn take(&mut self, mut found: Found) -> Result<Option<Missed>, ReplayError> {
        let event = match found.whole.take() {
            Some(event) => *event,
            None => {
                // If it was processed after it was listed, retrieving it is unnecessary.
                let is_done = self.events.event_log.is_processed(&found.key).await;
                if is_done.map_err(ReplayError::event_log)? {
                    self.progress.settle(&found.open);
                    return Ok(None);
                }
                self.retrieve(&found).await?
            }
        };
        let key = EventKey {
            // The listed id counts, even if the retrieved event has another.
            id: found.key.id,
            ..EventKey::from(&event)
        };
        self.claim(key, event, found.open).await
    }

    async fn claim(
        &self,
        key: EventKey,
        event: Event,
        open: Open,
    ) -> Result<Option<Missed>, ReplayError> {
        let now = self.events.clock.now();
        let deadline = now.checked_add(self.events.time_to_handle).unwrap_or(now);
        let claim = self.events.event_log.claim(&key, now, deadline).await;
        match claim.map_err(ReplayError::event_log)? {
            Claim::Granted(grant) => Ok(Some(Missed {
                event,
                grant,
                open,
                is_done: AtomicBool::new(false),
                progress: self.progress.clone(),
                event_log: self.events.event_log.clone(),
                clock: self.events.clock.clone(),
            })),
            Claim::Processed => {
                self.progress.settle(&open);
                Ok(None)
            }
            Claim::HeldUntil(_) => Ok(None),
        }
    }

    async fn retrieve(&mut self, found: &Found) -> Result<Event, ReplayError> {
        let event = self.events.client.get_event().id(found.id.clone());
        let error = match event.send().await {
            Ok(response) => {
                self.failures = 0;
                return Ok(Event::from(&response));
            }
            Err(error) => error,
        };
        // A response that the model refuses is read like a delivery, which never fails.
        let lenient = error.body().filter(|_| error.is_decode());
        let lenient = lenient.map(Event::from_body);
        if let Some(event) = lenient.filter(|event| event.type_.is_some()) {
            self.failures = 0;
            return Ok(event);
        }
        if !error.is_transient() && found.open.lists[EventList::Deliveries.index()] {
            // The event may exist only in the list of deliveries, or may be gone already.
            if let Some(event) = self.delivered(&found.id).await {
                return Ok(event);
            }
        }
        if error.is_not_found() {
            self.progress.settle(&found.open);
        }
        self.failures = if error.is_transient() || error.is_unauthorized() {
            self.failures + 1
        } else {
            0
        };
        let error = ReplayError::event(found.id.clone(), error);
        Err(if self.failures >= MAX_FAILURES {
            error.end()
        } else {
            error
        })
    }

    /// Returns the event as it was sent to the webhook.
    async fn delivered(&self, id: &EventId) -> Option<Event> {
        let deliveries = self.events.client.list_webhook_deliveries();
        let deliveries = deliveries.event_id(id.clone()).page_size(1);
        let deliveries = deliveries.sort_by(WebhookDeliverySort::AttemptedAt);
        let deliveries = deliveries.order_by(SortOrder::Desc).items();
        match Reading::Deliveries(deliveries).next().await?.ok()?? {
            Listed::Event(event) if event.id.as_ref() == Some(id) => Some(event),
            _ => None,
        }
    }
}
