//! Responses may omit or null every field except an object's own id and the content of a wrapper.
//!
//! The vendor's rules allow new fields and do not mention old ones. A record without a middle name
//! must not fail to decode.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::normalize::report::Report;
use crate::normalize::tree::walk::{
    children, each_below, each_root, referenced, schemas_mut, take, whole,
};
use crate::refusal::Refusal;

pub(crate) fn apply(document: &mut Value, report: &mut Report<'_>) -> Result<(), Refusal> {
    let answered = reachable(document, |pointer| pointer.contains("/responses/"));
    let wrappers = only_answers(document);
    let schemas = document["components"]["schemas"].clone();
    each_root(document, &mut |pointer, schema| {
        let component = pointer.strip_prefix("/components/schemas/");
        let answer = pointer.contains("/responses/")
            || component.is_some_and(|name| answered.contains(name));
        if answer {
            let root = pointer.to_string();
            each_below(schema, &root.clone(), &mut |pointer, schema| {
                let wraps = component.is_none_or(|name| wrappers.contains(name));
                let wraps = pointer == root && wraps;
                loosen(schema, pointer, wraps.then_some(&schemas), report);
            });
        }
        each_below(schema, pointer, &mut |_, schema| lists_take_null(schema));
    });
    Ok(())
}

/// Returns the component schemas that can be reached from the selected roots.
fn reachable(document: &mut Value, chosen: fn(&str) -> bool) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut open = Vec::new();
    each_root(document, &mut |pointer, schema| {
        if chosen(pointer) {
            collect(schema, &mut open);
        }
    });
    let schemas = schemas_mut(document);
    while let Some(name) = open.pop() {
        if found.insert(name.clone())
            && let Some(schema) = schemas.get_mut(&name)
        {
            collect(schema, &mut open);
        }
    }
    found
}

/// Returns the component schemas that are complete responses and nothing else.
fn only_answers(document: &mut Value) -> BTreeSet<String> {
    let (mut whole, mut inside) = (BTreeSet::new(), Vec::new());
    each_root(document, &mut |pointer, schema| match referenced(schema) {
        Some(name) if pointer.contains("/responses/") => drop(whole.insert(name.to_string())),
        _ => collect(schema, &mut inside),
    });
    whole.retain(|name| !inside.contains(name));
    whole
}

fn collect(schema: &mut Value, open: &mut Vec<String>) {
    open.extend(referenced(schema).map(str::to_string));
    for (_, child) in children(schema) {
        collect(child, open);
    }
}

/// Removes requirements. `schemas` are the components if the schema is the wrapper of a response.
fn loosen(schema: &mut Value, pointer: &str, schemas: Option<&Value>, report: &mut Report<'_>) {
    let properties = schema["properties"].clone();
    let Some(required) = schema["required"].as_array().cloned() else {
        return;
    };
    let structured = |name: &str, schemas: &Value| {
        let property = whole(&properties[name], schemas);
        property["type"] == "array" || property["properties"].is_object()
    };
    let kept: Vec<Value> = required
        .iter()
        .filter(|name| {
            let name = name.as_str().unwrap_or_default();
            let wraps = schemas.is_some_and(|schemas| structured(name, schemas));
            name == "id" || name != "meta" && wraps
        })
        .cloned()
        .collect();
    if kept.len() < required.len() {
        report.note(format!("{pointer}/required"), json!(required), json!(kept));
    }
    if kept.is_empty() {
        take(schema, "required");
    } else {
        schema["required"] = json!(kept);
    }
}

/// Optional lists and maps are `Option`: null, absent and empty all decode, and an empty one can be
/// sent.
fn lists_take_null(schema: &mut Value) {
    let required = schema["required"].clone();
    let required = required.as_array().map(Vec::as_slice).unwrap_or_default();
    let properties = schema.get_mut("properties").and_then(Value::as_object_mut);
    for (name, property) in properties.into_iter().flatten() {
        let list = property["type"] == "array"
            || property["type"] == "object" && property.get("properties").is_none();
        if list && !required.contains(&json!(name)) {
            property["nullable"] = json!(true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::normalize::report::check;

    #[test]
    fn responses_require_only_id_and_wrapper() {
        let (document, repairs) = check(
            apply,
            json!({
                "components": {"schemas": {
                    "A": {"type": "object", "required": ["id", "name"], "properties": {"id": {"type": "string"}, "name": {"type": "string"}}},
                    "B": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}}}},
                "paths": {"/a": {"get": {
                    "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/B"}}}},
                    "responses": {"200": {"content": {"application/json": {"schema": {"type": "object", "required": ["a", "meta"],
                        "properties": {"a": {"$ref": "#/components/schemas/A"}, "meta": {"type": "object", "properties": {"n": {"type": "integer"}}}}}}}}}}}},
            }),
        );
        assert_eq!(
            document["components"]["schemas"]["A"]["required"],
            json!(["id"])
        );
        assert_eq!(
            document["components"]["schemas"]["B"]["required"],
            json!(["name"])
        );
        let answer = &document["paths"]["/a"]["get"]["responses"]["200"]["content"]["application/json"]
            ["schema"];
        assert_eq!(answer["required"], json!(["a"]));
        assert_eq!(repairs.len(), 2);
    }

    #[test]
    fn optional_lists_take_null() {
        let (document, _) = check(
            apply,
            json!({"components": {"schemas": {"A": {"type": "object", "properties": {"l": {"type": "array", "items": {}}}}}}, "paths": {}}),
        );
        assert_eq!(
            document["components"]["schemas"]["A"]["properties"]["l"]["nullable"],
            true
        );
    }
}
