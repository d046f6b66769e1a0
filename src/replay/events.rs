//! The events of a clinic and the options to read them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::lists::EventList;
use crate::call::response::Response;
use crate::client::Client;
use crate::clock::Clock;
use crate::types::EventResponse;
use crate::webhook::{Event, EventLog};

/// The events of a clinic; returned by [`Client::events`].
#[derive(Clone)]
pub struct Events {
    pub(super) client: Client,
    pub(super) event_log: Arc<dyn EventLog>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) lists: Vec<EventList>,
    pub(super) time_to_handle: Duration,
}

impl Events {
    /// Sets the lists to read. Default: all lists.
    ///
    /// [`EventList::Deliveries`] contains every kind of event that the webhook is subscribed to.
    #[must_use]
    pub fn lists(mut self, lists: impl IntoIterator<Item = EventList>) -> Self {
        self.lists = lists.into_iter().collect();
        self
    }

    /// Sets the duration of the claim on a returned event. Default: 5 minutes.
    ///
    /// After it the event may be granted again, if neither
    /// [`Missed::acknowledge`](super::Missed::acknowledge) nor
    /// [`Missed::release`](super::Missed::release) was called.
    #[must_use]
    pub fn time_to_handle(mut self, time: Duration) -> Self {
        self.time_to_handle = time;
        self
    }

    /// Sets the clock. Default: the client's clock.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events")
            .field("lists", &self.lists)
            .field("time_to_handle", &self.time_to_handle)
            .finish_non_exhaustive()
    }
}

/// Reads the event from the body, with its JSON as it was sent.
impl From<&Response<EventResponse>> for Event {
    fn from(response: &Response<EventResponse>) -> Self {
        Self::from_body(response.body())
    }
}
