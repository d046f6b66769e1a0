//! The worked example of `CONTRIBUTING.md`, a step of five years.

use std::path::{Path, PathBuf};

use xtask::review::review;

use crate::document::{OVERLAY, side_of};

const EXAMPLE: &str = include_str!("../../../docs/review-2021-to-2026.md");

#[test]
fn the_worked_example_is_what_the_command_writes() {
    let Some(directory) = std::env::var_os("FULLSCRIPT_UPSTREAM_DIR").map(PathBuf::from) else {
        println!("skipped: FULLSCRIPT_UPSTREAM_DIR is not set");
        return;
    };
    let read = |name: &str| {
        let text = std::fs::read_to_string(Path::new(&directory).join(name)).unwrap();
        side_of(name, &serde_json::from_str(&text).unwrap(), OVERLAY)
    };
    let (old, new) = (
        read("fullscript-2021-12.json"),
        read("fullscript-2026-reconstructed.json"),
    );
    let report = review(&old, &new).to_string();
    assert!(
        report == EXAMPLE,
        "docs/review-2021-to-2026.md is stale: CONTRIBUTING.md says how it is made\n{report}"
    );
}
