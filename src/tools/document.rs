//! Reads the tools from the OpenAPI document that the crate is built from.

use std::sync::LazyLock;

use serde_json::{Map, Value, json};

use super::arguments::{Argument, Place};
use super::definition::Tool;
use super::schema::{Schemas, is_object};
use crate::operations::{self, Operation};

/// All tools, sorted by name. The document itself is not kept.
pub(super) static TOOLS: LazyLock<Vec<Tool>> = LazyLock::new(|| {
    let text = include_str!("../../spec/openapi.normalized.json");
    let document: Value = serde_json::from_str(text).expect("the document that built this crate");
    let described = operations::all().iter().map(|operation| Described {
        operation,
        schemas: Schemas::new(&document["components"]["schemas"]),
        value: &document["paths"][operation.path][operation.method.to_lowercase()],
    });
    described.filter_map(|described| described.tool()).collect()
});

/// The name of the argument that is the body of the request.
const BODY: &str = "body";

/// An operation with its description in the document.
struct Described<'d> {
    operation: &'static Operation,
    schemas: Schemas<'d>,
    value: &'d Value,
}

impl Described<'_> {
    /// Returns the tool, unless a request or a response of the operation carries a secret.
    fn tool(&self) -> Option<Tool> {
        let (input_schema, arguments) = self.input();
        let has_secret = self.schemas.has_secret(&self.value["requestBody"])
            || self.schemas.has_secret(&self.value["responses"]);
        let result = self.result();
        (!has_secret && self.operation.authenticated).then(|| Tool {
            operation: self.operation,
            description: self.description(),
            input_schema,
            returns_json: result.is_some(),
            output_schema: result.filter(is_object),
            arguments,
        })
    }

    /// Returns the schema of all arguments, and where each is sent.
    fn input(&self) -> (Value, Vec<Argument>) {
        let (mut properties, mut required, mut arguments) = (Map::new(), vec![], vec![]);
        let parameters = self.value["parameters"].as_array().into_iter().flatten();
        for parameter in parameters {
            let place = match parameter["in"].as_str() {
                Some("path") => Place::Path,
                Some("query") => Place::Query,
                _ => continue,
            };
            let wire_name = parameter["name"].as_str().unwrap_or_default();
            let mut name = argument_name(wire_name);
            // Two parameters may differ only in their place or in punctuation.
            while name == BODY || properties.contains_key(&name) {
                name.push('_');
            }
            let mut schema = self.schemas.of_arguments(&parameter["schema"]);
            if let Some(description) = parameter.get("description") {
                schema["description"] = description.clone();
            }
            if parameter["required"] == true {
                required.push(name.clone());
            }
            properties.insert(name.clone(), schema);
            arguments.push(Argument {
                name,
                wire_name: wire_name.into(),
                place,
            });
        }
        let body = &self.value["requestBody"];
        if let Some(schema) = body["content"]["application/json"].get("schema") {
            properties.insert(BODY.into(), self.schemas.of_arguments(schema));
            if body["required"] == true {
                required.push(BODY.into());
            }
            arguments.push(Argument {
                name: BODY.into(),
                wire_name: BODY.into(),
                place: Place::Body,
            });
        }
        required.sort_unstable();
        let schema = json!({
            "type": "object",
            "properties": properties,
            "required": required,
            "additionalProperties": false,
        });
        (schema, arguments)
    }

    /// Returns the schema of the result, if it is JSON.
    fn result(&self) -> Option<Value> {
        let responses = self.value["responses"].as_object()?;
        let (_, response) = responses
            .iter()
            .find(|(status, _)| status.starts_with('2'))?;
        let schema = response["content"]["application/json"].get("schema")?;
        Some(self.schemas.of_results(schema))
    }

    fn description(&self) -> String {
        const APPROVAL: &str = "Requires commercial approval.";
        let operation = self.operation;
        let verb = |text: &str| text.split(' ').next().map(String::from);
        let text = self.value["description"].as_str().unwrap_or_default();
        let text = text.strip_prefix(APPROVAL).unwrap_or(text).trim_start();
        let (summary, first) = (sentence(operation.summary), sentence(text));
        // Where both begin with the same verb, the description says more.
        let says_it_all = verb(&summary) == verb(&first);
        let mut sentences = vec![summary, first];
        sentences.retain(|sentence| !sentence.is_empty());
        if says_it_all {
            sentences.remove(0);
        }
        let scopes = operation.scopes.iter().map(|scopes| scopes.join(" and "));
        let scopes: Vec<String> = scopes.filter(|scopes| !scopes.is_empty()).collect();
        if !scopes.is_empty() {
            sentences.push(format!(
                "Needs the scope {} ({}).",
                scopes.join(", or "),
                operation.scopes_confidence
            ));
        }
        if operation.requires_commercial_approval {
            sentences.push(
                "Restricted: Fullscript refuses it to apps without its commercial approval.".into(),
            );
        }
        sentences.join(" ")
    }
}

/// Returns the first sentence of a text, with a period.
fn sentence(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    let first = line.split(". ").next().unwrap_or_default();
    let first = first.trim_end_matches(['.', ':']);
    if first.is_empty() {
        String::new()
    } else {
        format!("{first}.")
    }
}

/// Returns the name of a parameter with letters, digits and `_` only.
fn argument_name(wire_name: &str) -> String {
    let words = wire_name.split(|at: char| !at.is_ascii_alphanumeric() && at != '_');
    let words: Vec<_> = words.filter(|word| !word.is_empty()).collect();
    words.join("_")
}
