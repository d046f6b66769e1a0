//! Faults of webhook deliveries.

use std::time::Duration;

/// A fault of the delivery of an event; see
/// [`FakeFullscript::webhook_fault_times`](crate::testing::FakeFullscript::webhook_fault_times).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WebhookFault(pub(in crate::testing) Kind);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::testing) enum Kind {
    None,
    Duplicate,
    Dropped,
    Delayed(Duration),
    AnswerLost,
    WrongSignature,
}

impl WebhookFault {
    /// Creates a fault that does nothing. Use it to skip an event, so that the next fault applies
    /// to a later one.
    #[must_use]
    pub fn none() -> Self {
        Self(Kind::None)
    }

    /// Delivers the event twice, each time with another delivery id.
    #[must_use]
    pub fn duplicate() -> Self {
        Self(Kind::Duplicate)
    }

    /// Never delivers the event. Only the Events API lists it.
    #[must_use]
    pub fn dropped() -> Self {
        Self(Kind::Dropped)
    }

    /// Delays the delivery by a time on the fake's clock. Later events are delivered before it.
    #[must_use]
    pub fn late(by: Duration) -> Self {
        Self(Kind::Delayed(by))
    }

    /// Drops the endpoint's first response. The fake retries the delivery when the next attempt is
    /// due.
    #[must_use]
    pub fn answer_lost() -> Self {
        Self(Kind::AnswerLost)
    }

    /// Signs the first attempt with another secret.
    #[must_use]
    pub fn wrong_signature() -> Self {
        Self(Kind::WrongSignature)
    }
}
