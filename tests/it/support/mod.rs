//! What the tests share: users who are connected, stores that can be stopped
//! or fail, mock servers and their clients, a server that misbehaves.

mod connected;
mod mock;
mod server;
mod store;

pub(crate) use connected::{Connected, MODES, TWO_HOURS, connect, consent};
pub(crate) use mock::{any_request, builder, client, on_get, once};
pub(crate) use server::{Act, Closed, Misbehaving, answer, answer_with};
pub(crate) use store::{Failures, Gate, Hook, Hooked, Step};

use std::time::{Duration, SystemTime};

/// A time in 2026, so many seconds from its first, at which
/// [`ManualClock`](fullscript::testing::ManualClock) stands.
pub(crate) fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600 + seconds)
}
