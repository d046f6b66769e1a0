//! The part of the document that progenitor sees.

use std::collections::{BTreeMap, BTreeSet};

use heck::ToPascalCase;
use serde_json::{Map, Value, json};

use super::document::{DEEP_OBJECT, rust_name};

/// Distinguishes paths that differ only in the names of their variables. No address contains it.
pub(super) const TWIN: char = '\u{1}';

/// Reduces the document to operations with successful responses, and schemas.
///
/// Error responses are left out: progenitor would lose status and headers of a response that
/// differs from its declaration. `src/error/` reads them instead. Parameters have their Rust names;
/// [`super::client::request`] gives them back their own.
///
/// # Errors
/// Returns a message that names two arguments of one name.
pub(super) fn generator_view(document: &Value) -> Result<Value, String> {
    const OPERATION: [&str; 5] = [
        "deprecated",
        "operationId",
        "parameters",
        "requestBody",
        "responses",
    ];
    let mut paths = Map::new();
    for (path, item) in document["paths"].as_object().into_iter().flatten() {
        for (method, operation) in item.as_object().into_iter().flatten() {
            let named = |own: &&Map<String, Value>| own.contains_key("operationId");
            let Some(operation) = operation.as_object().filter(named) else {
                continue;
            };
            let mut operation = operation.clone();
            operation.retain(|key, _| OPERATION.contains(&key.as_str()));
            let mut path = path.clone();
            arguments(&mut operation, &mut path)?;
            contents(operation.get_mut("requestBody"));
            let responses = operation
                .get_mut("responses")
                .and_then(Value::as_object_mut);
            if let Some(responses) = responses {
                responses.retain(|status, _| status.starts_with('2'));
                responses.values_mut().for_each(|own| contents(Some(own)));
                if responses.is_empty() {
                    responses.insert("2XX".into(), json!({"description": ""}));
                }
            }
            while paths
                .get(&path)
                .is_some_and(|item: &Value| item.get(method).is_some())
            {
                path.push(TWIN);
            }
            paths.entry(path).or_insert_with(|| json!({}))[method] = operation.into();
        }
    }
    let mut schemas = document["components"]["schemas"].clone();
    for schema in schemas
        .as_object_mut()
        .into_iter()
        .flat_map(Map::values_mut)
    {
        plain(schema);
    }
    Ok(json!({
        "openapi": "3.0.3",
        "info": {"title": "Fullscript", "version": "v2"},
        "paths": paths,
        "components": {"schemas": schemas},
    }))
}

/// Gives the parameters and the variables of the path their Rust names.
fn arguments(operation: &mut Map<String, Value>, path: &mut String) -> Result<(), String> {
    let id = operation["operationId"].as_str().unwrap_or_default();
    let id = id.to_pascal_case();
    let (mut names, mut variables) = (BTreeSet::new(), BTreeMap::new());
    let parameters = operation
        .get_mut("parameters")
        .and_then(Value::as_array_mut);
    for parameter in parameters.into_iter().flatten() {
        let name = rust_name(parameter);
        let wire = parameter["name"].as_str().unwrap_or_default();
        if parameter["in"] == "path" {
            variables.insert(wire.to_string(), name.clone());
        }
        parameter["name"] = json!(name);
        if parameter["style"] == DEEP_OBJECT {
            parameter["style"] = json!("form");
        }
        let own = parameter.as_object_mut().into_iter();
        own.for_each(|own| own.retain(|key, _| !key.starts_with("x-")));
        plain(&mut parameter["schema"]);
        if !names.insert(name.clone()) {
            return Err(format!("{id}.{name} is defined twice"));
        }
    }
    *path = template(path, &variables);
    Ok(())
}

/// Returns a path with the Rust names of its variables. Other braces are literal.
fn template(path: &str, variables: &BTreeMap<String, String>) -> String {
    let mut template = String::new();
    let mut rest = path;
    while let Some(at) = rest.find(['{', '}']) {
        let (before, brace) = rest.split_at(at);
        template.push_str(before);
        let variable = brace.strip_prefix('{').and_then(|own| own.split_once('}'));
        let known = variable.and_then(|(name, after)| Some((variables.get(name)?, after)));
        rest = match known {
            Some((name, after)) => {
                template.push_str(&format!("{{{name}}}"));
                after
            }
            None => {
                template.push_str(if brace.starts_with('{') { "%7B" } else { "%7D" });
                &brace[1..]
            }
        };
    }
    template + rest
}

fn contents(holder: Option<&mut Value>) {
    let content = holder.and_then(|holder| holder.get_mut("content"));
    let media = content.and_then(Value::as_object_mut).into_iter();
    for media in media.flat_map(Map::values_mut) {
        let schema = media.get("schema").cloned();
        *media = json!({"schema": schema.unwrap_or_default()});
        plain(&mut media["schema"]);
    }
}

/// Removes everything from a schema that does not affect its Rust type.
///
/// The generator recognizes the types of `crate::value` by schemas that are equal to a given one, so
/// an annotation would select another type.
fn plain(schema: &mut Value) {
    const KEPT: [&str; 11] = [
        "$ref",
        "additionalProperties",
        "allOf",
        "anyOf",
        "description",
        "enum",
        "format",
        "items",
        "nullable",
        "properties",
        "required",
    ];
    let Some(object) = schema.as_object_mut() else {
        return;
    };
    object.retain(|key, _| key == "type" || KEPT.contains(&key.as_str()));
    // `types::extra` writes the field for fields that are not declared.
    if object.contains_key("properties") {
        object.remove("additionalProperties");
    }
    for (key, value) in object {
        match (key.as_str(), value) {
            ("properties", Value::Object(all)) => all.values_mut().for_each(plain),
            ("allOf" | "anyOf", Value::Array(all)) => all.iter_mut().for_each(plain),
            ("items" | "additionalProperties", value) => plain(value),
            _ => {}
        }
    }
}
