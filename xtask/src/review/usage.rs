//! The operations that use a type, in requests or in responses.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;

use crate::normalize::{operations, referenced};

/// The operations that send or receive a type.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Usage {
    /// Operations whose requests contain it.
    pub requests: BTreeSet<String>,
    /// Operations whose responses contain it.
    pub answers: BTreeSet<String>,
}

/// The number of operations that are named before the rest is counted.
const NAMED: usize = 6;

impl Usage {
    /// Returns the usage of all types of a document, by name.
    pub(super) fn of_all(document: &Value) -> BTreeMap<String, Self> {
        let mut all: BTreeMap<String, Self> = BTreeMap::new();
        for (_, _, operation) in operations(document) {
            let Some(id) = operation["operationId"].as_str() else {
                continue;
            };
            for key in ["parameters", "requestBody"] {
                for name in reachable(&operation[key], document) {
                    all.entry(name).or_default().requests.insert(id.to_string());
                }
            }
            for name in reachable(&operation["responses"], document) {
                all.entry(name).or_default().answers.insert(id.to_string());
            }
        }
        all
    }

    /// Returns the union of two usages.
    pub(super) fn and(&self, other: &Self) -> Self {
        Self {
            requests: &self.requests | &other.requests,
            answers: &self.answers | &other.answers,
        }
    }

    /// Formats the usage: `requests of a, b; responses of c`.
    pub(super) fn text(&self) -> String {
        let parts = [("requests", &self.requests), ("responses", &self.answers)];
        let parts: Vec<_> = parts
            .iter()
            .filter(|(_, operations)| !operations.is_empty())
            .map(|(way, operations)| format!("{way} of {}", names(operations.iter(), NAMED)))
            .collect();
        if parts.is_empty() {
            "no operation".into()
        } else {
            parts.join("; ")
        }
    }
}

/// Formats names for a sentence.
pub(crate) fn named<'n>(all: impl IntoIterator<Item = &'n String>) -> String {
    let named: Vec<_> = all.into_iter().map(|name| format!("`{name}`")).collect();
    named.join(", ")
}

/// Formats the first names and the number of the rest.
pub(super) fn names<'n>(all: impl ExactSizeIterator<Item = &'n String>, most: usize) -> String {
    let count = all.len();
    // Omitting a single name would save nothing.
    if count <= most + 1 {
        return named(all);
    }
    format!("{} and {} more", named(all.take(most)), count - most)
}

fn reachable(value: &Value, document: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut open = vec![value];
    while let Some(value) = open.pop() {
        if let Some(name) = referenced(value)
            && found.insert(name.to_string())
        {
            open.push(&document["components"]["schemas"][name]);
        }
        match value {
            Value::Object(object) => {
                let schemas = object.iter().filter(|(key, _)| *key != "example");
                open.extend(schemas.map(|(_, inner)| inner));
            }
            Value::Array(list) => open.extend(list),
            _ => {}
        }
    }
    found
}
