//! What `docs/coverage.md` and the README say of operations and events.

use std::collections::BTreeSet;

use fullscript::operations;
use fullscript::types::EventType;
use fullscript::webhook::Event;
use serde_json::json;

/// `cargo xtask snapshots` writes it from the documents.
const COVERAGE: &str = include_str!("../../../docs/coverage.md");

#[test]
fn the_table_of_coverage_says_what_the_code_does() {
    for operation in operations::all() {
        let cell = format!("| `{}` |", operation.id);
        assert!(
            COVERAGE.contains(&cell),
            "{cell}; run `cargo xtask snapshots`"
        );
    }
    for type_ in EventType::ALL {
        let event = Event::from_json(json!({"id": "1", "type": type_, "data": {}}));
        let read = format!("{:?}", event.data);
        let read = read.split(['(', ' ']).next().unwrap_or_default();
        let cells = format!("| `{type_}` | `EventData::{read}` |");
        assert!(
            COVERAGE.contains(&cells),
            "{cells}; run `cargo xtask snapshots`"
        );
    }
}

#[test]
fn the_readme_counts_the_operations_and_names_the_restricted_ones() {
    const README: &str = include_str!("../../../README.md");
    let count = format!("each of its {} operations", operations::all().len());
    assert!(README.contains(&count), "README.md: {count}");
    let section = README
        .split("\n## ")
        .find(|section| section.starts_with("Operations that require commercial approval\n"));
    let named: BTreeSet<&str> = section
        .expect("a section on approval")
        .split('`')
        .filter(|word| operations::find(word).is_some())
        .collect();
    let restricted = operations::all()
        .iter()
        .filter(|operation| operation.requires_commercial_approval);
    assert_eq!(named, restricted.map(|operation| operation.id).collect());
}
