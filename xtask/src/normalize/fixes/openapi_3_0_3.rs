//! The document declares 3.0.3 and contains only what 3.0 supports.

use serde_json::{Map, Value, json};

use crate::normalize::WEBHOOKS;
use crate::normalize::report::Report;
use crate::refusal::Refusal;

/// The version that the generator supports.
const VERSION: &str = "3.0.3";

pub(crate) fn apply(document: &mut Value, report: &mut Report<'_>) -> Result<(), Refusal> {
    let version = document["openapi"].as_str().unwrap_or("absent").to_string();
    if version != VERSION {
        document["openapi"] = json!(VERSION);
        report.note("/openapi", version, VERSION);
    }
    let root = document.as_object_mut().expect("a well-formed document");
    if let Some(before) = root.remove("jsonSchemaDialect") {
        report.note("/jsonSchemaDialect", before, "dropped, OpenAPI 3.1 only");
    }
    names_of_webhooks(root, report);
    for (holder, key) in [("/info", "summary"), ("/info/license", "identifier")] {
        let found = document.pointer_mut(holder).and_then(Value::as_object_mut);
        if found.is_some_and(|found| found.remove(key).is_some()) {
            let pointer = format!("{holder}/{key}");
            report.note(pointer, "a text", "dropped, OpenAPI 3.1 only");
        }
    }
    Ok(())
}

/// Keeps the names of webhooks, which the review compares. Documents of version 3.0 have them as
/// `x-webhooks`.
fn names_of_webhooks(root: &mut Map<String, Value>, report: &mut Report<'_>) {
    for key in ["webhooks", "x-webhooks"] {
        let Some(before) = root.remove(key) else {
            continue;
        };
        let names: Vec<&str> = before
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(name, item)| item.is_object() && !name.starts_with("x-"))
            .map(|(name, _)| name.as_str())
            .collect();
        report.note(
            format!("/{key}"),
            names.join(", "),
            "only the names are kept, no part of a call",
        );
        if !names.is_empty() {
            root.insert(WEBHOOKS.into(), json!(names));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::normalize::report::check;

    #[test]
    fn a_3_1_document_becomes_3_0_3() {
        let (document, repairs) = check(
            apply,
            json!({"openapi": "3.1.0", "jsonSchemaDialect": "x", "webhooks": {"a": {}, "x-b": {}},
                "info": {"summary": "s"}, "paths": {}}),
        );
        assert_eq!(
            document,
            json!({"openapi": "3.0.3", "info": {}, "paths": {}, WEBHOOKS: ["a"]}),
        );
        assert_eq!(repairs.len(), 4);
    }

    #[test]
    fn a_3_0_3_document_is_unchanged() {
        let (_, repairs) = check(
            apply,
            json!({"openapi": "3.0.3", "info": {}, "paths": {}, "components": {}}),
        );
        assert!(repairs.is_empty());
    }
}
