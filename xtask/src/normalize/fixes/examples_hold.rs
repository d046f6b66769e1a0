//! The schemas match every recorded response.
//!
//! The responses were recorded from the vendor's test runs, and the schemas were written manually.
//! If they contradict each other, the recorded response is right.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use serde_json::{Value, json};

use crate::guard::At;
use crate::normalize::report::Report;
use crate::normalize::tree::evidence::{Recorded, Seen, gather, infer, is_flag, kind, recorded};
use crate::normalize::tree::names::snake;
use crate::normalize::tree::walk::{distinct, escape, referenced_through, take};
use crate::refusal::Refusal;

/// Each round corrects one level of nesting; no document nests deeper.
const ROUNDS: usize = 64;

pub(crate) fn apply(document: &mut Value, report: &mut Report<'_>) -> Result<(), Refusal> {
    let recorded = recorded(document);
    for _ in 0..ROUNDS {
        if !round(document, &recorded, report) {
            break;
        }
    }
    own_fields_are_certain(document, &recorded, report);
    Ok(())
}

/// Checks all examples once, and returns whether a schema changed.
fn round(document: &mut Value, recorded: &[Recorded], report: &mut Report<'_>) -> bool {
    let mut changed = false;
    for (pointer, seen) in gather(document, recorded) {
        let _place = At(&pointer);
        let Some(schema) = document.pointer_mut(&pointer) else {
            continue;
        };
        changed |= accept_null(schema, &seen, &pointer, report);
        changed |= believe_here(schema, &seen, &pointer, report)
            || believe_values(schema, &seen, &pointer, report);
        changed |= add_fields(schema, &seen, &pointer, report);
    }
    changed
}

fn accept_null(
    schema: &mut Value,
    seen: &Seen<'_>,
    pointer: &str,
    report: &mut Report<'_>,
) -> bool {
    let open = schema.as_object().is_none_or(|schema| {
        schema.get("nullable") == Some(&json!(true))
            || !schema
                .keys()
                .any(|key| key == "type" || key == "$ref" || key == "allOf")
    });
    let Some(place) = seen.nulls.first().filter(|_| !open) else {
        return false;
    };
    let before = type_of(schema);
    if let Some(name) = schema["$ref"].as_str() {
        *schema = json!({"allOf": [{ "$ref": name }]});
    }
    schema["nullable"] = json!(true);
    let evidence = format!("null in {place}{}", more(seen.nulls.len()));
    report.note_because(pointer, &before, format!("{before}, nullable"), evidence);
    true
}

/// If a value contradicts the object that a place references, the place becomes any JSON. The
/// object is unchanged, because it has other references.
fn believe_here(
    schema: &mut Value,
    seen: &Seen<'_>,
    pointer: &str,
    report: &mut Report<'_>,
) -> bool {
    let Some((value, place)) = seen
        .values
        .first()
        .filter(|_| referenced_through(schema).is_some())
    else {
        return false;
    };
    let evidence = format!("{} in {place}{}", kind(value), more(seen.values.len()));
    report.note_because(pointer, type_of(schema), "any JSON", evidence);
    *schema = json!({});
    true
}

/// If a value contradicts the declared type, the type becomes one that all recorded values match.
fn believe_values(
    schema: &mut Value,
    seen: &Seen<'_>,
    pointer: &str,
    report: &mut Report<'_>,
) -> bool {
    let declared = schema["type"].as_str().unwrap_or_default().to_string();
    let untyped_items = declared.is_empty()
        && pointer.ends_with("/items")
        && schema
            .as_object()
            .is_some_and(|schema| schema.keys().all(|key| key.starts_with("x-")));
    let free_answer = declared == "object"
        && pointer.ends_with("/schema")
        && schema["properties"].is_null()
        && seen
            .values
            .iter()
            .any(|(value, _)| value.as_object().is_some_and(|fields| !fields.is_empty()));
    let Some((_, first)) = seen.values.first() else {
        return false;
    };
    let contradiction = seen.values.iter().find(|(value, _)| !fits(schema, value));
    let evidence = match contradiction {
        Some((value, place)) if !declared.is_empty() => format!(
            "{} {value} in {place}{}",
            kind(value),
            more(seen.values.len())
        ),
        _ if untyped_items || free_answer => {
            format!("in {first}{}", more(seen.values.len()))
        }
        _ => return false,
    };
    let values: Vec<&Value> = seen.values.iter().map(|(value, _)| *value).collect();
    let object_in_list = declared == "array"
        && values.iter().all(|value| value.is_object())
        && schema["items"]["type"] == "object";
    let mut believed = if object_in_list {
        schema["items"].clone()
    } else if declared == "boolean" && values.iter().all(|value| is_flag(value)) {
        json!({"type": "string", "format": "boolean"})
    } else {
        infer(&values)
    };
    let before = type_of(schema);
    for (key, value) in schema.as_object().into_iter().flatten() {
        if key == "nullable" || key == "description" || key.starts_with("x-") {
            believed[key] = value.clone();
        }
    }
    if *schema == believed {
        return false;
    }
    report.note_because(pointer, before, type_of(&believed), evidence);
    *schema = believed;
    true
}

/// Returns whether a value has the declared type. A schema without a type matches all values.
fn fits(schema: &Value, value: &Value) -> bool {
    if referenced_through(schema).is_some() {
        return true;
    }
    let kind = kind(value);
    match (schema["type"].as_str(), schema["format"].as_str()) {
        (Some("string"), Some("boolean")) => is_flag(value) || kind == "string",
        (Some("string"), Some("decimal")) => matches!(kind, "string" | "integer" | "number"),
        (Some("number"), _) => matches!(kind, "integer" | "number"),
        (Some(declared), _) => declared == kind,
        (None, _) => true,
    }
}

fn add_fields(schema: &mut Value, seen: &Seen<'_>, pointer: &str, report: &mut Report<'_>) -> bool {
    let has_fields = schema["properties"].is_object();
    if !has_fields || seen.missing.is_empty() {
        return false;
    }
    let known = schema["properties"].as_object().into_iter().flatten();
    let mut known: BTreeMap<String, String> = known
        .map(|(known, _)| (snake(known), known.clone()))
        .collect();
    let mut added = false;
    for (name, values) in &seen.missing {
        let twin = match known.entry(snake(name)) {
            Entry::Occupied(twin) => Some(twin.get().clone()),
            Entry::Vacant(free) => {
                free.insert((*name).to_string());
                None
            }
        };
        if let Some(twin) = twin {
            let pointer = format!("{pointer}/properties/{}", escape(name));
            if !report.has(&pointer) {
                report.note(
                    pointer,
                    "absent",
                    format!("not typed, `{twin}` has its Rust name"),
                );
            }
            continue;
        }
        added = true;
        let inferred = infer(&values.iter().map(|(value, _)| *value).collect::<Vec<_>>());
        let pointer = format!("{pointer}/properties/{}", escape(name));
        let evidence = format!("in {}{}", values[0].1, more(values.len()));
        report.note_because(pointer, "absent", type_of(&inferred), evidence);
        schema["properties"][*name] = inferred;
    }
    added
}

/// Requires the fields that every record has: an object's own id, and the content of a wrapper. A
/// caller can rely on these two. A field that a record lacks is not required.
fn own_fields_are_certain(document: &mut Value, recorded: &[Recorded], report: &mut Report<'_>) {
    for (pointer, seen) in gather(document, recorded) {
        let _place = At(&pointer);
        let (Some(schema), Some((_, first))) =
            (document.pointer_mut(&pointer), seen.values.first())
        else {
            continue;
        };
        let Some(properties) = schema["properties"].as_object() else {
            continue;
        };
        let before: Vec<String> = required(schema).map(str::to_string).collect();
        let lacking = |name: &str| {
            let mut records = seen.values.iter();
            records.find(|(value, _)| value.is_object() && value.get(name).is_none())
        };
        let always = |name: &str| {
            seen.values
                .iter()
                .all(|(value, _)| value.get(name).is_some_and(|value| !value.is_null()))
        };
        let wraps = |schema: &Value| {
            referenced_through(schema).is_some()
                || schema["type"] == "array"
                || schema["properties"].is_object()
        };
        let is_answer = pointer.starts_with("/paths/") && pointer.ends_with("/schema");
        let is_certain = schema.get("x-uncertain") != Some(&json!(true));
        let certain = properties
            .iter()
            .filter(|(name, schema)| {
                name.as_str() == "id" || is_answer && name.as_str() != "meta" && wraps(schema)
            })
            .map(|(name, _)| name)
            .filter(|name| is_certain && always(name));
        let present = before.iter().filter(|name| lacking(name).is_none());
        let after: Vec<String> = distinct(present.chain(certain).cloned());
        if after == before {
            continue;
        }
        let evidence = match before.iter().find_map(|name| Some((name, lacking(name)?))) {
            Some((name, (_, place))) => format!("`{name}` is missing in {place}"),
            None => format!("in {first}{}", more(seen.values.len())),
        };
        let place = format!("{pointer}/required");
        report.note_because(place, json!(before), json!(after), evidence);
        if after.is_empty() {
            take(schema, "required");
        } else {
            schema["required"] = json!(after);
        }
    }
}

fn required(schema: &Value) -> impl Iterator<Item = &str> {
    let names = schema["required"].as_array().into_iter().flatten();
    names.filter_map(Value::as_str)
}

/// Returns the type of a schema in a few words, for the report.
fn type_of(schema: &Value) -> String {
    if let Some(name) = referenced_through(schema) {
        return name.to_string();
    }
    match (schema["type"].as_str(), schema["format"].as_str()) {
        (Some("string"), Some("boolean")) => "true or false in any form".into(),
        (Some("array"), _) => format!("array of {}", type_of(&schema["items"])),
        (Some("object"), _) => match schema["properties"].as_object() {
            Some(fields) => {
                let names: Vec<_> = fields.keys().map(String::as_str).collect();
                format!("object {{{}}}", names.join(", "))
            }
            None => "object".into(),
        },
        (Some(name), Some(format)) => format!("{name}, {format}"),
        (Some(name), None) => name.into(),
        (None, _) => "any JSON".into(),
    }
}

fn more(count: usize) -> String {
    match count {
        0 | 1 => String::new(),
        _ => format!(" and {} more", count - 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::normalize::report::check;

    /// Returns the component schema `A` after the fix, with a response that has this example.
    fn reconciled(schema: Value, example: Value) -> (Value, Vec<String>) {
        let (document, repairs) = check(
            apply,
            json!({
                "components": {"schemas": {"A": schema}},
                "paths": {"/a": {"get": {"responses": {"200": {"content": {"application/json": {
                    "schema": {"type": "object", "properties": {"a": {"$ref": "#/components/schemas/A"}}, "required": ["a"]},
                    "example": {"a": example},
                }}}}}}},
            }),
        );
        let lines = repairs
            .iter()
            .map(|repair| format!("{}: {} -> {}", repair.pointer, repair.before, repair.after));
        (
            document["components"]["schemas"]["A"].clone(),
            lines.collect(),
        )
    }

    fn object(properties: Value) -> Value {
        json!({"type": "object", "properties": properties})
    }

    #[test]
    fn the_recorded_value_decides_the_type() {
        let cases = [
            (
                json!({"type": "integer"}),
                json!("19.99"),
                json!({"type": "string"}),
            ),
            (
                json!({"type": "string"}),
                json!(7200),
                json!({"type": "integer"}),
            ),
            (
                json!({"type": "boolean"}),
                json!(0),
                json!({"type": "string", "format": "boolean"}),
            ),
            (
                json!({"type": "boolean"}),
                json!("false"),
                json!({"type": "string", "format": "boolean"}),
            ),
            (
                json!({"type": "array", "items": object(json!({"b": {"type": "string"}}))}),
                json!({"b": "x"}),
                object(json!({"b": {"type": "string"}})),
            ),
            (
                json!({"type": "array", "items": {}}),
                json!(["x"]),
                json!({"type": "array", "items": {"type": "string"}}),
            ),
            (
                json!({"type": "string"}),
                json!({"c": 1}),
                object(json!({"c": {"type": "integer"}})),
            ),
        ];
        for (declared, recorded, expected) in cases {
            let (after, lines) = reconciled(object(json!({"x": declared})), json!({"x": recorded}));
            assert_eq!(after["properties"]["x"], expected);
            assert_eq!(lines.len(), 1, "{lines:?}");
        }
    }

    #[test]
    fn a_field_that_was_recorded_is_added() {
        let (after, lines) = reconciled(
            object(json!({"b": {"type": "string"}})),
            json!({"id": "1", "c": {"d": null}}),
        );
        assert_eq!(
            after["properties"]["c"]["properties"]["d"],
            json!({"nullable": true})
        );
        assert_eq!(after["required"], json!(["id"]));
        assert_eq!(
            lines[0],
            "/components/schemas/A/properties/c: absent -> object {d}"
        );
    }

    #[test]
    fn a_recorded_null_makes_the_field_nullable() {
        let (after, _) = reconciled(object(json!({"b": {"type": "string"}})), json!({"b": null}));
        assert_eq!(
            after["properties"]["b"],
            json!({"type": "string", "nullable": true})
        );
    }

    #[test]
    fn an_object_that_others_refer_to_is_not_widened_for_one() {
        let schema = object(json!({"b": {"type": "string"}}));
        let (after, lines) = reconciled(schema.clone(), json!("just an id"));
        assert_eq!(after, schema);
        assert!(lines[0].ends_with("A -> any JSON"), "{lines:?}");
    }

    #[test]
    fn a_field_whose_rust_name_is_in_use_is_reported_once() {
        let mut document = json!({
            "components": {"schemas": {}},
            "paths": {"/a": {"get": {"responses": {"200": {"content": {"application/json": {
                "schema": object(json!({"first_name": {"type": "string"}})),
                "example": {"first_name": "a", "firstName": "b"},
            }}}}}}},
        });
        let before = document.clone();
        let mut report = Report::default();
        apply(&mut document, &mut report).unwrap();
        assert_eq!(document, before);
        assert_eq!(report.repairs.len(), 1, "{:?}", report.repairs);
    }

    #[test]
    fn only_null_is_no_evidence_of_a_type() {
        let owner = object(json!({"id": {"type": "string"}}));
        let list = json!({"type": "array", "items": {}});
        let free = json!({"type": "object"});
        for schema in [owner, list, free, json!({})] {
            for recorded in [json!(null), json!([null]), json!([]), json!({})] {
                let declared =
                    object(json!({"x": schema, "y": {"type": "array", "items": schema}}));
                let (after, _) = reconciled(declared, json!({"x": recorded, "y": [recorded]}));
                assert!(after["properties"]["x"].is_object());
                assert_eq!(after["properties"]["x"].get("required"), None);
            }
        }
    }

    #[test]
    fn a_field_that_a_record_lacks_is_not_required() {
        let mut schema = object(json!({
            "n": {"type": "integer"}, "l": {"type": "array", "items": {"type": "string"}},
            "r": {"$ref": "#/components/schemas/R"}}));
        schema["required"] = json!(["n", "l", "r"]);
        let (after, lines) = reconciled(schema, json!({"n": 1}));
        assert_eq!(after["required"], json!(["n"]));
        assert_eq!(lines.len(), 1, "{lines:?}");
    }

    #[test]
    fn an_integer_that_is_too_large_for_64_bits_with_a_sign_is_a_number() {
        for large in ["9223372036854775808", "18446744073709551615", "1e30"] {
            let recorded: Value = serde_json::from_str(large).unwrap();
            let (after, _) = reconciled(
                object(json!({"n": {"type": "integer"}})),
                json!({ "n": recorded }),
            );
            assert_eq!(
                after["properties"]["n"],
                json!({"type": "number"}),
                "{large}"
            );
        }
    }

    #[test]
    fn a_free_form_object_is_unchanged() {
        let schema = object(json!({"data": {"type": "object"}}));
        let (after, lines) = reconciled(schema.clone(), json!({"data": {"patient": {"id": "1"}}}));
        assert_eq!((after, lines), (schema, vec![]));
    }

    #[test]
    fn what_agrees_is_left_alone() {
        let schema = object(
            json!({"n": {"type": "number"}, "l": {"type": "array", "items": {"type": "integer"}}}),
        );
        let (after, lines) = reconciled(schema.clone(), json!({"n": 10, "l": [1]}));
        assert_eq!((after, lines), (schema, vec![]));
    }
}
