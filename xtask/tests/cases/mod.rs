//! Documents that once failed, one fault each.

use std::path::Path;

use serde_json::Value;

/// Returns the documents of this directory by name.
pub(crate) fn cases() -> Vec<(String, Value)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut cases: Vec<(String, Value)> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|own| own == "json"))
        .map(|path| {
            let name = path.file_stem().unwrap().to_str().unwrap().to_string();
            let text = std::fs::read_to_string(path).unwrap();
            (name, serde_json::from_str(&text).unwrap())
        })
        .collect();
    cases.sort_by(|one, other| one.0.cmp(&other.0));
    assert!(cases.len() > 10, "{}", cases.len());
    cases
}
