//! The crate `drift`, which compares OpenAPI documents, as an independent check: every change that
//! it calls incompatible must be breaking in the review.

use std::panic;

use drift::{ChangeClass, ChangeInfo};
use xtask::review::review;

use crate::planted::{CASES, Case};

#[test]
fn what_drift_calls_incompatible_breaks_in_the_review_too() {
    let mut judged = 0;
    for Case { planted, old, new } in CASES.iter() {
        // `drift` asserts that media types and path parameters are equal.
        let changes = panic::catch_unwind(|| drift::compare(&old.document, &new.document));
        let Ok(Ok(changes)) = changes else { continue };
        if !changes
            .iter()
            .flat_map(|change| &change.changes)
            .any(breaks)
        {
            continue;
        }
        judged += 1;
        let report = review(old, new).to_string();
        assert!(report.contains(", breaks "), "{}\n{report}", planted.name);
    }
    assert!(
        judged >= 5,
        "drift found {judged} of the changes incompatible"
    );
}

fn breaks(change: &ChangeInfo) -> bool {
    let incompatible = [ChangeClass::BackwardIncompatible, ChangeClass::Incompatible];
    // The client accepts any 2xx as a success, and decodes any error.
    let of_status = change
        .message
        .starts_with("operation added a new response code");
    incompatible.contains(&change.class) && !of_status
}
