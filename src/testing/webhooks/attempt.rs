//! One try to deliver an event, and how it went.

use std::fmt;
use std::time::SystemTime;

use serde_json::{Value, json};

use crate::testing::clock::timestamp;
use crate::types::WebhookDeliveryId;
use crate::webhook::Event;

/// One try of the fake to deliver an event; see
/// [`FakeFullscript::deliveries`](crate::testing::FakeFullscript::deliveries).
///
/// Debug shows no reply, for the challenge token is in it.
#[derive(Clone)]
#[non_exhaustive]
pub struct DeliveryAttempt {
    /// The id of this try.
    pub id: WebhookDeliveryId,
    /// What was delivered.
    pub event: Event,
    /// 1 for the first try.
    pub attempt_number: u32,
    /// When, on the fake's clock.
    pub attempted_at: SystemTime,
    /// When the try before this one was.
    pub previous_attempt_at: Option<SystemTime>,
    /// When the next try is due; none where this one succeeded or was the last.
    pub next_attempt_at: Option<SystemTime>,
    /// What the endpoint answered, if it did.
    pub status: Option<u16>,
    /// The body that it answered with.
    pub reply: String,
    /// Why the try does not count, if it does not.
    pub failure: Option<DeliveryFailure>,
    pub(in crate::testing) reply_headers: String,
    pub(in crate::testing) reply_address: String,
}

/// Why the vendor would not count an answer of a webhook's endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeliveryFailure {
    /// The address is none.
    InvalidUrl,
    /// Nobody answered, or the connection broke.
    Unreachable,
    /// No answer came in time.
    TimedOut,
    /// The status is neither 200 nor 201.
    Status(u16),
    /// The body is not the challenge, `{"challenge": "<the token>"}`.
    Challenge,
    /// The answer was good, and a fault of the fake lost it:
    /// [`WebhookFault::answer_lost`](super::WebhookFault::answer_lost).
    AnswerLost,
}

impl DeliveryAttempt {
    /// Whether the endpoint answered as it should, in time.
    #[must_use]
    pub fn is_delivered(&self) -> bool {
        self.failure.is_none()
    }

    /// The try as `list_webhook_deliveries` shows it.
    pub(in crate::testing) fn json(&self) -> Value {
        json!({
            "id": self.id.to_string(),
            "attempt_number": self.attempt_number,
            "attempted_at": timestamp(self.attempted_at),
            "previous_attempt_at": self.previous_attempt_at.map(timestamp),
            "next_attempt_at": self.next_attempt_at.map(timestamp),
            "successfully_delivered": self.is_delivered(),
            "response_body": self.reply,
            "response_header": self.reply_headers,
            "response_status": self.status,
            "response_ip_address": self.reply_address,
            "response_errors": self.failure.map(|failure| failure.to_string()),
            "event_payload": {"event": self.event.json},
        })
    }
}

impl fmt::Debug for DeliveryAttempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeliveryAttempt")
            .field("event", &self.event)
            .field("attempt_number", &self.attempt_number)
            .field("attempted_at", &self.attempted_at)
            .field("next_attempt_at", &self.next_attempt_at)
            .field("status", &self.status)
            .field("failure", &self.failure)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for DeliveryFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidUrl => f.write_str("the webhook's address is not a URL of http or https"),
            Self::Unreachable => f.write_str(
                "nobody answered at the webhook's address, start the receiver before the fake calls it",
            ),
            Self::TimedOut => f.write_str(
                "the webhook did not answer in time, let it answer first and work later",
            ),
            Self::Status(status) => {
                write!(f, "the webhook answered {status}, only 200 and 201 count")
            }
            Self::Challenge => f.write_str(
                "the webhook did not answer with the challenge, reply with the secret challenge token as JSON",
            ),
            Self::AnswerLost => f.write_str("the answer was lost, as a fault of the fake says"),
        }
    }
}

impl std::error::Error for DeliveryFailure {}
