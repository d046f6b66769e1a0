//! Alternatives become one type.

use serde_json::{Map, Value, json};

use crate::normalize::report::Report;
use crate::normalize::tree::walk::referenced;

type Object = Map<String, Value>;

/// Replaces alternatives by one type that all of them match.
pub(crate) fn one_alternative(schema: &mut Object, pointer: &str, report: &mut Report) {
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
        let widest = widest(&members, schema);
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
        let described = describe(&members);
        report.note(
            pointer,
            format!("{key} of {described}"),
            describe(std::slice::from_ref(&widest)),
        );
        let widest = widest.as_object().cloned().unwrap_or_default();
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
fn widest(members: &[Value], schema: &Object) -> Value {
    let types: Vec<_> = members
        .iter()
        .map(|member| member["type"].as_str().unwrap_or("?"))
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
