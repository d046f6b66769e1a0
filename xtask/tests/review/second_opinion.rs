//! `drift`, which compares OpenAPI documents, as an independent judge of the
//! wire: what it calls incompatible, the review calls breaking.

use drift::ChangeClass;
use xtask::review::review;

use crate::planted::table;

#[test]
fn what_drift_calls_incompatible_breaks_in_the_review_too() {
    let mut judged = 0;
    for planted in table() {
        let (old, new) = planted.sides();
        // It asserts that media types and path variables are the same.
        let changes = std::panic::catch_unwind(|| drift::compare(&old.document, &new.document));
        let Ok(Ok(changes)) = changes else { continue };
        let incompatible = changes
            .iter()
            .flat_map(|change| &change.changes)
            .any(|change| {
                [ChangeClass::BackwardIncompatible, ChangeClass::Incompatible]
                    .contains(&change.class)
            });
        judged += usize::from(incompatible);
        let report = review(&old, &new).to_string();
        assert!(
            !incompatible || report.contains(", breaks "),
            "{}\n{report}",
            planted.name
        );
    }
    assert!(
        judged >= 5,
        "drift found {judged} of the changes incompatible"
    );
}
