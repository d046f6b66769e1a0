//! The document declares 3.0.3 and contains only what 3.0 supports.

use serde_json::{Value, json};

use super::references_resolve::{LONGEST_CHAIN, endless, resolve};
use crate::normalize::report::Report;
use crate::normalize::tree::walk::escape;
use crate::refusal::Refusal;

/// The version that the generator supports.
const VERSION: &str = "3.0.3";

pub(crate) fn apply(document: &mut Value, report: &mut Report) -> Result<(), Refusal> {
    let version = document["openapi"].as_str().unwrap_or("absent").to_string();
    if version != VERSION {
        document["openapi"] = json!(VERSION);
        report.note("/openapi", version, VERSION);
    }
    let root = document.as_object_mut().expect("a well-formed document");
    for key in ["webhooks", "jsonSchemaDialect"] {
        if let Some(before) = root.remove(key) {
            let count = before.as_object().map_or(1, |object| object.len());
            let place = format!("/{key}");
            report.note(
                place,
                format!("{count} entries"),
                "dropped, OpenAPI 3.1 only",
            );
        }
    }
    for (holder, key) in [("/info", "summary"), ("/info/license", "identifier")] {
        let found = document.pointer_mut(holder).and_then(Value::as_object_mut);
        if found.is_some_and(|found| found.remove(key).is_some()) {
            let pointer = format!("{holder}/{key}");
            report.note(pointer, "a text", "dropped, OpenAPI 3.1 only");
        }
    }
    path_items_inlined(document, report)
}

/// A path item may be a reference in both versions, but the generator does not support this.
fn path_items_inlined(document: &mut Value, report: &mut Report) -> Result<(), Refusal> {
    let whole = document.clone();
    let paths = document.get_mut("paths").and_then(Value::as_object_mut);
    for (path, item) in paths.into_iter().flatten() {
        let pointer = format!("/paths/{}", escape(path));
        let mut chain = 0;
        while let Some(target) = item["$ref"].as_str().map(str::to_string) {
            report.note(pointer.clone(), &target, "inlined");
            chain += 1;
            if chain > LONGEST_CHAIN {
                return Err(endless(&pointer));
            }
            *item = resolve(&whole, &target, &pointer)?.clone();
        }
    }
    let components = document
        .get_mut("components")
        .and_then(Value::as_object_mut);
    if components.is_some_and(|components| components.remove("pathItems").is_some()) {
        report.note("/components/pathItems", "present", "inlined where used");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::normalize::report::check;

    #[test]
    fn a_3_1_document_becomes_3_0_3() {
        let (document, repairs) = check(
            apply,
            json!({"openapi": "3.1.0", "jsonSchemaDialect": "x", "webhooks": {"a": {}}, "info": {"summary": "s"},
                "components": {"pathItems": {"P": {"get": {}}}},
                "paths": {"/a": {"$ref": "#/components/pathItems/P"}}}),
        );
        assert_eq!(
            document,
            json!({"openapi": "3.0.3", "info": {}, "components": {}, "paths": {"/a": {"get": {}}}}),
        );
        assert_eq!(repairs.len(), 6);
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
