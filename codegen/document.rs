//! Reads the normalized OpenAPI document: ids, operations, scopes.

use heck::ToSnakeCase;
use serde_json::Value;

/// An operation in the document, with its path and method.
pub(super) struct Described<'d> {
    pub(super) path: &'d str,
    pub(super) method: &'d str,
    pub(super) value: &'d Value,
}

/// Returns the ids of all operations, in the order of the operations table.
pub(super) fn ids(document: &Value) -> Vec<String> {
    let items = document["paths"].as_object().into_iter().flatten();
    let operations = items.flat_map(|(_, item)| item.as_object().into_iter().flatten());
    let mut ids: Vec<String> = operations
        .filter_map(|(_, operation)| operation["operationId"].as_str().map(str::to_string))
        .collect();
    ids.sort();
    ids
}

/// Returns the document's entry for an operation, by operation id or method name.
pub(super) fn described<'d>(document: &'d Value, id: &str) -> Option<Described<'d>> {
    let items = document["paths"].as_object().into_iter().flatten();
    let mut operations = items.flat_map(|(path, item)| {
        let operations = item.as_object().into_iter().flatten();
        operations.map(move |(method, value)| Described {
            path,
            method,
            value,
        })
    });
    operations.find(|operation| {
        let own = operation.value["operationId"].as_str();
        own.is_some_and(|own| own == id || own.to_snake_case() == id)
    })
}

/// Returns the scopes of an operation as alternatives; all scopes of an alternative are needed
/// together.
pub(super) fn alternatives(security: Option<&Value>) -> Vec<Vec<String>> {
    let alternatives = security.and_then(Value::as_array).into_iter().flatten();
    let scopes = alternatives.filter_map(|alternative| alternative.as_object());
    scopes
        .map(|schemes| schemes.values().flat_map(strings).collect::<Vec<_>>())
        .filter(|scopes| !scopes.is_empty())
        .collect()
}

pub(super) fn strings(value: &Value) -> Vec<String> {
    let texts = value
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str);
    texts.map(str::to_string).collect()
}
