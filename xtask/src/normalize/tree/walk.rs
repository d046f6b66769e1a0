//! Traversal of a document: operations, schemas, pointers.

use serde_json::{Map, Value};

use crate::guard::At;

/// The methods of OpenAPI 3.0.
pub const METHODS: [&str; 8] = [
    "get", "put", "post", "delete", "patch", "head", "options", "trace",
];

/// The maximum length of a chain of references; a longer one is considered circular.
pub(crate) const LONGEST_CHAIN: usize = 32;

/// Escapes one step of a JSON pointer (RFC 6901).
pub(crate) fn escape(step: &str) -> String {
    step.replace('~', "~0").replace('/', "~1")
}

/// Returns the step of a list element. A parameter is identified by its name, so that the pointer
/// does not depend on the parameters before it.
pub(crate) fn element(list: &str, index: usize, element: &Value) -> String {
    let name = element["name"]
        .as_str()
        .filter(|_| list.ends_with("/parameters"));
    name.map_or_else(|| index.to_string(), escape)
}

/// Returns the object at a key.
pub(crate) fn object_mut<'v>(
    holder: &'v mut Map<String, Value>,
    key: &str,
) -> Option<&'v mut Map<String, Value>> {
    holder.get_mut(key).and_then(Value::as_object_mut)
}

/// Returns the members of the object at a key.
pub(crate) fn members_mut<'v>(
    holder: &'v mut Map<String, Value>,
    key: &str,
) -> impl Iterator<Item = (&'v String, &'v mut Value)> {
    object_mut(holder, key).into_iter().flatten()
}

/// Returns the schemas of a request body, one per media type.
pub(crate) fn body_schemas(operation: &mut Map<String, Value>) -> impl Iterator<Item = &mut Value> {
    let body = object_mut(operation, "requestBody").into_iter();
    let content = body.flat_map(|body| members_mut(body, "content"));
    content.filter_map(|(_, media)| media.get_mut("schema"))
}

/// Returns the string at a key, or an empty string.
pub(crate) fn text<'v>(holder: &'v Map<String, Value>, key: &str) -> &'v str {
    holder.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// Removes a member from an object.
pub(crate) fn take(value: &mut Value, key: &str) -> Option<Value> {
    value.as_object_mut()?.remove(key)
}

/// Removes duplicates and keeps the order.
pub(crate) fn distinct<T: PartialEq>(items: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut distinct = Vec::new();
    for item in items {
        if !distinct.contains(&item) {
            distinct.push(item);
        }
    }
    distinct
}

/// Returns every operation of the document with its path and method.
pub fn operations(document: &Value) -> impl Iterator<Item = (&str, &str, &Value)> {
    document["paths"]
        .as_object()
        .into_iter()
        .flatten()
        .flat_map(|(path, item)| {
            METHODS
                .into_iter()
                .filter_map(move |method| Some((path.as_str(), method, item.get(method)?)))
        })
}

/// Calls `visit` with pointer, path, method and value of each operation.
pub(crate) fn each_operation(
    document: &mut Value,
    mut visit: impl FnMut(&str, &str, &str, &mut Map<String, Value>),
) {
    let Some(paths) = document.get_mut("paths").and_then(Value::as_object_mut) else {
        return;
    };
    for (path, item) in paths {
        for method in METHODS {
            let operation = item.get_mut(method).and_then(Value::as_object_mut);
            if let Some(operation) = operation {
                let pointer = format!("/paths/{}/{method}", escape(path));
                let _place = At(&pointer);
                visit(&pointer, path, method, operation);
            }
        }
    }
}

/// Returns the direct subschemas of a schema, with the pointer steps to them.
pub(crate) fn children(schema: &mut Value) -> Vec<(String, &mut Value)> {
    let mut found = Vec::new();
    let Some(object) = schema.as_object_mut() else {
        return found;
    };
    for (key, value) in object {
        match key.as_str() {
            "properties" => {
                for (name, property) in value.as_object_mut().into_iter().flatten() {
                    found.push((format!("properties/{}", escape(name)), property));
                }
            }
            "items" | "additionalProperties" | "not" if value.is_object() => {
                found.push((key.clone(), value));
            }
            "allOf" | "anyOf" | "oneOf" => {
                for (index, member) in value.as_array_mut().into_iter().flatten().enumerate() {
                    found.push((format!("{key}/{index}"), member));
                }
            }
            _ => {}
        }
    }
    found
}

/// Calls `visit` on a schema and all its subschemas, innermost first.
pub(crate) fn each_below(
    schema: &mut Value,
    pointer: &str,
    visit: &mut dyn FnMut(&str, &mut Value),
) {
    for (step, child) in children(schema) {
        each_below(child, &format!("{pointer}/{step}"), visit);
    }
    let _place = At(pointer);
    visit(pointer, schema);
}

/// Calls `visit` on every schema of the document, innermost first.
pub(crate) fn each_schema(document: &mut Value, visit: &mut dyn FnMut(&str, &mut Value)) {
    each_root(document, &mut |pointer, schema| {
        each_below(schema, pointer, visit)
    });
}

/// Calls `visit` on every top-level schema: components, and schemas of parameters, bodies,
/// responses and headers.
pub(crate) fn each_root(document: &mut Value, visit: &mut dyn FnMut(&str, &mut Value)) {
    let Some(root) = document.as_object_mut() else {
        return;
    };
    if let Some(paths) = root.get_mut("paths") {
        find_roots(paths, "/paths", visit);
    }
    let components = root.get_mut("components").and_then(Value::as_object_mut);
    for (bucket, entries) in components.into_iter().flatten() {
        let pointer = format!("/components/{bucket}");
        if bucket == "schemas" {
            for (name, schema) in entries.as_object_mut().into_iter().flatten() {
                visit(&format!("{pointer}/{}", escape(name)), schema);
            }
        } else {
            find_roots(entries, &pointer, visit);
        }
    }
}

fn find_roots(value: &mut Value, pointer: &str, visit: &mut dyn FnMut(&str, &mut Value)) {
    match value {
        Value::Object(object) => {
            for (key, child) in object {
                let below = format!("{pointer}/{}", escape(key));
                match key.as_str() {
                    "schema" => visit(&below, child),
                    "example" | "examples" => {}
                    _ if key.starts_with("x-") => {}
                    _ => find_roots(child, &below, visit),
                }
            }
        }
        Value::Array(list) => {
            for (index, child) in list.iter_mut().enumerate() {
                let below = format!("{pointer}/{}", element(pointer, index, child));
                find_roots(child, &below, visit);
            }
        }
        _ => {}
    }
}

/// Returns the name of the component schema that a reference points to.
pub(crate) fn referenced(schema: &Value) -> Option<&str> {
    schema["$ref"]
        .as_str()?
        .strip_prefix("#/components/schemas/")
}

/// Returns the same as [`referenced`], also for a reference inside the `allOf` that makes it
/// nullable.
pub(crate) fn referenced_through(schema: &Value) -> Option<&str> {
    referenced(schema).or_else(|| match schema["allOf"].as_array()?.as_slice() {
        [only] => referenced(only),
        _ => None,
    })
}

/// Returns the schema, or the component that it references.
///
/// A chain of references that does not end returns a reference.
pub(crate) fn whole<'d>(schema: &'d Value, schemas: &'d Value) -> &'d Value {
    let mut whole = schema;
    for _ in 0..LONGEST_CHAIN {
        match referenced_through(whole) {
            Some(name) => whole = &schemas[name],
            None => break,
        }
    }
    whole
}

/// Returns whether a schema is a string, number or boolean.
pub(crate) fn is_scalar(schema: &Value) -> bool {
    ["string", "integer", "number", "boolean"]
        .iter()
        .any(|name| schema["type"] == *name)
}

/// Returns a reference to a component schema.
pub(crate) fn reference(name: &str) -> Value {
    serde_json::json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// Returns the component schemas; creates the object if needed.
pub(crate) fn schemas_mut(document: &mut Value) -> &mut Map<String, Value> {
    let components = entry(document, "components");
    let schemas = entry(components, "schemas");
    schemas.as_object_mut().expect("just made an object")
}

fn entry<'a>(value: &'a mut Value, key: &str) -> &'a mut Value {
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    let object = value.as_object_mut().expect("just made an object");
    let inner = object
        .entry(key)
        .or_insert_with(|| Value::Object(Map::new()));
    if !inner.is_object() {
        *inner = Value::Object(Map::new());
    }
    inner
}
