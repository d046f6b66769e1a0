//! Schemas use the part of JSON Schema that maps to Rust types: no 3.1 syntax, no limits that a
//! client would enforce on a server, no unions that a decoder would have to guess.

mod all_of;
mod circles;
mod kinds;
mod null_components;
mod unions;

use serde_json::{Map, Value, json};

use super::fields_are_apart;
use crate::normalize::report::Report;
use crate::normalize::tree::evidence::kind;
use crate::normalize::tree::walk::{distinct, each_schema, members_mut, text};
use crate::refusal::Refusal;
use all_of::{BASE, OPEN, merge_all};
use circles::open_circles;
use kinds::Kinds;
use null_components::null_where_referred;
use unions::one_alternative;

type Object = Map<String, Value>;

/// Keywords that have no equivalent in a type, or that would make a client reject valid responses
/// of the server.
const DROPPED: &str = "\
    $anchor $comment $defs $id $schema contains contentEncoding contentMediaType contentSchema \
    default definitions dependentRequired dependentSchemas discriminator else example examples \
    exclusiveMaximum exclusiveMinimum externalDocs if maxContains maxItems maxLength \
    maxProperties maximum minContains minItems minLength minProperties minimum multipleOf not \
    pattern patternProperties prefixItems propertyNames then title unevaluatedItems \
    unevaluatedProperties uniqueItems xml";

/// Formats that select a type of this crate. Other formats are hints and are removed.
const FORMATS: &[(&str, &str)] = &[
    ("string", "binary"),
    ("string", "boolean"),
    ("string", "date"),
    ("string", "date-time"),
    ("string", "decimal"),
    ("string", "password"),
];

const TYPES: [&str; 6] = ["string", "number", "integer", "boolean", "object", "array"];

pub(crate) fn apply(document: &mut Value, report: &mut Report<'_>) -> Result<(), Refusal> {
    open_circles(document, report);
    let kinds = Kinds::of(document);
    each_schema(document, &mut |pointer, schema| {
        if let Some(object) = schema.as_object_mut()
            && !is_settled(object)
        {
            simplify(object, pointer, &kinds, report);
        }
    });
    merge_all(document, report);
    bases_are_open(document, report);
    null_where_referred(document, report);
    fields_are_apart::apply(document, report)
}

/// Returns whether the schema is a reference or a value type that the normalizer adds.
fn is_settled(object: &Object) -> bool {
    object.contains_key("$ref") || object.contains_key("x-value")
}

/// A response that is declared as a base type may be any of its subtypes, with fields that the base
/// does not declare. A map keeps all of them.
fn bases_are_open(document: &mut Value, report: &mut Report<'_>) {
    each_schema(document, &mut |pointer, schema| {
        let Some(object) = schema.as_object_mut() else {
            return;
        };
        object.remove(OPEN);
        if object.remove(BASE).is_some() {
            object.remove("properties");
            object.remove("required");
            object.insert("additionalProperties".into(), json!(true));
            report.note(
                pointer,
                "the base of several kinds",
                "an object of any JSON",
            );
        }
    });
}

fn simplify(schema: &mut Object, pointer: &str, kinds: &Kinds, report: &mut Report<'_>) {
    one_type(schema, pointer, report);
    if schema.contains_key("discriminator") && schema.contains_key("properties") {
        schema.insert(BASE.into(), json!(true));
    }
    wide_integers(schema, pointer, report);
    open_by_rules(schema);
    drop_keywords(schema, pointer, report);
    known_format(schema);
    closed_values(schema, pointer, report);
    one_alternative(schema, pointer, kinds, report);
    open_object(schema, pointer, report);
    complete_array(schema, pointer, report);
}

/// Converts the type to a single lower-case name, with `null` as `nullable`.
fn one_type(schema: &mut Object, pointer: &str, report: &mut Report<'_>) {
    if let Some(value) = schema.remove("const") {
        report.note(pointer, format!("const {value}"), "an ordinary value");
        if value.is_string() {
            schema.entry("type").or_insert(json!("string"));
            schema.insert("enum".into(), json!([value]));
        } else {
            let kind = if value.is_null() {
                "object"
            } else {
                kind(&value)
            };
            schema.entry("type").or_insert(json!(kind));
        }
    }
    match schema.get("type").cloned() {
        Some(Value::Array(types)) => {
            let names: Vec<_> = types.iter().filter_map(Value::as_str).collect();
            let rest: Vec<_> = names
                .iter()
                .copied()
                .filter(|name| *name != "null")
                .collect();
            if rest.len() < names.len() {
                schema.insert("nullable".into(), json!(true));
            }
            let members = rest.iter().map(|name| json!({ "type": name })).collect();
            schema.remove("type");
            match rest.as_slice() {
                [] => {}
                [only] => drop(schema.insert("type".into(), json!(only))),
                _ => drop(schema.insert("oneOf".into(), Value::Array(members))),
            }
            report.note(pointer, format!("type {}", names.join("|")), rest.join("|"));
        }
        Some(Value::String(name)) if !TYPES.contains(&name.as_str()) => {
            let lower = name.to_lowercase();
            schema.remove("type");
            if lower == "null" {
                schema.insert("nullable".into(), json!(true));
            } else if lower == "file" {
                schema.insert("type".into(), json!("string"));
                schema.insert("format".into(), json!("binary"));
            } else if TYPES.contains(&lower.as_str()) {
                schema.insert("type".into(), json!(lower));
            }
            let after = schema.get("type").cloned().unwrap_or(json!("any"));
            report.note(pointer, format!("type {name}"), after);
        }
        _ => {}
    }
    if !schema.contains_key("type") {
        let strings = |values: &Value| {
            let values = values.as_array().filter(|values| !values.is_empty());
            values.is_some_and(|values| values.iter().all(Value::is_string))
        };
        let implied = if schema.contains_key("properties") {
            Some("object")
        } else if schema.contains_key("items") {
            Some("array")
        } else {
            schema.get("enum").is_some_and(strings).then_some("string")
        };
        if let Some(implied) = implied {
            schema.insert("type".into(), json!(implied));
        }
    }
    let name = text(schema, "type").to_string();
    for (key, owner) in [
        ("properties", "object"),
        ("required", "object"),
        ("items", "array"),
    ] {
        if !name.is_empty() && name != owner && schema.remove(key).is_some() {
            let place = format!("{pointer}/{key}");
            report.note(place, format!("beside type {name}"), "dropped");
        }
    }
}

/// An integer that may exceed 64 bits with a sign is a number, which keeps every digit.
fn wide_integers(schema: &mut Object, pointer: &str, report: &mut Report<'_>) {
    let format = text(schema, "format");
    let is_wide = ["uint64", "uint128", "int128", "bigint", "big-integer"].contains(&format)
        || ["maximum", "exclusiveMaximum"].iter().any(|key| {
            let limit = schema.get(*key).filter(|limit| !limit.is_i64());
            limit
                .and_then(Value::as_f64)
                .is_some_and(|limit| limit > i64::MAX as f64)
        });
    if is_wide && text(schema, "type") == "integer" {
        report.note(pointer, "an integer beyond 64 bits with a sign", "number");
        schema.insert("type".into(), json!("number"));
    }
}

/// Fields that are declared by a pattern or under a condition have no name in the type.
fn open_by_rules(schema: &mut Object) {
    let rules = ["dependentSchemas", "else", "patternProperties", "then"];
    let adds = |rule: &Value| rule.as_object().is_some_and(|rule| !rule.is_empty());
    let is_open = rules.iter().any(|key| schema.get(*key).is_some_and(adds))
        || schema
            .get("unevaluatedProperties")
            .is_some_and(|rest| *rest != json!(false));
    if is_open && schema.get("type") == Some(&json!("object")) {
        schema.insert("additionalProperties".into(), json!(true));
    }
}

fn drop_keywords(schema: &mut Object, pointer: &str, report: &mut Report<'_>) {
    let annotation = ["example", "examples", "externalDocs", "title", "$comment"];
    let mut dropped = Vec::new();
    for key in DROPPED.split_whitespace() {
        if let Some(value) = schema.remove(key)
            && !annotation.contains(&key)
        {
            dropped.push(format!("{key} {value}"));
        }
    }
    if !dropped.is_empty() {
        report.note(pointer, dropped.join(", "), "not enforced");
    }
}

fn known_format(schema: &mut Object) {
    if !FORMATS.contains(&(text(schema, "type"), text(schema, "format"))) {
        schema.remove("format");
    }
}

/// Removes duplicates from enumerations of strings. Enumerations of other values become open.
fn closed_values(schema: &mut Object, pointer: &str, report: &mut Report<'_>) {
    let Some(Value::Array(values)) = schema.remove("enum") else {
        return;
    };
    let before = Value::Array(values.clone());
    if values.iter().any(Value::is_null) {
        schema.insert("nullable".into(), json!(true));
    }
    let texts = distinct(values.iter().filter_map(Value::as_str));
    if text(schema, "type") == "string" && !texts.is_empty() {
        schema.insert("enum".into(), json!(texts));
    }
    let after = schema.get("enum").cloned().unwrap_or(json!("any value"));
    if before != after {
        report.note(format!("{pointer}/enum"), before, after);
    }
}

/// Allows unknown fields in objects, and removes requirements for fields that only one side knows.
fn open_object(schema: &mut Object, pointer: &str, report: &mut Report<'_>) {
    if schema.get("type") != Some(&json!("object")) {
        schema.remove("additionalProperties");
        return;
    }
    let has_fields = members_mut(schema, "properties").next().is_some();
    match schema.get("additionalProperties") {
        Some(Value::Bool(false)) => {
            report.note(pointer, "additionalProperties false", "open to new fields");
            schema.remove("additionalProperties");
        }
        Some(others) if has_fields && *others != json!({}) => {
            let before = "additionalProperties beside properties";
            report.note(pointer, before, "any JSON beside the fields");
            schema.insert("additionalProperties".into(), json!({}));
        }
        Some(Value::Object(values)) if !values.is_empty() && !values.contains_key("$ref") => {
            schema["additionalProperties"]["nullable"] = json!(true);
        }
        Some(Value::Object(values)) if values.contains_key("$ref") => {
            let values = Value::Object(values.clone());
            let values = json!({"allOf": [values], "nullable": true});
            schema.insert("additionalProperties".into(), values);
        }
        _ => {}
    }
    if !has_fields {
        schema.remove("properties");
    }
    let names = schema.get("required").and_then(Value::as_array);
    let names = names.into_iter().flatten().filter_map(Value::as_str);
    let mut required = distinct(names.map(str::to_string));
    for name in &required {
        let properties = schema.entry("properties").or_insert_with(|| json!({}));
        if properties.get(name).is_none() {
            properties[name] = json!({});
            let place = format!("{pointer}/properties/{name}");
            report.note(place, "required, not declared", "any JSON");
        }
    }
    for (name, property) in members_mut(schema, "properties") {
        let Some(property) = property.as_object_mut() else {
            continue;
        };
        for side in ["readOnly", "writeOnly"] {
            if property.remove(side) == Some(json!(true)) && required.contains(name) {
                required.retain(|required| required != name);
                let place = format!("{pointer}/properties/{name}");
                report.note(place, format!("{side}, required"), "optional");
            }
        }
    }
    if required.is_empty() {
        schema.remove("required");
    } else {
        schema.insert("required".into(), json!(required));
    }
}

fn complete_array(schema: &mut Object, pointer: &str, report: &mut Report<'_>) {
    if schema.get("type") == Some(&json!("array")) && !schema.contains_key("items") {
        schema.insert("items".into(), json!({}));
        report.note(pointer, "array without items", "array of any JSON");
    }
}

#[cfg(test)]
mod tests;
