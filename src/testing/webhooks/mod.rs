//! The webhooks of the fake: deliveries, retries and faults.

mod attempt;
mod fault;
mod listing;
mod queue;
mod send;
mod subscription;

pub use attempt::{DeliveryAttempt, DeliveryFailure};
pub use fault::WebhookFault;
pub(super) use queue::Webhooks;
pub use subscription::{Envelope, Webhook};
