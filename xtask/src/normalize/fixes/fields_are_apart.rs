//! The Rust names of an object's fields are unique.

use serde_json::{Map, Value, json};

use crate::normalize::report::Report;
use crate::normalize::tree::names::snake;
use crate::normalize::tree::walk::each_schema;
use crate::refusal::Refusal;

/// Runs at the end of the schemas' fix, and again for fields that examples and overlay add.
pub(crate) fn apply(document: &mut Value, report: &mut Report) -> Result<(), Refusal> {
    each_schema(document, &mut |pointer, schema| {
        if let Some(object) = schema.as_object_mut() {
            separate_fields(object, pointer, report);
        }
    });
    Ok(())
}

/// Turns an object whose fields would share a Rust name into a map.
fn separate_fields(schema: &mut Map<String, Value>, pointer: &str, report: &mut Report) {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
        return;
    };
    let mut seen: Vec<String> = Vec::new();
    let clash = properties.keys().find(|name| {
        let snake = snake(name);
        let clash = name.is_empty() || snake == "unnamed" || seen.contains(&snake);
        seen.push(snake);
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
