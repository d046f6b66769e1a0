//! What goes wrong with deliveries.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use super::super::FakeFullscript;

/// Something that goes wrong with the delivery of an event; see
/// [`FakeFullscript::webhook_fault_times`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WebhookFault(pub(super) Kind);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    None,
    Duplicate,
    Dropped,
    Late(Duration),
    AnswerLost,
    WrongSignature,
}

impl WebhookFault {
    /// Nothing goes wrong, so that the next fault befalls a later event.
    #[must_use]
    pub fn none() -> Self {
        Self(Kind::None)
    }

    /// The event is delivered twice, each time with an id of its own for the
    /// delivery.
    #[must_use]
    pub fn duplicate() -> Self {
        Self(Kind::Duplicate)
    }

    /// The event is never delivered; only the Events API tells of it.
    #[must_use]
    pub fn dropped() -> Self {
        Self(Kind::Dropped)
    }

    /// The event waits for so long, on the fake's clock, and later ones come
    /// before it.
    #[must_use]
    pub fn late(by: Duration) -> Self {
        Self(Kind::Late(by))
    }

    /// The endpoint's first answer does not reach the fake, which delivers the
    /// event again when the next try is due.
    #[must_use]
    pub fn answer_lost() -> Self {
        Self(Kind::AnswerLost)
    }

    /// The first try bears a signature that was made with another secret.
    #[must_use]
    pub fn wrong_signature() -> Self {
        Self(Kind::WrongSignature)
    }
}

/// The faults of each type of event.
#[derive(Default)]
pub(super) struct Faults {
    next: HashMap<String, VecDeque<WebhookFault>>,
    lasting: HashMap<String, WebhookFault>,
}

impl Faults {
    /// What befalls an event that is about to be delivered.
    pub(super) fn befalling(&mut self, event_type: &str) -> Kind {
        let next = self.next.get_mut(event_type);
        let fault = next
            .and_then(VecDeque::pop_front)
            .or_else(|| self.lasting.get(event_type).copied());
        fault.map_or(Kind::None, |fault| fault.0)
    }
}

impl FakeFullscript {
    /// Lets this go wrong with the deliveries of each event of a type from now
    /// on, until [`end_webhook_faults`](Self::end_webhook_faults) or another
    /// fault.
    pub fn webhook_fault(&self, event_type: impl Into<String>, fault: WebhookFault) {
        let mut state = self.shared.webhooks.lock();
        state.faults.lasting.insert(event_type.into(), fault);
    }

    /// Lets this go wrong with the deliveries of the next `times` events of a
    /// type, after those that are to go wrong already.
    ///
    /// See [`FakeFullscript::subscribe`] for an example.
    pub fn webhook_fault_times(
        &self,
        event_type: impl Into<String>,
        times: usize,
        fault: WebhookFault,
    ) {
        let mut state = self.shared.webhooks.lock();
        let queue = state.faults.next.entry(event_type.into()).or_default();
        queue.extend(std::iter::repeat_n(fault, times));
    }

    /// Nothing goes wrong with any event any more that happens from now on.
    pub fn end_webhook_faults(&self) {
        self.shared.webhooks.lock().faults = Faults::default();
    }
}
