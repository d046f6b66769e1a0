//! `allOf` becomes one schema, so that no part of it is lost.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::normalize::report::Report;
use crate::normalize::tree::walk::{children, distinct, each_root, referenced, schemas_mut};

type Object = Map<String, Value>;

/// Marks the base of several types of objects until they have its fields.
pub(crate) const BASE: &str = "x-base";

/// Marks a schema that any JSON matches because it has alternatives, until the schemas that contain
/// it are merged.
pub(crate) const OPEN: &str = "x-open";

/// Keywords by which a schema has a type of its own.
const SHAPED: [&str; 4] = ["properties", "type", "enum", "items"];

/// Merges every `allOf` of the document into one object.
///
/// A single reference is unchanged: `allOf` is the way to add keywords to it.
pub(super) fn merge_all(document: &mut Value, report: &mut Report<'_>) {
    let mut merging = Merging {
        raw: std::mem::take(schemas_mut(document)),
        merged: BTreeMap::new(),
        open: BTreeSet::new(),
        report,
    };
    let names: Vec<String> = merging.raw.keys().cloned().collect();
    for name in &names {
        merging.component(name);
    }
    // The paths refer to components that are complete.
    each_root(document, &mut |pointer, schema| {
        merging.below(schema, pointer);
    });
    let merged = names.into_iter().filter_map(|name| {
        let schema = merging.merged.remove(&name)?;
        Some((name, schema))
    });
    *schemas_mut(document) = merged.collect();
}

struct Merging<'d, 'r> {
    /// The components that were not merged yet.
    raw: Object,
    merged: BTreeMap<String, Value>,
    /// The components that are being merged, to recognize those that contain themselves.
    open: BTreeSet<String>,
    report: &'d mut Report<'r>,
}

impl Merging<'_, '_> {
    /// Merges a component, once.
    fn component(&mut self, name: &str) {
        let Some(mut schema) = self.raw.remove(name) else {
            return;
        };
        self.open.insert(name.to_string());
        self.below(&mut schema, &format!("/components/schemas/{name}"));
        self.open.remove(name);
        self.merged.insert(name.to_string(), schema);
    }

    /// Merges a schema and all schemas below it, innermost first.
    fn below(&mut self, schema: &mut Value, pointer: &str) {
        for (step, child) in children(schema) {
            self.below(child, &format!("{pointer}/{step}"));
        }
        self.merge(schema, pointer);
    }

    fn merge(&mut self, schema: &mut Value, pointer: &str) {
        let Some(parts) = schema["allOf"].as_array() else {
            return;
        };
        let shaped = SHAPED.iter().any(|key| !schema[*key].is_null());
        let only_reference = parts.len() == 1 && referenced(&parts[0]).is_some();
        if only_reference && !shaped {
            return;
        }
        let count = parts.len();
        let mut whole = Whole::default();
        self.fold(schema, &mut whole);
        let after = if whole.conflicts.is_empty() {
            "one schema".to_string()
        } else {
            format!("one schema, any JSON for {}", whole.conflicts.join(", "))
        };
        self.report
            .note(pointer, format!("allOf of {count}"), after);
        *schema = Value::Object(whole.finish());
    }

    fn fold(&mut self, part: &Value, whole: &mut Whole) {
        if let Some(name) = referenced(part) {
            let name = name.to_string();
            self.component(&name);
            match self.merged.get(&name) {
                Some(target) => {
                    let target = target.clone();
                    self.fold(&target, whole);
                }
                // A schema that contains itself, as a part of one of its fields.
                None if self.open.contains(&name) => whole.is_open = true,
                None => {}
            }
            return;
        }
        for member in part["allOf"].as_array().into_iter().flatten() {
            self.fold(member, whole);
        }
        let is_base = part.get(BASE).is_some();
        for (key, value) in part.as_object().into_iter().flatten() {
            match (key.as_str(), value) {
                ("allOf" | BASE, _) => {}
                (OPEN, _) => whole.is_open = true,
                ("additionalProperties", _) => {
                    whole.is_open |= !is_base && *value != json!(false);
                    whole.schema.insert(key.clone(), value.clone());
                }
                ("properties", Value::Object(properties)) => {
                    for (name, property) in properties {
                        self.field(name, property, whole);
                    }
                }
                ("required", Value::Array(names)) => {
                    let all = whole.schema.entry("required").or_insert_with(|| json!([]));
                    let before = all.as_array().cloned().unwrap_or_default();
                    *all = json!(distinct(before.into_iter().chain(names.iter().cloned())));
                }
                ("type", _) => match whole.schema.get("type") {
                    Some(before) if before != value => whole.has_conflict = true,
                    _ => drop(whole.schema.insert(key.clone(), value.clone())),
                },
                _ => drop(whole.schema.insert(key.clone(), value.clone())),
            }
        }
    }

    fn field(&mut self, name: &str, property: &Value, whole: &mut Whole) {
        let all = whole
            .schema
            .entry("properties")
            .or_insert_with(|| json!({}));
        let before = all[name].take();
        let same = |key: &str| before[key] == property[key];
        let have_fields = |one: &Value, other: &Value| {
            one["properties"].is_object() && other["properties"].is_object()
        };
        let field = if before.is_null() || is_any(&before) {
            property.clone()
        } else if is_any(property) {
            before
        } else if have_fields(&before, property) {
            let mut both = Whole::default();
            self.fold(&before, &mut both);
            self.fold(property, &mut both);
            whole.conflicts.append(&mut both.conflicts);
            Value::Object(both.finish())
        } else if ["type", "$ref", "allOf", "items", "format"]
            .into_iter()
            .all(same)
        {
            property.clone()
        } else {
            whole.conflicts.push(name.to_string());
            json!({})
        };
        whole.schema["properties"][name] = field;
    }
}

/// Returns whether a schema only describes, so that any value matches it.
fn is_any(schema: &Value) -> bool {
    schema.as_object().is_some_and(|schema| {
        let mut keys = schema.keys();
        keys.all(|key| ["description", "nullable"].contains(&key.as_str()))
    })
}

/// The parts that were merged.
#[derive(Default)]
struct Whole {
    schema: Object,
    /// The fields that the parts declare differently.
    conflicts: Vec<String>,
    /// Whether the parts have different types.
    has_conflict: bool,
    /// Whether a part has fields that are not declared, such as those of alternatives.
    is_open: bool,
}

impl Whole {
    fn finish(mut self) -> Object {
        if self.has_conflict {
            for key in SHAPED
                .into_iter()
                .chain(["required", "format", "additionalProperties"])
            {
                self.schema.remove(key);
            }
            return self.schema;
        }
        let has_fields = self
            .schema
            .get("properties")
            .is_some_and(|fields| *fields != json!({}));
        if has_fields {
            self.schema.remove("additionalProperties");
        }
        if self.is_open {
            match self.schema.get("type").and_then(Value::as_str) {
                Some("object") if has_fields => {
                    self.schema.insert("additionalProperties".into(), json!({}));
                }
                Some("object") => {
                    let others = self.schema.entry("additionalProperties");
                    others.or_insert(json!(true));
                }
                Some(_) => {}
                None => drop(self.schema.insert(OPEN.into(), json!(true))),
            }
        }
        self.schema
    }
}
