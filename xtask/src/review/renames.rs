//! Types and operations that only changed their names.

use std::collections::BTreeMap;

use serde_json::Value;

use super::annotations::without_annotations;
use crate::normalize::{anonymous, operations};

/// Renamed types and operations, from old names to new ones.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Renames {
    pub(super) types: BTreeMap<String, String>,
    pub(super) operations: BTreeMap<String, String>,
}

impl Renames {
    /// Finds renamed items: a type with equal content, or an operation with the same method and
    /// path.
    pub(super) fn between(old: &Value, new: &Value) -> Self {
        let mut renames = Self {
            operations: operations_renamed(old, new),
            ..Self::default()
        };
        // A type may contain another one that was renamed.
        loop {
            let types = renames.types_renamed(old, new);
            if types == renames.types {
                return renames;
            }
            renames.types = types;
        }
    }

    /// Returns the id of an operation in the new document.
    pub(super) fn new_id(&self, old: &str) -> String {
        self.operations
            .get(old)
            .map_or(old, String::as_str)
            .to_string()
    }

    /// Returns the name of a type in the new document.
    pub(super) fn new_name<'n>(&'n self, old: &'n str) -> &'n str {
        self.types.get(old).map_or(old, String::as_str)
    }

    /// Returns the name of a type in the old document.
    pub(super) fn old_name<'n>(&'n self, new: &'n str) -> &'n str {
        let renamed = self.types.iter().find(|(_, now)| *now == new);
        renamed.map_or(new, |(old, _)| old)
    }

    /// Replaces the names in a Rust type by those of the new document.
    pub(super) fn in_type(&self, ty: &str) -> String {
        let mut out = String::new();
        let mut word = String::new();
        for c in ty.chars().chain(['\0']) {
            if c.is_alphanumeric() || c == '_' {
                word.push(c);
                continue;
            }
            out.push_str(self.new_name(&word));
            word.clear();
            out.extend(Some(c).filter(|c| *c != '\0'));
        }
        out
    }

    fn types_renamed(&self, old: &Value, new: &Value) -> BTreeMap<String, String> {
        let gone = self.contents(old, new);
        let added = Self::default().contents(new, old);
        let mut found = BTreeMap::new();
        for (name, content) in &gone {
            let same = |all: &BTreeMap<String, Value>| -> Vec<String> {
                let same = all.iter().filter(|(_, other)| *other == content);
                same.map(|(name, _)| name.clone()).collect()
            };
            // Several equal types cannot be matched unambiguously.
            if let ([_], [new_name]) = (same(&gone).as_slice(), same(&added).as_slice()) {
                found.insert(name.clone(), new_name.clone());
            }
        }
        found
    }

    /// Returns the types that the other document lacks.
    fn contents(&self, document: &Value, other: &Value) -> BTreeMap<String, Value> {
        let schemas = document["components"]["schemas"].as_object();
        let lacked = schemas
            .into_iter()
            .flatten()
            .filter(|(name, _)| other["components"]["schemas"].get(name.as_str()).is_none());
        lacked
            .map(|(name, schema)| (name.clone(), self.renamed(without_annotations(schema))))
            .collect()
    }

    fn renamed(&self, mut value: Value) -> Value {
        match &mut value {
            Value::Object(object) => {
                for (key, inner) in object {
                    let own = inner.take();
                    *inner = match (key.as_str(), &own) {
                        ("$ref", Value::String(target)) => {
                            let name = target.rsplit('/').next().unwrap_or_default();
                            self.new_name(name).into()
                        }
                        _ => self.renamed(own),
                    };
                }
                value
            }
            Value::Array(list) => list.drain(..).map(|inner| self.renamed(inner)).collect(),
            _ => value,
        }
    }
}

fn operations_renamed(old: &Value, new: &Value) -> BTreeMap<String, String> {
    let places = |document: &Value| -> BTreeMap<String, String> {
        let named = operations(document).filter_map(|(path, method, operation)| {
            let id = operation["operationId"].as_str()?;
            Some((format!("{method} {}", anonymous(path)), id.to_string()))
        });
        named.collect()
    };
    let (before, after) = (places(old), places(new));
    let ids = |places: &BTreeMap<String, String>, id: &String| places.values().any(|own| own == id);
    let moved = before.iter().filter_map(|(place, id)| {
        let now = after.get(place)?;
        (id != now && !ids(&after, id) && !ids(&before, now)).then(|| (id.clone(), now.clone()))
    });
    moved.collect()
}
