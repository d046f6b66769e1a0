//! Alternatives become one type.

use serde_json::{Map, Value, json};

use super::all_of::OPEN;
use super::kinds::Kinds;
use crate::normalize::report::Report;
use crate::normalize::tree::walk::referenced;

type Object = Map<String, Value>;

/// Replaces alternatives by one type that all of them match.
pub(super) fn one_alternative(
    schema: &mut Object,
    pointer: &str,
    kinds: &Kinds,
    report: &mut Report<'_>,
) {
    for key in ["anyOf", "oneOf"] {
        let Some(Value::Array(mut members)) = schema.remove(key) else {
            continue;
        };
        let count = members.len();
        members.retain(|member| !is_null(member));
        if members.len() < count {
            schema.insert("nullable".into(), json!(true));
        }
        let only_required = |member: &Value| {
            member
                .as_object()
                .is_some_and(|object| object.keys().all(|key| key == "required"))
        };
        if members.iter().all(only_required) {
            report.note(
                pointer,
                format!("{key} of {count}"),
                "dropped, it only adds `required`",
            );
            continue;
        }
        if members.len() == 1 {
            schema.insert("allOf".into(), Value::Array(members));
            report.note(pointer, format!("{key} of {count}"), "its only member");
            continue;
        }
        let widest = widest(&members, schema, kinds);
        let described = describe(&members);
        let has_fields = schema
            .get("properties")
            .is_some_and(|all| *all != json!({}));
        if has_fields && widest["type"] == "object" {
            // The fields are those of all alternatives, and the rest stays readable.
            schema.insert("type".into(), json!("object"));
            schema.insert("additionalProperties".into(), json!({}));
            let kept = "the fields beside it, and any other field";
            report.note(pointer, format!("{key} of {described}"), kept);
            continue;
        }
        for shape in [
            "properties",
            "required",
            "type",
            "format",
            "items",
            "enum",
            "allOf",
        ] {
            schema.remove(shape);
        }
        report.note(
            pointer,
            format!("{key} of {described}"),
            describe(std::slice::from_ref(&widest)),
        );
        let widest = widest.as_object().cloned().unwrap_or_default();
        if widest.is_empty() {
            schema.insert(OPEN.into(), json!(true));
        }
        schema.extend(widest);
    }
}

fn is_null(schema: &Value) -> bool {
    let Some(object) = schema.as_object() else {
        return false;
    };
    let nullable = object.get("nullable") == Some(&json!(true));
    nullable
        && object
            .keys()
            .all(|key| key == "nullable" || key == "description")
}

/// Returns the narrowest schema that each member matches.
fn widest(members: &[Value], schema: &Object, kinds: &Kinds) -> Value {
    let types: Vec<_> = members
        .iter()
        .map(|member| kinds.kind(member).unwrap_or("?"))
        .collect();
    let all = |allowed: &[&str]| types.iter().all(|name| allowed.contains(name));
    let any = |wanted: &str| types.contains(&wanted);
    if all(&["string"]) {
        json!({"type": "string"})
    } else if all(&["integer"]) {
        json!({"type": "integer"})
    } else if all(&["integer", "number"]) {
        json!({"type": "number"})
    } else if all(&["boolean"]) {
        json!({"type": "boolean"})
    } else if all(&["boolean", "integer", "string"]) && any("boolean") {
        json!({"type": "string", "format": "boolean"})
    } else if all(&["integer", "number", "string"]) {
        json!({"type": "string", "format": "decimal"})
    } else if all(&["object"]) || schema.get("type") == Some(&json!("object")) {
        json!({"type": "object", "additionalProperties": true})
    } else {
        json!({})
    }
}

fn describe(members: &[Value]) -> String {
    let name = |member: &Value| match (referenced(member), member["type"].as_str()) {
        (Some(name), _) => name.to_string(),
        (None, Some(name)) => name.to_string(),
        (None, None) => "any JSON".into(),
    };
    members.iter().map(name).collect::<Vec<_>>().join("|")
}
