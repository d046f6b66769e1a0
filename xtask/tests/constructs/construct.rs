//! The documents of `constructs.yaml`, each completed.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value, json};

/// An empty overlay.
pub(crate) const OVERLAY: &str =
    "overlay: 1.0.0\ninfo: {title: none, version: 1.0.0}\nactions: []\n";

/// The content of a document beyond the common base. The head of the file describes each key.
#[derive(Debug, Deserialize)]
pub(crate) struct Construct {
    pub(crate) refused: Option<String>,
    pub(crate) streamed: Option<(String, bool)>,
    pub(crate) not_streamed: Option<String>,
    whole: Option<Value>,
    schema: Option<Value>,
    answer: Option<Value>,
    body: Option<Value>,
    get: Option<Value>,
    post: Option<Value>,
    schemas: Option<Value>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// All constructs by name.
pub(crate) fn constructs() -> BTreeMap<String, Construct> {
    #[derive(Deserialize)]
    struct File {
        constructs: BTreeMap<String, Construct>,
    }
    let file: File = serde_norway::from_str(include_str!("constructs.yaml")).unwrap();
    let mut constructs = file.constructs;
    for (name, document) in crate::cases::cases() {
        constructs.insert(name, Construct::of_whole(document));
    }
    constructs
}

impl Construct {
    fn of_whole(document: Value) -> Self {
        serde_json::from_value(json!({ "whole": document })).unwrap()
    }

    /// Returns the complete document.
    pub(crate) fn document(&self) -> Value {
        if let Some(whole) = &self.whole {
            return whole.clone();
        }
        let mut document = json!({
            "openapi": "3.0.1",
            "info": {"title": "Things", "version": "1.0"},
            "paths": {},
        });
        let mut add = |part: Value| merge(&mut document, part);
        let of_schema = |value: Value| self.schema.as_ref().map(|_| value);
        if let Some(schema) = &self.schema {
            add(json!({"components": {"schemas": {"T": schema}}}));
        }
        let answer = self.answer.clone().or(of_schema(reference("T")));
        let answer = answer.or(self.get.as_ref().map(|_| reference("Thing")));
        if let Some(schema) = answer {
            add(at_thing(
                "get",
                json!({
                    "operationId": "getThing",
                    "responses": {"200": {"description": "ok", "content": content(&schema)}},
                }),
            ));
        }
        let body = self.body.clone().or(of_schema(content(&reference("T"))));
        if body.is_some() || self.post.is_some() {
            add(at_thing(
                "post",
                json!({
                    "operationId": "postThing",
                    "requestBody": {"required": true},
                    "responses": {"204": {"description": "ok"}},
                }),
            ));
        }
        if let Some(content) = body {
            add(at_thing(
                "post",
                json!({"requestBody": {"content": content}}),
            ));
        }
        for (method, operation) in [("get", &self.get), ("post", &self.post)] {
            if let Some(operation) = operation {
                add(at_thing(method, operation.clone()));
            }
        }
        if let Some(schemas) = &self.schemas {
            add(json!({"components": {"schemas": schemas}}));
        }
        add(self.rest.clone().into());
        if document
            .to_string()
            .contains("\"#/components/schemas/Thing\"")
        {
            let thing = json!({"type": "object", "properties": {"id": {"type": "string"}}});
            let defined = std::mem::replace(
                &mut document,
                json!({"components": {"schemas": {"Thing": thing}}}),
            );
            merge(&mut document, defined);
        }
        document
    }
}

fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

fn content(schema: &Value) -> Value {
    json!({"application/json": {"schema": schema}})
}

fn at_thing(method: &str, operation: Value) -> Value {
    json!({"paths": {"/thing": {method: operation}}})
}

/// Merges objects key by key; other values are replaced.
fn merge(value: &mut Value, part: Value) {
    match (value, part) {
        (Value::Object(object), Value::Object(part)) => {
            for (key, part) in part {
                match object.get_mut(&key) {
                    Some(inner) => merge(inner, part),
                    None => drop(object.insert(key, part)),
                }
            }
        }
        (value, part) => *value = part,
    }
}
