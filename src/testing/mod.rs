//! What tests of an integration want (feature `testing`): a fake of the API
//! on loopback, and the types of its answers by name.

mod builder;
mod call;
mod clock;
mod consent;
mod drift;
mod fake;
mod oauth;
mod permission;
mod recorded;
mod round_trip;
mod script;
mod seed;
mod server;
mod state;
mod validate;
mod web_app;

pub use builder::FakeBuilder;
pub use clock::ManualClock;
pub use drift::Drift;
pub use fake::FakeFullscript;
pub use oauth::RefreshMode;
pub use round_trip::{RoundTripError, round_trip};
pub use script::{FakeRequest, Script};
pub use web_app::WebApp;
