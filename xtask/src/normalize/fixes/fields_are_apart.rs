//! The Rust names of an object's fields are unique.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::normalize::report::Report;
use crate::normalize::tree::names::{field, snake};
use crate::normalize::tree::walk::each_schema;
use crate::refusal::Refusal;

/// Runs at the end of the schemas' fix, and again for fields that examples and overlay add.
pub(crate) fn apply(document: &mut Value, report: &mut Report<'_>) -> Result<(), Refusal> {
    each_schema(document, &mut |pointer, schema| {
        if let Some(object) = schema.as_object_mut() {
            separate_fields(object, pointer, report);
        }
    });
    Ok(())
}

/// Turns an object whose fields would share a Rust name into a map.
fn separate_fields(schema: &mut Map<String, Value>, pointer: &str, report: &mut Report<'_>) {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
        return;
    };
    let mut seen = BTreeSet::new();
    let clash = properties.keys().find(|name| {
        let names = BTreeSet::from([snake(name), field(name)]);
        let clash = names.contains("unnamed") || !seen.is_disjoint(&names);
        seen.extend(names);
        clash
    });
    if let Some(name) = clash {
        let before = format!("field {name:?} has no Rust name of its own");
        report.note(pointer, before, "an object of any JSON");
        schema.remove("properties");
        schema.remove("required");
        schema.insert("additionalProperties".into(), json!(true));
    }
}
