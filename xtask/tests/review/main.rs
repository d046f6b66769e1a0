//! Tests the review of an update by planting changes.

#![allow(
    clippy::unwrap_used,
    reason = "a test that can't go on says so by panicking"
)]

mod compiled;
mod document;
mod example;
#[path = "../package/mod.rs"]
mod package;
mod planted;
mod second_opinion;
mod unreported;
