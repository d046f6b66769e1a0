//! What tests of an integration want (feature `testing`): a fake of the API
//! on loopback, and the types of its answers by name.

mod fake;
mod round_trip;

pub use fake::{FakeFullscript, FakeRequest, Script};
pub use round_trip::{RoundTripError, round_trip};
