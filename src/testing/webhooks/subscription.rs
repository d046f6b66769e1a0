//! Where the fake delivers to, and how.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::clock::{Clock, SystemClock};
use crate::value::Secret;

/// How long an endpoint has to answer (source: the vendor's page on setting up
/// a webhook; the one number that is told).
const TIMEOUT: Duration = Duration::from_secs(2);

/// The endpoint that the fake delivers events to, as it would be entered in the
/// vendor's dashboard; see
/// [`FakeFullscript::subscribe`](crate::testing::FakeFullscript::subscribe).
///
/// Debug shows neither address nor secrets.
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

/// What an event comes in: the vendor's pages disagree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Envelope {
    /// `{"event": ..}`, which is most likely.
    #[default]
    Event,
    /// `{"event_payload": {"event": ..}}`, as the pages of the events print it.
    EventPayload,
}

impl Webhook {
    /// The address of the receiver, the "Fullscript-signature secret key" and
    /// the "Secret challenge token": what is given to
    /// [`Receiver::new`](crate::webhook::Receiver::new) too.
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

    /// The types of events to deliver, such as `patient.created`; all of them
    /// unless told.
    #[must_use]
    pub fn event_types<T: Into<String>>(mut self, types: impl IntoIterator<Item = T>) -> Self {
        self.event_types = Some(types.into_iter().map(Into::into).collect());
        self
    }

    /// What events come in; `{"event": ..}` unless told.
    #[must_use]
    pub fn envelope(mut self, envelope: Envelope) -> Self {
        self.envelope = envelope;
        self
    }

    /// Whether each event is preceded by a call with an empty body, which has
    /// to be answered with the challenge too. The vendor's pages disagree; it
    /// is, unless told.
    #[must_use]
    pub fn pings(mut self, pings: bool) -> Self {
        self.pings = pings;
        self
    }

    /// How long the endpoint may take to answer; 2 seconds unless told.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Where the time in a signature comes from; the machine's clock unless
    /// told, for that is what most receivers compare it with, however far the
    /// fake's own clock was moved.
    ///
    /// Give a receiver that is told the fake's time signatures of that time:
    /// `.clock(fake.clock())`.
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
