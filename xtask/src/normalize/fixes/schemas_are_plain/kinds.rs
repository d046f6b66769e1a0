//! The JSON types of component schemas, before their parts are merged.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::normalize::tree::walk::referenced;

const KINDS: [&str; 6] = ["string", "number", "integer", "boolean", "object", "array"];

/// The JSON type of each component, if it is known.
pub(super) struct Kinds(BTreeMap<String, Option<&'static str>>);

impl Kinds {
    pub(super) fn of(document: &Value) -> Self {
        let mut kinds = Self(BTreeMap::new());
        let schemas = &document["components"]["schemas"];
        for name in schemas.as_object().into_iter().flat_map(|all| all.keys()) {
            kinds.component(name, schemas);
        }
        kinds
    }

    /// Returns the type of a schema, also through its reference.
    pub(super) fn kind(&self, schema: &Value) -> Option<&'static str> {
        self.judge(schema, &|name| self.0.get(name).copied().flatten())
    }

    fn component(&mut self, name: &str, schemas: &Value) -> Option<&'static str> {
        if let Some(known) = self.0.get(name) {
            return *known;
        }
        // A component that leads to itself has no type on the way.
        self.0.insert(name.to_string(), None);
        for target in targets(&schemas[name]) {
            self.component(target, schemas);
        }
        let kind = self.kind(&schemas[name]);
        self.0.insert(name.to_string(), kind);
        kind
    }

    fn judge(
        &self,
        schema: &Value,
        component: &dyn Fn(&str) -> Option<&'static str>,
    ) -> Option<&'static str> {
        if let Some(name) = referenced(schema) {
            return component(name);
        }
        let members = |key: &str| {
            let members = schema[key].as_array().into_iter().flatten();
            members.map(|member| self.judge(member, component))
        };
        own_kind(schema)
            .or_else(|| members("allOf").flatten().next())
            .or_else(|| {
                let mut kinds = members("oneOf").chain(members("anyOf"));
                let first = kinds.next()??;
                kinds.all(|kind| kind == Some(first)).then_some(first)
            })
    }
}

/// Returns the references that a schema consists of.
fn targets(schema: &Value) -> Vec<&str> {
    let mut found: Vec<&str> = referenced(schema).into_iter().collect();
    for key in ["allOf", "oneOf", "anyOf"] {
        let members = schema[key].as_array().into_iter().flatten();
        found.extend(members.flat_map(targets));
    }
    found
}

fn own_kind(schema: &Value) -> Option<&'static str> {
    let declared = match &schema["type"] {
        Value::String(name) => Some(name.as_str()),
        Value::Array(names) => {
            let mut names = names.iter().filter_map(Value::as_str);
            let first = names.find(|name| *name != "null");
            first.filter(|_| !names.any(|name| name != "null"))
        }
        _ => None,
    };
    let named = |name: &str| {
        let mut kinds = KINDS.into_iter();
        kinds.find(|kind| kind.eq_ignore_ascii_case(name))
    };
    match declared {
        Some(name) => named(name),
        None if schema["properties"].is_object() => Some("object"),
        None if !schema["items"].is_null() => Some("array"),
        None => None,
    }
}
