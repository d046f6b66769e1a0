//! Reads the normalized OpenAPI document: ids, operations, scopes.

use heck::ToSnakeCase;
use serde_json::Value;

/// The style of an object in the query: `name[key]=value`.
pub(super) const DEEP_OBJECT: &str = "deepObject";

/// Returns the Rust name of a parameter.
pub(super) fn rust_name(parameter: &Value) -> String {
    if let Some(given) = parameter["x-rust-name"].as_str() {
        return given.into();
    }
    let name = parameter["name"].as_str().unwrap_or_default();
    let word = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    let name = name.chars().map(word).collect::<String>().to_snake_case();
    match name.chars().next() {
        None => "unnamed".into(),
        Some(first) if first.is_numeric() => format!("n{name}"),
        Some(_) => name,
    }
}

/// An operation in the document, with its path and method.
#[derive(Clone, Copy)]
pub(super) struct Described<'d> {
    pub(super) id: &'d str,
    pub(super) path: &'d str,
    pub(super) method: &'d str,
    pub(super) value: &'d Value,
}

/// Returns all operations, sorted by id, which is the order of the operations table.
pub(super) fn operations(document: &Value) -> Vec<Described<'_>> {
    let items = document["paths"].as_object().into_iter().flatten();
    let operations = items.flat_map(|(path, item)| {
        let operations = item.as_object().into_iter().flatten();
        operations.filter_map(move |(method, value)| {
            Some(Described {
                id: value["operationId"].as_str()?,
                path,
                method,
                value,
            })
        })
    });
    let mut operations: Vec<_> = operations.collect();
    operations.sort_by_key(|operation| operation.id);
    operations
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
