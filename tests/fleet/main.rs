//! A month in the life of an app on many machines: real processes, PostgreSQL behind PgBouncer, the
//! embedded fake as the vendor, and a checker that reads only what was recorded.
//!
//! A binary of its own, because its processes are this binary, run again with a role. Without
//! PostgreSQL and PgBouncer the tests say so and pass; with the variable `CI` set they fail.
#![cfg(unix)]
#![allow(
    clippy::print_stdout,
    reason = "the seed and the numbers of a run are printed"
)]
#![allow(
    clippy::unwrap_used,
    reason = "a test that can't go on says so by panicking"
)]

mod checker;
#[path = "../postgres/cluster.rs"]
mod cluster;
mod month;
mod permits;
mod process;
mod random;
mod scale;
mod vendor;
mod worker;
