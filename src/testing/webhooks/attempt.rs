//! An attempt to deliver an event, and its result.

use std::fmt;
use std::time::SystemTime;

use serde_json::{Value, json};

use crate::testing::clock::timestamp;
use crate::types::WebhookDeliveryId;
use crate::webhook::Event;

/// An attempt of the fake to deliver an event; see
/// [`FakeFullscript::deliveries`](crate::testing::FakeFullscript::deliveries).
///
/// `Debug` does not show the response, which contains the challenge token.
#[derive(Clone)]
#[non_exhaustive]
pub struct DeliveryAttempt {
    /// The id of this attempt.
    pub id: WebhookDeliveryId,
    /// The event that was delivered.
    pub event: Event,
    /// The number of the attempt, from 1.
    pub attempt_number: u32,
    /// The time of the attempt on the fake's clock.
    pub attempted_at: SystemTime,
    /// The time of the previous attempt.
    pub previous_attempt_at: Option<SystemTime>,
    /// The time at which the next attempt is due; `None` after a success or the last attempt.
    pub next_attempt_at: Option<SystemTime>,
    /// The status of the endpoint's response; `None` if there was no response.
    pub status: Option<u16>,
    /// The body of the endpoint's response.
    pub reply: String,
    /// The reason of the failure; `None` if the attempt succeeded.
    pub failure: Option<DeliveryFailure>,
    pub(in crate::testing) reply_headers: String,
    pub(in crate::testing) reply_address: String,
}

/// Reasons why the vendor would count a delivery attempt as failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeliveryFailure {
    /// The webhook URL is invalid.
    InvalidUrl,
    /// No connection could be made, or it was lost.
    Unreachable,
    /// The endpoint did not respond before the [timeout](super::Webhook::timeout).
    TimedOut,
    /// The status is neither 200 nor 201.
    Status(u16),
    /// The body is not the challenge, `{"challenge": "<the token>"}`.
    Challenge,
    /// The response was correct, but a fault of the fake dropped it:
    /// [`WebhookFault::answer_lost`](super::WebhookFault::answer_lost).
    AnswerLost,
}

impl DeliveryAttempt {
    /// Returns whether the endpoint acknowledged the event in time.
    #[must_use]
    pub fn is_delivered(&self) -> bool {
        self.failure.is_none()
    }

    /// Returns the attempt as `list_webhook_deliveries` shows it.
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
            "event_payload": {"event": self.event.json()},
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
            Self::InvalidUrl => f.write_str("webhook delivery: the URL is not a valid http or https URL"),
            Self::Unreachable => f.write_str(
                "webhook delivery: no connection to the endpoint; start the receiver before the fake calls it",
            ),
            Self::TimedOut => f.write_str(
                "webhook delivery: timed out waiting for the response; respond first and process the event later",
            ),
            Self::Status(status) => {
                write!(f, "webhook delivery: the endpoint responded with status {status}; expected 200 or 201")
            }
            Self::Challenge => f.write_str(
                "webhook delivery: the response does not contain the challenge; respond with the secret challenge token as JSON",
            ),
            Self::AnswerLost => f.write_str("webhook delivery: the response was dropped by a fault of the fake"),
        }
    }
}

impl std::error::Error for DeliveryFailure {}
