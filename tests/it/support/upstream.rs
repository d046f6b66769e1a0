use std::path::PathBuf;

use serde_json::Value;

/// Reads a JSON file of the upstream documents. Returns `None` where they are not available.
#[allow(clippy::print_stdout, reason = "says what was not tested")]
pub(crate) fn upstream(file: &str) -> Option<Value> {
    let Some(directory) = std::env::var_os("FULLSCRIPT_UPSTREAM_DIR").map(PathBuf::from) else {
        println!("skipped: FULLSCRIPT_UPSTREAM_DIR is not set");
        return None;
    };
    let text = std::fs::read_to_string(directory.join(file)).unwrap();
    Some(serde_json::from_str(&text).unwrap())
}

/// Returns a path without the names of its variables, which differ between documents.
pub(crate) fn shape(path: &str) -> String {
    let parts = path.split('/');
    let parts = parts.map(|part| if part.starts_with('{') { "{}" } else { part });
    Vec::from_iter(parts).join("/")
}
