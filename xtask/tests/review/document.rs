//! A part of the committed document, small enough to be derived and generated for each planted
//! change, and its overlay.

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

use serde_json::Value;
use xtask::normalize::{declared, derive};
use xtask::review::Side;

/// Lists and single objects, with and without bodies, restricted and not.
const PATHS: [&str; 9] = [
    "/api/catalog/brands",
    "/api/clinic",
    "/api/clinic/embeddable/session_grants",
    "/api/clinic/patients",
    "/api/clinic/patients/{id}",
    "/api/clinic/practitioners/{practitioner_id}/resources/{id}",
    "/api/clinic/search/patients",
    "/api/events/orders",
    "/api/labs",
];

pub(crate) const OVERLAY: &str = include_str!("../../../spec/overlay.yaml");

pub(crate) static SLICE: LazyLock<Value> = LazyLock::new(slice);

/// The old document of most rows.
pub(crate) static BASE: LazyLock<Arc<Side>> = LazyLock::new(|| Arc::new(side(&SLICE, OVERLAY)));

/// Everything that is derived from a document.
#[track_caller]
pub(crate) fn side(document: &Value, overlay: &str) -> Side {
    side_of("a document", document, overlay)
}

#[track_caller]
pub(crate) fn side_of(name: &str, document: &Value, overlay: &str) -> Side {
    let side = Side::new(name, derive(document, overlay).unwrap()).unwrap();
    side.with_declared(declared(document, overlay).ok())
}

fn slice() -> Value {
    let mut document: Value =
        serde_json::from_str(include_str!("../../../spec/openapi.json")).unwrap();
    let paths = document["paths"].as_object_mut().unwrap();
    paths.retain(|path, _| PATHS.contains(&path.as_str()));
    assert_eq!(paths.len(), PATHS.len(), "a path that the vendor has moved");
    // A field of a recorded response would be restored although the schema lost it.
    without_examples(&mut document["paths"]);
    let mut kept = BTreeSet::new();
    let mut open = referenced(&document["paths"]);
    while let Some(name) = open.pop() {
        if kept.insert(name.clone()) {
            open.extend(referenced(&document["components"]["schemas"][&name]));
        }
    }
    let schemas = document["components"]["schemas"].as_object_mut().unwrap();
    schemas.retain(|name, _| kept.contains(name));
    document
}

fn without_examples(value: &mut Value) {
    match value {
        Value::Object(object) => {
            object.remove("example");
            object.values_mut().for_each(without_examples);
        }
        Value::Array(list) => list.iter_mut().for_each(without_examples),
        _ => {}
    }
}

fn referenced(value: &Value) -> Vec<String> {
    match value {
        Value::Object(object) => {
            let own = object.get("$ref").and_then(Value::as_str);
            let own = own.and_then(|target| target.rsplit('/').next());
            let inner = object.values().flat_map(referenced);
            own.map(str::to_string).into_iter().chain(inner).collect()
        }
        Value::Array(list) => list.iter().flat_map(referenced).collect(),
        _ => vec![],
    }
}

/// Sets the value at a pointer, whose last step need not exist yet. An index past the end of a
/// list, or `-`, appends.
#[track_caller]
pub(crate) fn put(document: &mut Value, pointer: &str, value: Value) {
    let (parent, name) = parent(document, pointer);
    match parent {
        Value::Array(list) if name == "-" => list.push(value),
        Value::Array(list) => list[name.parse::<usize>().unwrap()] = value,
        parent => parent[name] = value,
    }
}

/// Removes a value.
#[track_caller]
pub(crate) fn take(document: &mut Value, pointer: &str) -> Value {
    let (parent, name) = parent(document, pointer);
    let taken = match parent {
        Value::Array(list) => Some(list.remove(name.parse().unwrap())),
        Value::Object(object) => object.remove(&name),
        _ => None,
    };
    taken.unwrap_or_else(|| panic!("nothing at {pointer}"))
}

/// Returns the parent of a pointer, and the last step.
#[track_caller]
fn parent<'d>(document: &'d mut Value, pointer: &str) -> (&'d mut Value, String) {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let found = document.pointer_mut(parent);
    let found = found.unwrap_or_else(|| panic!("nothing at {parent}"));
    (found, name.replace("~1", "/").replace("~0", "~"))
}

/// Returns the document with the fields of each object reversed.
pub(crate) fn backwards(value: &Value) -> Value {
    match value {
        Value::Object(object) => {
            let fields = object.iter().rev();
            let fields = fields.map(|(key, value)| (key.clone(), backwards(value)));
            Value::Object(fields.collect())
        }
        Value::Array(list) => list.iter().map(backwards).collect(),
        other => other.clone(),
    }
}
