//! Which operations use a type, and which way it travels.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;

use crate::normalize::{operations, referenced};

/// The operations that send a type and those that are answered with it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Usage {
    /// Operations whose requests hold it.
    pub requests: BTreeSet<String>,
    /// Operations whose answers hold it.
    pub answers: BTreeSet<String>,
}

/// How many operations are named before the rest is counted.
const NAMED: usize = 6;

impl Usage {
    /// The usage of all types of a document, by their names.
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

    /// The two together.
    pub(super) fn and(&self, other: &Self) -> Self {
        Self {
            requests: &self.requests | &other.requests,
            answers: &self.answers | &other.answers,
        }
    }

    /// `requests of a, b; answers of c`.
    pub(super) fn text(&self) -> String {
        let parts = [("requests", &self.requests), ("answers", &self.answers)];
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

/// Some names, as they stand in a sentence.
pub(crate) fn named<'n>(all: impl IntoIterator<Item = &'n String>) -> String {
    let named: Vec<_> = all.into_iter().map(|name| format!("`{name}`")).collect();
    named.join(", ")
}

/// The first of some names, and how many more there are.
pub(super) fn names<'n>(all: impl ExactSizeIterator<Item = &'n String>, most: usize) -> String {
    let count = all.len();
    // To leave out a single one would save nothing.
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
