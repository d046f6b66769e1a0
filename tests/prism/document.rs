//! The arguments that the document allows, and requests that it forbids.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use fullscript::operations::{self, Operation};
use serde_json::{Value, json};

use crate::judge::Judgement;

static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../../spec/openapi.normalized.json")).unwrap()
});

/// A request with one fault.
#[derive(Debug)]
pub(crate) struct Wrong {
    pub(crate) operation: &'static Operation,
    pub(crate) path: String,
    /// The argument with a value of another type.
    pub(crate) parameter: Option<String>,
    pub(crate) body: Option<Value>,
}

/// Each parameter, header and field that a call can set: `create_patient metadata.id`.
pub(crate) fn parts() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for operation in operations::all() {
        let document = description(operation);
        for parameter in parameters(document) {
            let name = parameter["name"].as_str().unwrap();
            match parameter["in"].as_str().unwrap() {
                "query" => found.insert(format!("{} ?{name}", operation.id)),
                "header" => found.insert(header(operation.id, &name.to_lowercase())),
                _ => continue,
            };
        }
        for media in document["requestBody"]["content"]
            .as_object()
            .into_iter()
            .flatten()
        {
            fields(&media.1["schema"], operation.id, &mut found);
        }
    }
    assert!(found.len() > 200, "{}", found.len());
    found
}

/// The arguments that a request has.
pub(crate) fn sent_parts(judged: &Judgement) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let Some(id) = &judged.operation else {
        return found;
    };
    found.extend(judged.query.iter().map(|name| format!("{id} ?{name}")));
    found.extend(judged.headers.keys().map(|name| header(id, name)));
    sent_fields(&judged.body, id, &mut found);
    found
}

/// For each operation: an invalid value for each parameter that is a number or an enumeration, a
/// body of another shape, and a body without required fields.
pub(crate) fn wrong_requests() -> Vec<Wrong> {
    let mut found = Vec::new();
    for operation in operations::all() {
        let path = operation
            .path
            .split('/')
            .map(|part| if part.starts_with('{') { "1" } else { part });
        let path = path.collect::<Vec<_>>().join("/");
        let mut plant = |parameter, body| {
            let path = path.clone();
            found.push(Wrong {
                operation,
                path,
                parameter,
                body,
            });
        };
        let document = description(operation);
        for parameter in parameters(document).filter(|parameter| parameter["in"] == "query") {
            let schema = resolved(&parameter["schema"]);
            if schema["type"] == "integer" || schema.get("enum").is_some() {
                plant(Some(parameter["name"].as_str().unwrap().into()), None);
            }
        }
        if let Some(media) = document["requestBody"]["content"].get("application/json") {
            plant(None, Some(json!(["of no such kind"])));
            if resolved(&media["schema"]).get("required").is_some() {
                plant(None, Some(json!({})));
            }
        }
    }
    found
}

fn header(id: &str, name: &str) -> String {
    format!("{id} {name}:")
}

fn description(operation: &Operation) -> &'static Value {
    let found = &DOCUMENT["paths"][operation.path][operation.method.to_lowercase()];
    assert!(found.is_object(), "{operation:?}");
    found
}

fn parameters(description: &'static Value) -> impl Iterator<Item = &'static Value> {
    description["parameters"].as_array().into_iter().flatten()
}

/// Returns the places of all fields of a schema.
fn fields(schema: &'static Value, place: &str, found: &mut BTreeSet<String>) {
    let schema = resolved(schema);
    for part in schema["allOf"].as_array().into_iter().flatten() {
        fields(part, place, found);
    }
    if let Some(items) = schema.get("items") {
        fields(items, place, found);
    }
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let place = below(place, name);
        found.insert(place.clone());
        fields(field, &place, found);
    }
}

fn sent_fields(body: &Value, place: &str, found: &mut BTreeSet<String>) {
    for element in body.as_array().into_iter().flatten() {
        sent_fields(element, place, found);
    }
    for (name, value) in body.as_object().into_iter().flatten() {
        let place = below(place, name);
        found.insert(place.clone());
        sent_fields(value, &place, found);
    }
}

/// Returns `get_it a`, and below that `get_it a.b`.
fn below(place: &str, name: &str) -> String {
    let between = if place.contains(' ') { '.' } else { ' ' };
    format!("{place}{between}{name}")
}

fn resolved(schema: &'static Value) -> &'static Value {
    match schema["$ref"].as_str() {
        Some(reference) => DOCUMENT.pointer(reference.trim_start_matches('#')).unwrap(),
        None => schema,
    }
}
