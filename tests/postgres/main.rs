//! The stores on a PostgreSQL server, directly and through PgBouncer in transaction mode.
//!
//! A binary of its own, because its tests share one cluster. Without PostgreSQL and PgBouncer they
//! say so and pass; with the variable `CI` set they fail.
#![cfg(unix)]
#![allow(
    clippy::print_stdout,
    reason = "a test that is skipped says so, and a measurement is printed"
)]
#![allow(
    clippy::unwrap_used,
    reason = "a test that can't go on says so by panicking"
)]

mod cluster;
mod contract;
mod faults;
mod measure;
mod processes;
mod replay;
mod restore;
mod schema;
mod tls;
