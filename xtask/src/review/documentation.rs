//! Changes of documentation only: descriptions, examples, sources, errors.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::annotations::ANNOTATIONS;
use super::renames::Renames;
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
type Annotated = BTreeMap<String, Value>;

impl Documentation {
    pub(super) fn between(old: &Value, new: &Value, renames: &Renames) -> Self {
        let before = by_operation(old)
            .into_iter()
            .map(|(id, annotated)| (renames.new_id(&id), annotated))
            .collect();
        let type_now = |(name, annotated): (String, Annotated)| {
            (renames.new_name(&name).to_string(), annotated)
        };
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
fn changed(old: &BTreeMap<String, Annotated>, new: &BTreeMap<String, Annotated>) -> Vec<String> {
    let differs = |(name, after): &(&String, &Annotated)| {
        old.get(*name).is_some_and(|before| {
            // An added or removed place is reported as a change of its own.
            let mut common = before
                .iter()
                .filter(|(place, _)| after.contains_key(*place));
            common.any(|(place, annotated)| after[place] != *annotated)
        })
    };
    new.iter()
        .filter(differs)
        .map(|(name, _)| name.clone())
        .collect()
}

fn by_operation(document: &Value) -> BTreeMap<String, Annotated> {
    let all = operations(document).filter_map(|(_, _, operation)| {
        let id = operation["operationId"].as_str()?;
        Some((id.to_string(), operation_said(operation)))
    });
    all.collect()
}

fn operation_said(operation: &Value) -> Annotated {
    let mut annotated = Annotated::new();
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
        collect(
            &parameter["schema"],
            &format!("{place}/schema"),
            &mut annotated,
        );
        let mut own = parameter.as_object().cloned().unwrap_or_default();
        own.retain(|key, _| !COMPARED_OF_PARAMETERS.contains(&key.as_str()));
        annotated.insert(place, own.into());
    }
    let mut errors = Map::new();
    for (status, response) in responses.as_object().into_iter().flatten() {
        if status.starts_with('2') {
            collect(response, "answer", &mut annotated);
        } else {
            errors.insert(status.clone(), response.clone());
        }
    }
    collect(&operation["requestBody"], "body", &mut annotated);
    own.insert("errors".into(), errors.into());
    annotated.insert(String::new(), own.into());
    annotated
}

fn by_type(document: &Value) -> BTreeMap<String, Annotated> {
    let schemas = document["components"]["schemas"].as_object();
    let all = schemas.into_iter().flatten().map(|(name, schema)| {
        let mut annotated = Annotated::new();
        collect(schema, "", &mut annotated);
        (name.clone(), annotated)
    });
    all.collect()
}

/// Returns the parts of the document other than operations and types.
fn heads(document: &Value) -> BTreeMap<String, Annotated> {
    let mut heads = document.as_object().cloned().unwrap_or_default();
    heads.remove("paths");
    if let Some(Value::Object(components)) = heads.get_mut("components") {
        components.remove("schemas");
    }
    let heads = heads.into_iter();
    heads
        .map(|(name, value)| (name, Annotated::from([(String::new(), value)])))
        .collect()
}

/// Collects the documentation of a schema and its subschemas.
fn collect(value: &Value, place: &str, annotated: &mut Annotated) {
    annotated.insert(place.to_string(), Value::Object(words(value)));
    for (key, inner) in value.as_object().into_iter().flatten() {
        match (key.as_str(), inner) {
            ("properties" | "content", Value::Object(named)) => {
                for (name, inner) in named {
                    collect(inner, &format!("{place}/{name}"), annotated);
                }
            }
            ("items" | "schema" | "additionalProperties", Value::Object(_)) => {
                collect(inner, &format!("{place}/{key}"), annotated);
            }
            _ => {}
        }
    }
}

fn words(value: &Value) -> Map<String, Value> {
    let object = value.as_object().into_iter().flatten();
    let words = object.filter(|(key, _)| ANNOTATIONS.contains(&key.as_str()));
    let mut words: Map<_, _> = words
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    if words.get("deprecated") == Some(&json!(false)) {
        words.remove("deprecated");
    }
    words
}
