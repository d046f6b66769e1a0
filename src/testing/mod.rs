//! What tests of an integration want (feature `testing`): a fake of the API
//! on loopback, and the types of its answers by name.

mod body;
mod clock;
mod consent;
mod fake;
mod fault;
mod oauth;
mod rate;
mod recorded;
mod round_trip;
mod script;
mod server;
mod session_grant;
mod webhooks;

pub use clock::ManualClock;
pub use fake::FakeFullscript;
pub use fault::Fault;
pub use oauth::RefreshMode;
pub use round_trip::{RoundTripError, round_trip};
pub use script::{FakeRequest, Script};
pub use webhooks::{DeliveryAttempt, DeliveryFailure, Envelope, Webhook, WebhookFault};
