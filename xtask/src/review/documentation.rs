//! Changes of documentation only: descriptions, examples, sources, errors.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::renames::Renames;
use super::said::SAID;
use super::verdict::Level;
use crate::normalize::operations;

/// The places whose documentation changed.
#[derive(Debug, Default, Serialize)]
pub struct Documentation {
    /// The version that the changes require; `none` if they do not affect generated code.
    pub level: Level,
    /// The ids of operations.
    pub operations: Vec<String>,
    /// The names of types.
    pub types: Vec<String>,
    /// Other parts of the document: `info`, `servers`.
    pub document: Vec<String>,
}

/// Fields of an operation that other parts of the review compare.
const COMPARED: [&str; 7] = [
    "deprecated",
    "operationId",
    "requestBody",
    "security",
    "x-paged",
    "x-requires-commercial-approval",
    // Equal to `security`, which is derived from it.
    "x-scopes",
];

/// Fields of a parameter that other parts of the review compare.
const COMPARED_OF_PARAMETERS: [&str; 8] = [
    "allowReserved",
    "content",
    "explode",
    "in",
    "name",
    "required",
    "schema",
    "style",
];

/// The start of the description of a restricted operation.
const MARKED: &str = "Requires commercial approval";

/// Documentation by its place.
type Said = BTreeMap<String, Value>;

impl Documentation {
    pub(super) fn between(old: &Value, new: &Value, renames: &Renames) -> Self {
        let before = by_operation(old)
            .into_iter()
            .map(|(id, said)| (renames.new_id(&id), said))
            .collect();
        let type_now = |(name, said): (String, Said)| (renames.new_name(&name).to_string(), said);
        let types = by_type(old).into_iter().map(type_now).collect();
        Self {
            operations: changed(&before, &by_operation(new)),
            types: changed(&types, &by_type(new)),
            document: changed(&heads(old), &heads(new)),
            level: Level::None,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.operations.is_empty() && self.types.is_empty() && self.document.is_empty()
    }
}

/// Returns the names whose documentation differs between the documents.
fn changed(old: &BTreeMap<String, Said>, new: &BTreeMap<String, Said>) -> Vec<String> {
    let differs = |(name, after): &(&String, &Said)| {
        old.get(*name).is_some_and(|before| {
            // An added or removed place is reported as a change of its own.
            let mut common = before
                .iter()
                .filter(|(place, _)| after.contains_key(*place));
            common.any(|(place, said)| after[place] != *said)
        })
    };
    new.iter()
        .filter(differs)
        .map(|(name, _)| name.clone())
        .collect()
}

fn by_operation(document: &Value) -> BTreeMap<String, Said> {
    let all = operations(document).filter_map(|(_, _, operation)| {
        let id = operation["operationId"].as_str()?;
        Some((id.to_string(), operation_said(operation)))
    });
    all.collect()
}

fn operation_said(operation: &Value) -> Said {
    let mut said = Said::new();
    let mut own = operation.as_object().cloned().unwrap_or_default();
    own.retain(|key, _| !COMPARED.contains(&key.as_str()));
    let parameters = own.remove("parameters").unwrap_or_default();
    let responses = own.remove("responses").unwrap_or_default();
    if let Some(Value::String(description)) = own.get_mut("description")
        && let Some(rest) = description.strip_prefix(MARKED)
    {
        *description = rest.trim_start_matches('.').trim().to_string();
    }
    for parameter in parameters.as_array().into_iter().flatten() {
        let place = format!("{} {}", parameter["in"], parameter["name"]);
        collect(&parameter["schema"], &format!("{place}/schema"), &mut said);
        let mut own = parameter.as_object().cloned().unwrap_or_default();
        own.retain(|key, _| !COMPARED_OF_PARAMETERS.contains(&key.as_str()));
        said.insert(place, own.into());
    }
    let mut errors = Map::new();
    for (status, response) in responses.as_object().into_iter().flatten() {
        if status.starts_with('2') {
            collect(response, "answer", &mut said);
        } else {
            errors.insert(status.clone(), response.clone());
        }
    }
    collect(&operation["requestBody"], "body", &mut said);
    own.insert("errors".into(), errors.into());
    said.insert(String::new(), own.into());
    said
}

fn by_type(document: &Value) -> BTreeMap<String, Said> {
    let schemas = document["components"]["schemas"].as_object();
    let all = schemas.into_iter().flatten().map(|(name, schema)| {
        let mut said = Said::new();
        collect(schema, "", &mut said);
        (name.clone(), said)
    });
    all.collect()
}

/// Returns the parts of the document other than operations and types.
fn heads(document: &Value) -> BTreeMap<String, Said> {
    let mut heads = document.as_object().cloned().unwrap_or_default();
    heads.remove("paths");
    if let Some(Value::Object(components)) = heads.get_mut("components") {
        components.remove("schemas");
    }
    let heads = heads.into_iter();
    heads
        .map(|(name, value)| (name, Said::from([(String::new(), value)])))
        .collect()
}

/// Collects the documentation of a schema and its subschemas.
fn collect(value: &Value, place: &str, said: &mut Said) {
    said.insert(place.to_string(), Value::Object(words(value)));
    for (key, inner) in value.as_object().into_iter().flatten() {
        match (key.as_str(), inner) {
            ("properties" | "content", Value::Object(named)) => {
                for (name, inner) in named {
                    collect(inner, &format!("{place}/{name}"), said);
                }
            }
            ("items" | "schema" | "additionalProperties", Value::Object(_)) => {
                collect(inner, &format!("{place}/{key}"), said);
            }
            _ => {}
        }
    }
}

fn words(value: &Value) -> Map<String, Value> {
    let object = value.as_object().into_iter().flatten();
    let words = object.filter(|(key, _)| SAID.contains(&key.as_str()));
    let mut words: Map<_, _> = words
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    if words.get("deprecated") == Some(&json!(false)) {
        words.remove("deprecated");
    }
    words
}
