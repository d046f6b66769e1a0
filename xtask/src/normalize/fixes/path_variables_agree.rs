//! The variable of an object has one name: `/plans/{id}` and `/plans/{plan_id}/activate` address
//! the same object, so the setter is called `id` for both.
//!
//! Only actions on an object are renamed. A path that can be read (GET) is a collection of the
//! object, where `patient_id` says more than `id`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::parameters_are_sendable::{BODY, RUST_NAME, rust_name};
use crate::normalize::report::Report;
use crate::normalize::tree::names::snake;
use crate::normalize::tree::walk::{escape, take};
use crate::refusal::Refusal;

pub(crate) fn apply(document: &mut Value, report: &mut Report<'_>) -> Result<(), Refusal> {
    let Some(paths) = document.get_mut("paths").and_then(Value::as_object_mut) else {
        return Ok(());
    };
    let objects: BTreeMap<String, String> = paths
        .keys()
        .filter_map(|path| {
            let (collection, variable) = split_variable(path)?;
            Some((collection.to_string(), variable.to_string()))
        })
        .collect();
    let taken: BTreeSet<String> = paths.keys().cloned().collect();
    let mut agreed = Map::new();
    for (path, mut item) in std::mem::take(paths) {
        let renamed = renamed(&path, &item, &objects);
        let is_free = |path: &String| !taken.contains(path) && !agreed.contains_key(path);
        let Some((new_path, old, new)) = renamed.filter(|(path, ..)| is_free(path)) else {
            agreed.insert(path, item);
            continue;
        };
        rename_parameters(&mut item, &old, &new);
        report.note(format!("/paths/{}", escape(&path)), old, new);
        agreed.insert(new_path, item);
    }
    *paths = agreed;
    Ok(())
}

/// The path with the object's own name for its variable, the old name and the new one.
fn renamed(
    path: &str,
    item: &Value,
    objects: &BTreeMap<String, String>,
) -> Option<(String, String, String)> {
    let (object, action) = path.rsplit_once('/')?;
    let (collection, old) = split_variable(object)?;
    let new = objects.get(collection)?;
    let is_action = !action.contains('{') && item.get("get").is_none();
    if new == old || !is_action || !is_free(item, new) || !is_declared_in_place(item, old) {
        return None;
    }
    let path = format!("{collection}/{{{new}}}/{action}");
    Some((path, old.to_string(), new.clone()))
}

/// Splits `/plans/{id}` into `/plans` and `id`.
fn split_variable(path: &str) -> Option<(&str, &str)> {
    let (collection, last) = path.rsplit_once('/')?;
    let variable = last.strip_prefix('{')?.strip_suffix('}')?;
    Some((collection, variable))
}

/// Whether no operation has another argument of this Rust name.
fn is_free(item: &Value, name: &str) -> bool {
    let is_same = |parameter: &Value| rust_name(parameter) == snake(name);
    let has_body = |operation: &Value| operation.get("requestBody").is_some();
    !parameters(item).any(is_same)
        && !operations(item).any(|own| parameters(own).any(is_same))
        && (snake(name) != BODY || !operations(item).any(has_body))
}

/// Whether each operation declares the variable itself, not by a reference.
fn is_declared_in_place(item: &Value, variable: &str) -> bool {
    let declares = |own: &Value| parameters(own).any(|own| is_variable(own, variable));
    declares(item) || operations(item).all(declares)
}

fn operations(item: &Value) -> impl Iterator<Item = &Value> {
    let operations = item.as_object().into_iter().flatten();
    operations.filter_map(|(_, own)| own.is_object().then_some(own))
}

fn parameters(of: &Value) -> impl Iterator<Item = &Value> {
    of["parameters"].as_array().into_iter().flatten()
}

fn is_variable(parameter: &Value, name: &str) -> bool {
    parameter["in"] == "path" && parameter["name"] == name
}

fn rename_parameters(item: &mut Value, old: &str, new: &str) {
    let fields = item.as_object_mut().into_iter().flatten();
    let lists = fields.filter_map(|(key, value)| match key.as_str() {
        "parameters" => Some(value),
        _ => value.get_mut("parameters"),
    });
    for parameter in lists.filter_map(Value::as_array_mut).flatten() {
        if is_variable(parameter, old) {
            parameter["name"] = new.into();
            take(parameter, RUST_NAME);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::normalize::report::check;

    fn own(name: &str) -> Value {
        json!([{"in": "path", "name": name, "required": true}])
    }

    #[test]
    fn an_action_names_its_object_like_the_object_itself() {
        let paths = json!({
            "/plans/{id}": {"get": {"parameters": own("id")}},
            "/plans/{plan_id}/activate": {"patch": {"parameters": own("plan_id")}},
            "/plans/{plan_id}/checkout": {"parameters": own("plan_id"), "post": {}},
        });
        let (document, repairs) = check(apply, json!({"paths": paths}));
        let expected = json!({
            "/plans/{id}": {"get": {"parameters": own("id")}},
            "/plans/{id}/activate": {"patch": {"parameters": own("id")}},
            "/plans/{id}/checkout": {"parameters": own("id"), "post": {}},
        });
        assert_eq!(document["paths"], expected);
        assert_eq!(repairs.len(), 2);
    }

    #[test]
    fn a_variable_does_not_get_the_name_of_another_argument() {
        let parameters = |query: &str| json!([{"in": "path", "name": "plan_id"}, {"in": "query", "name": query}]);
        let paths = json!({
            "/plans/{id}": {"get": {"parameters": own("id")}},
            "/plans/{plan_id}/activate": {"patch": {"parameters": parameters("ID")}},
            "/notes/{body}": {"get": {"parameters": own("body")}},
            "/notes/{note_id}/send": {"post": {"parameters": own("note_id"), "requestBody": {}}},
        });
        let (document, repairs) = check(apply, json!({"paths": paths}));
        assert_eq!(document["paths"], paths);
        assert!(repairs.is_empty());
    }

    #[test]
    fn collections_nested_objects_and_references_keep_their_names() {
        let paths = json!({
            "/patients/{id}": {"get": {"parameters": own("id")}},
            "/patients/{patient_id}/plans": {
                "get": {"parameters": own("patient_id")},
                "post": {"parameters": own("patient_id")},
            },
            "/patients/{patient_id}/plans/{id}": {"patch": {"parameters": own("id")}},
            "/patients/{patient_id}/archive": {
                "post": {"parameters": [{"$ref": "#/components/parameters/patient"}]},
            },
            "/orders/{order_id}/cancel": {"patch": {"parameters": own("order_id")}},
        });
        let (document, repairs) = check(apply, json!({"paths": paths}));
        assert_eq!(document["paths"], paths);
        assert!(repairs.is_empty());
    }
}
