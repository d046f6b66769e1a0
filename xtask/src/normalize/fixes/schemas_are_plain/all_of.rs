//! `allOf` becomes one schema, so that no part of it is lost.

use serde_json::{Map, Value, json};

use crate::normalize::report::Report;
use crate::normalize::tree::walk::{distinct, referenced};

type Object = Map<String, Value>;

/// Marks the base of several types of objects until they have its fields.
pub(crate) const BASE: &str = "x-base";

/// Merges `allOf` into one object.
///
/// A single reference is unchanged: `allOf` is the way to add keywords to it.
pub(crate) fn merge_parts(schema: &mut Value, pointer: &str, whole: &Value, report: &mut Report) {
    let Some(parts) = schema["allOf"].as_array() else {
        return;
    };
    let shaped = ["properties", "type", "enum", "items"]
        .iter()
        .any(|key| !schema[*key].is_null());
    if parts.len() == 1 && referenced(&parts[0]).is_some() && !shaped {
        return;
    }
    let count = parts.len();
    let mut conflicts = Vec::new();
    let mut merged = Object::new();
    fold(schema, whole, &mut merged, &mut conflicts);
    let after = if conflicts.is_empty() {
        "one schema".to_string()
    } else {
        format!("one schema, any JSON for {}", conflicts.join(", "))
    };
    report.note(pointer, format!("allOf of {count}"), after);
    *schema = Value::Object(merged);
}

fn all_have_fields(schemas: &[&Value]) -> bool {
    schemas
        .iter()
        .all(|schema| schema["properties"].is_object())
}

fn fold(part: &Value, whole: &Value, merged: &mut Object, conflicts: &mut Vec<String>) {
    let target = referenced(part).and_then(|name| whole["components"]["schemas"].get(name));
    if let Some(target) = target {
        return fold(target, whole, merged, conflicts);
    }
    for member in part["allOf"].as_array().into_iter().flatten() {
        fold(member, whole, merged, conflicts);
    }
    for (key, value) in part.as_object().into_iter().flatten() {
        match (key.as_str(), value) {
            ("allOf" | BASE, _) => {}
            ("properties", Value::Object(properties)) => {
                let all = merged.entry("properties").or_insert_with(|| json!({}));
                for (name, property) in properties {
                    let before = all[name].clone();
                    let same = |key: &str| before[key] == property[key];
                    all[name] = match &before {
                        Value::Null => property.clone(),
                        Value::Object(before) if all_have_fields(&[&all[name], property]) => {
                            let mut both = before.clone();
                            fold(property, whole, &mut both, conflicts);
                            Value::Object(both)
                        }
                        _ if ["type", "$ref", "allOf", "items", "format"]
                            .into_iter()
                            .all(same) =>
                        {
                            property.clone()
                        }
                        _ => {
                            conflicts.push(name.clone());
                            json!({})
                        }
                    };
                }
            }
            ("required", Value::Array(names)) => {
                let all = merged.entry("required").or_insert_with(|| json!([]));
                let all = all.as_array_mut().expect("just made a list");
                *all = distinct(all.drain(..).chain(names.iter().cloned()));
            }
            ("type", _) if merged.get("type").is_some_and(|before| before != value) => {
                merged.remove("type");
                merged.insert("x-conflict".into(), json!(true));
            }
            ("type", _) if merged.contains_key("x-conflict") => {}
            _ => drop(merged.insert(key.clone(), value.clone())),
        }
    }
    if merged.remove("x-conflict").is_some() {
        conflicts.push("the type".into());
        for key in ["properties", "required", "items", "enum", "format", "type"] {
            merged.remove(key);
        }
    }
}
