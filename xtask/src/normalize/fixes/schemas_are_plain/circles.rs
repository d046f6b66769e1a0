//! Schemas that consist of references to each other.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::all_of::BASE;
use crate::normalize::report::Report;
use crate::normalize::tree::walk::{referenced, schemas_mut};

/// The keywords whose schemas describe the same value as the schema that contains them.
const SAME_LEVEL: [&str; 3] = ["allOf", "anyOf", "oneOf"];

/// Opens circles of schemas that consist of references to each other.
///
/// In a circle through `oneOf` or `anyOf`, the schema with the alternatives is the base of its
/// kinds, and stays open to their fields. Any other circle is an error of the vendor's.
pub(super) fn open_circles(document: &mut Value, report: &mut Report<'_>) {
    for name in circular(document) {
        let schema = schemas_mut(document).get_mut(&name);
        let Some(object) = schema.and_then(Value::as_object_mut) else {
            continue;
        };
        let alternatives = ["oneOf", "anyOf"].map(|key| object.remove(key).is_some());
        if alternatives.contains(&true) {
            object.insert("type".into(), json!("object"));
            object.entry("properties").or_insert_with(|| json!({}));
            object.insert(BASE.into(), json!(true));
            let place = format!("/components/schemas/{name}");
            report.note(
                place,
                "a base that lists its kinds",
                "the base of its kinds",
            );
        }
    }
    loop {
        let circular = circular(document);
        let Some(name) = circular.first() else {
            return;
        };
        let place = format!("/components/schemas/{name}");
        let schema = schemas_mut(document).entry(name).or_insert(Value::Null);
        let leads_back = |part: &Value| {
            let mut targets = BTreeSet::new();
            same_level(part, &mut targets);
            targets.iter().any(|target| circular.contains(target))
        };
        match schema["allOf"].as_array_mut() {
            Some(parts) => {
                parts.retain(|part| !leads_back(part));
                report.fault(&place, "a circle of references", "the rest of `allOf`");
            }
            None => {
                *schema = json!({});
                report.fault(&place, "a circle of references", "any JSON");
            }
        }
    }
}

/// Returns the component schemas that lead back to themselves.
fn circular(document: &mut Value) -> Vec<String> {
    let leads_to: BTreeMap<String, BTreeSet<String>> = schemas_mut(document)
        .iter()
        .map(|(name, schema)| {
            let mut targets = BTreeSet::new();
            same_level(schema, &mut targets);
            (name.clone(), targets)
        })
        .collect();
    let leads_back = |start: &&String| {
        let (mut seen, mut open) = (BTreeSet::new(), vec![*start]);
        while let Some(name) = open.pop() {
            for next in leads_to.get(name).into_iter().flatten() {
                if next == *start {
                    return true;
                }
                if seen.insert(next) {
                    open.push(next);
                }
            }
        }
        false
    };
    leads_to.keys().filter(leads_back).cloned().collect()
}

/// Adds the references that a schema consists of, without those of its members.
fn same_level(schema: &Value, found: &mut BTreeSet<String>) {
    found.extend(referenced(schema).map(str::to_string));
    for key in SAME_LEVEL {
        for part in schema[key].as_array().into_iter().flatten() {
            same_level(part, found);
        }
    }
}
