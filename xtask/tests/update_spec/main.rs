//! Runs `xtask update-spec` and `xtask check` like a user, against a loopback server with scripted
//! responses.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod derived;
mod documents;
mod moved;
mod received;
mod refused;
mod released;
mod reviewed;
mod sandbox;
mod server;
mod snapshots;
mod updated;
mod workflow;
mod written;

use std::process::Command;

use sandbox::Run;

#[test]
fn the_help_names_every_command_and_option() {
    let help = Run(Command::new(env!("CARGO_BIN_EXE_xtask"))
        .arg("help")
        .output()
        .unwrap())
    .done();
    for word in [
        "update-spec",
        "check",
        "snapshots",
        "record-release",
        "--from",
        "--dry-run",
        "--kind",
        "--format",
        "--timeout",
        "--spec",
        "--strict",
        "--no-check",
    ] {
        assert!(help.contains(word), "{word}");
    }
}
