//! The endpoint of a webhook and its settings.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::clock::{Clock, SystemClock};
use crate::value::Secret;

/// The time within which an endpoint must respond (source: the vendor's page on setting up a
/// webhook, the only place that states a number).
const TIMEOUT: Duration = Duration::from_secs(2);

/// A webhook endpoint that the fake delivers events to, with the settings of the vendor's
/// dashboard; see [`FakeFullscript::subscribe`](crate::testing::FakeFullscript::subscribe).
///
/// `Debug` shows neither the URL nor the secrets.
#[derive(Clone)]
pub struct Webhook {
    pub(in crate::testing) url: String,
    pub(in crate::testing) signing_secret: Secret,
    pub(in crate::testing) challenge_token: Secret,
    pub(in crate::testing) event_types: Option<Vec<String>>,
    pub(in crate::testing) envelope: Envelope,
    pub(in crate::testing) pings: bool,
    pub(in crate::testing) timeout: Duration,
    pub(in crate::testing) clock: Arc<dyn Clock>,
}

/// The JSON envelope of an event; the vendor's pages contradict each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Envelope {
    /// `{"event": ..}`, the most likely one.
    #[default]
    Event,
    /// `{"event_payload": {"event": ..}}`, as printed on the vendor's event pages.
    EventPayload,
}

impl Webhook {
    /// Creates a webhook from the URL of the receiver, the "Fullscript-signature secret key" and
    /// the "Secret challenge token".
    ///
    /// Pass the same secrets to [`Receiver::new`](crate::webhook::Receiver::new).
    #[must_use]
    pub fn new(
        url: impl Into<String>,
        signing_secret: impl Into<Secret>,
        challenge_token: impl Into<Secret>,
    ) -> Self {
        Self {
            url: url.into(),
            signing_secret: signing_secret.into(),
            challenge_token: challenge_token.into(),
            event_types: None,
            envelope: Envelope::default(),
            pings: true,
            timeout: TIMEOUT,
            clock: Arc::new(SystemClock),
        }
    }

    /// Sets the types of events to deliver, such as `patient.created`. Default: all.
    #[must_use]
    pub fn event_types<T: Into<String>>(mut self, types: impl IntoIterator<Item = T>) -> Self {
        self.event_types = Some(types.into_iter().map(Into::into).collect());
        self
    }

    /// Sets the envelope of events. Default: `{"event": ..}`.
    #[must_use]
    pub fn envelope(mut self, envelope: Envelope) -> Self {
        self.envelope = envelope;
        self
    }

    /// Sets whether a call with an empty body precedes each event. Default: true.
    ///
    /// The endpoint must respond to it with the challenge too. The vendor's pages contradict each
    /// other on this call.
    #[must_use]
    pub fn pings(mut self, pings: bool) -> Self {
        self.pings = pings;
        self
    }

    /// Sets the time within which the endpoint must respond. Default: 2 s.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets the clock of the time in signatures. Default: the machine's clock.
    ///
    /// Most receivers compare the signature with the machine's clock, however far the fake's own
    /// clock was moved. If the receiver uses the fake's clock, use `.clock(fake.clock())`.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    pub(in crate::testing) fn takes(&self, event: &Value) -> bool {
        let type_ = event["type"].as_str().unwrap_or_default();
        let types = self.event_types.as_deref();
        types.is_none_or(|types| types.iter().any(|own| own == type_))
    }

    pub(in crate::testing) fn body(&self, event: &Value) -> String {
        let body = match self.envelope {
            Envelope::Event => json!({ "event": event }),
            Envelope::EventPayload => json!({"event_payload": {"event": event}}),
        };
        body.to_string()
    }
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook")
            .field("event_types", &self.event_types)
            .field("envelope", &self.envelope)
            .field("pings", &self.pings)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}
