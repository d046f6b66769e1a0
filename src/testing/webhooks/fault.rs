//! What goes wrong with deliveries.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

/// Something that goes wrong with the delivery of an event; see
/// [`FakeFullscript::webhook_fault_times`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WebhookFault(pub(in crate::testing) Kind);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::testing) enum Kind {
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
pub(in crate::testing) struct Faults {
    pub(in crate::testing) next: HashMap<String, VecDeque<WebhookFault>>,
    pub(in crate::testing) lasting: HashMap<String, WebhookFault>,
}

impl Faults {
    /// What befalls an event that is about to be delivered.
    pub(in crate::testing) fn befalling(&mut self, event_type: &str) -> Kind {
        let next = self.next.get_mut(event_type);
        let fault = next
            .and_then(VecDeque::pop_front)
            .or_else(|| self.lasting.get(event_type).copied());
        fault.map_or(Kind::None, |fault| fault.0)
    }
}
