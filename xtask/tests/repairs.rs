//! The repairs of the committed document, one per line.
#![allow(
    clippy::unwrap_used,
    reason = "a test that can't go on says so by panicking"
)]

use xtask::commands::snapshots;
use xtask::normalize::derive;
use xtask::review::Side;

#[test]
fn repairs_are_as_reviewed() {
    let raw = serde_json::from_str(include_str!("../../spec/openapi.json")).unwrap();
    let derived = derive(&raw, include_str!("../../spec/overlay.yaml")).unwrap();
    let side = Side::new("", derived).unwrap();
    insta::with_settings!({
        snapshot_path => "../../tests/snapshots",
        prepend_module_to_snapshot => false,
        omit_expression => true,
    }, {
        insta::assert_snapshot!("repairs", snapshots::of(&side)["repairs"].join("\n"));
    });
}

#[test]
fn the_committed_document_is_the_derived_one() {
    let raw = serde_json::from_str(include_str!("../../spec/openapi.json")).unwrap();
    let derived = derive(&raw, include_str!("../../spec/overlay.yaml")).unwrap();
    let committed: serde_json::Value =
        serde_json::from_str(include_str!("../../spec/openapi.normalized.json")).unwrap();
    assert!(
        committed == derived.document,
        "run `cargo xtask update-spec --from spec/openapi.json`"
    );
}
