//! The definition of a tool, and its form in each dialect.

use serde_json::{Value, json};

use super::arguments::Argument;
use super::schema::accept_null;
use crate::operations::Operation;

/// An operation as a tool of a language model; see [`all`](super::all).
#[derive(Clone, Debug)]
pub struct Tool {
    pub(super) operation: &'static Operation,
    pub(super) description: String,
    pub(super) input_schema: Value,
    pub(super) returns_json: bool,
    pub(super) output_schema: Option<Value>,
    pub(super) arguments: Vec<Argument>,
}

/// What a tool does, for a decision of who may use it and who must confirm a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Hints {
    /// Whether the operation changes nothing.
    pub read_only: bool,
    /// Whether a repeated call has no further effect.
    pub idempotent: bool,
    /// Whether the operation may change or delete what exists. `false` if it only reads or adds.
    pub destructive: bool,
    /// Whether the vendor restricts the operation to approved partners.
    pub restricted: bool,
    /// Whether arguments or results may contain data of a patient.
    ///
    /// `true` for each operation that is not known to be free of it.
    pub touches_patient_data: bool,
}

/// The paths of operations without data of patients. An operation that is added by an update is not
/// below these, unless it is of the same topic.
const WITHOUT_PATIENTS: [&str; 11] = [
    "/api/catalog/",
    "/api/clinic/categories",
    "/api/clinic/fullscript_",
    "/api/clinic/labs/tests/",
    "/api/clinic/practitioners",
    "/api/clinic/protocols/",
    "/api/clinic/staff",
    "/api/clinic/templates/",
    "/api/events/clinic_keys",
    "/api/events/products",
    "/api/labs",
];

impl Tool {
    /// Returns the name, which is the id of the operation.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.operation.id
    }

    /// Returns the operation.
    #[must_use]
    pub fn operation(&self) -> &'static Operation {
        self.operation
    }

    /// Returns what the tool does, the scopes that it needs, and whether it is restricted.
    #[must_use]
    pub fn description(&self) -> &str {
        &self.description
    }

    /// Returns the JSON Schema (2020-12) of the arguments: an object, without references.
    #[must_use]
    pub fn input_schema(&self) -> &Value {
        &self.input_schema
    }

    /// Returns the JSON Schema (2020-12) of the result, or `None` if the operation does not return
    /// an object.
    ///
    /// Each field may be absent or null, and there may be more fields, because the vendor does not
    /// document which fields are always present. [`Client::invoke`](crate::Client::invoke) returns
    /// results that conform to it.
    #[must_use]
    pub fn output_schema(&self) -> Option<&Value> {
        self.output_schema.as_ref()
    }

    /// Returns what the tool does, as flags.
    #[must_use]
    pub fn hints(&self) -> Hints {
        let Operation { method, path, .. } = *self.operation;
        let is_of_practitioners = path.contains("/resources") && !path.contains("fullscript_");
        let without_patients = path == "/api/clinic"
            || WITHOUT_PATIENTS.iter().any(|own| path.starts_with(own)) && !is_of_practitioners;
        Hints {
            read_only: method == "GET",
            idempotent: matches!(method, "GET" | "PUT" | "DELETE"),
            destructive: !matches!(method, "GET" | "POST"),
            restricted: self.operation.requires_commercial_approval,
            touches_patient_data: !without_patients,
        }
    }

    /// Returns the definition as a function of OpenAI's Responses API.
    ///
    /// `strict` is set where the schema can be: each argument is then required, and an optional one
    /// may be null. The Chat Completions API expects the fields other than `type` in an object
    /// `function`.
    #[must_use]
    pub fn openai(&self) -> Value {
        let mut parameters = self.input_schema.clone();
        let strict = require_all(&mut parameters);
        json!({
            "type": "function",
            "name": self.name(),
            "description": self.description,
            "strict": strict,
            "parameters": if strict { &parameters } else { &self.input_schema },
        })
    }

    /// Returns the definition as a tool of Anthropic's Messages API.
    #[must_use]
    pub fn anthropic(&self) -> Value {
        json!({
            "name": self.name(),
            "description": self.description,
            "input_schema": self.input_schema,
        })
    }

    /// Returns the definition as a tool of the Model Context Protocol.
    #[must_use]
    pub fn mcp(&self) -> Value {
        let hints = self.hints();
        let mut tool = json!({
            "name": self.name(),
            "title": self.operation.summary,
            "description": self.description,
            "inputSchema": self.input_schema,
            "annotations": {
                "title": self.operation.summary,
                "readOnlyHint": hints.read_only,
                "destructiveHint": hints.destructive,
                "idempotentHint": hints.idempotent,
                // The data is that of one clinic.
                "openWorldHint": false,
            },
        });
        if let Some(schema) = &self.output_schema {
            tool["outputSchema"] = schema.clone();
        }
        tool
    }
}

/// Requires all properties of a schema and lets those be null that were optional. Returns `false`
/// if the schema cannot be strict, because an object may have any fields.
fn require_all(schema: &mut Value) -> bool {
    let is_open = |schema: &Value| {
        let objects = super::schema::types(schema).contains(&"object");
        objects && schema["additionalProperties"] != false
    };
    if is_open(schema) || schema.as_object().is_some_and(|own| own.is_empty()) {
        return false;
    }
    let required = schema["required"].take();
    let required = required.as_array().cloned().unwrap_or_default();
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        for (name, property) in properties.iter_mut() {
            if !require_all(property) {
                return false;
            }
            if !required.contains(&name.as_str().into()) {
                accept_null(property);
            }
        }
        let names: Vec<_> = properties.keys().cloned().collect();
        schema["required"] = names.into();
    } else if let Some(own) = schema.as_object_mut() {
        own.remove("required");
    }
    let items = schema.get_mut("items").is_none_or(require_all);
    let alternatives = schema.get_mut("anyOf").and_then(Value::as_array_mut);
    items && alternatives.is_none_or(|schemas| schemas.iter_mut().all(require_all))
}
