//! Shared helpers: connected users, stores that block or fail, mock servers and their clients, a
//! server that sends invalid HTTP, tests in processes of their own, and the upstream documents.

mod child;
mod connected;
mod mock;
mod server;
mod sources;
mod store;
mod upstream;

pub(crate) use child::{is_child, run_child};
pub(crate) use connected::{Connected, MODES, TWO_HOURS, connect, consent, record_key};
pub(crate) use mock::{any_request, builder, client, on_get, once};
pub(crate) use server::{Act, Closed, Misbehaving, answer, answer_with};
pub(crate) use sources::{is_public, rust_files};
pub(crate) use store::{Failures, Gate, Hook, Hooked, Step};
pub(crate) use upstream::{shape, upstream};

use std::time::{Duration, SystemTime};

/// Returns the time that is this number of seconds after the start of 2026, the initial time of
/// [`ManualClock`](fullscript::testing::ManualClock).
pub(crate) fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600 + seconds)
}
