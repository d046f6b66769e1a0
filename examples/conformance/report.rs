//! What a response shows, without its values.

use std::collections::{BTreeMap, BTreeSet};

use fullscript::operations::Operation;
use fullscript::reqwest::header::HeaderMap;
use serde_json::{Map, Value, json};

/// The document that the crate was generated from.
pub(crate) fn document() -> Value {
    serde_json::from_str(include_str!("../../spec/openapi.normalized.json")).unwrap()
}

/// The facts about one operation.
#[derive(Default)]
pub(crate) struct Facts {
    pub(crate) status: Option<u16>,
    /// Why the operation was not called.
    pub(crate) skipped: Option<&'static str>,
    pub(crate) drift: BTreeSet<String>,
    pub(crate) headers: BTreeSet<String>,
    pub(crate) rate_limit: BTreeMap<String, String>,
    pub(crate) paging: Vec<&'static str>,
    /// The form of an error, by status.
    pub(crate) errors: BTreeMap<u16, String>,
    /// The paths of the declared fields, and whether a value came.
    fields: BTreeMap<String, bool>,
}

impl Facts {
    /// Notes the headers of a response.
    pub(crate) fn note_headers(&mut self, headers: &HeaderMap) {
        for (name, value) in headers {
            self.headers.insert(name.to_string());
            let is_limit = name.as_str().contains("ratelimit") || name == "retry-after";
            // A limit is a number, and nothing else is shown.
            let number = value.to_str().ok().filter(|value| {
                value.len() <= 10 && value.bytes().all(|byte| byte.is_ascii_digit())
            });
            if let (true, Some(number)) = (is_limit, number) {
                self.rate_limit.insert(name.to_string(), number.into());
            }
        }
    }

    /// Notes which of the declared fields have a value in a body.
    pub(crate) fn note_fields(&mut self, document: &Value, operation: &Operation, body: &Value) {
        let method = operation.method.to_lowercase();
        let responses = &document["paths"][operation.path][method]["responses"];
        let responses = responses.as_object().into_iter().flatten();
        let mut success = responses.filter(|(status, _)| status.starts_with('2'));
        if let Some((_, answer)) = success.next() {
            let schema = &answer["content"]["application/json"]["schema"];
            self.walk(document, schema, body, "");
        }
    }

    fn walk(&mut self, document: &Value, schema: &Value, value: &Value, path: &str) {
        let schema = resolved(document, schema);
        match value {
            Value::Object(fields) => {
                let declared = schema["properties"].as_object().into_iter().flatten();
                for (name, schema) in declared {
                    let dot = if path.is_empty() { "" } else { "." };
                    let place = format!("{path}{dot}{name}");
                    let found = fields.get(name).filter(|found| !found.is_null());
                    *self.fields.entry(place.clone()).or_default() |= found.is_some();
                    if let Some(found) = found {
                        self.walk(document, schema, found, &place);
                    }
                }
            }
            Value::Array(elements) => {
                for element in elements {
                    self.walk(document, &schema["items"], element, &format!("{path}[]"));
                }
            }
            _ => {}
        }
    }

    pub(crate) fn into_json(self) -> Value {
        let never_came = self.fields.into_iter().filter(|(_, came)| !came);
        let never_came: Vec<String> = never_came.map(|(path, _)| path).collect();
        let errors: Map<String, Value> = self
            .errors
            .into_iter()
            .map(|(status, form)| (status.to_string(), form.into()))
            .collect();
        json!({
            "status": self.status,
            "skipped": self.skipped,
            "drift": self.drift,
            "never_came": never_came,
            "headers": self.headers,
            "rate_limit": self.rate_limit,
            "paging": self.paging,
            "errors": errors,
        })
    }
}

fn resolved<'d>(document: &'d Value, schema: &'d Value) -> &'d Value {
    let only = schema["allOf"].as_array().and_then(|all| all.first());
    let reference = schema.get("$ref").or_else(|| only?.get("$ref"));
    let pointer = reference
        .and_then(Value::as_str)
        .and_then(|at| at.strip_prefix('#'));
    match pointer.and_then(|pointer| document.pointer(pointer)) {
        Some(found) => resolved(document, found),
        None => schema,
    }
}

/// Returns the form of the body of an error: its keys, as far as they are known ones, with the types
/// of their values.
pub(crate) fn form(body: &[u8]) -> String {
    /// Keys of errors that servers are known to send. Others may be names of the caller's data.
    const KNOWN: [&str; 11] = [
        "code",
        "detail",
        "details",
        "error",
        "error_description",
        "errors",
        "message",
        "messages",
        "request_id",
        "status",
        "title",
    ];
    match serde_json::from_slice(body) {
        Ok(value) => form_of(&value, &KNOWN),
        Err(_) if body.is_empty() => "no body".into(),
        Err(_) => "no JSON".into(),
    }
}

fn form_of(value: &Value, known: &[&str]) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Bool(_) => "a boolean".into(),
        Value::Number(_) => "a number".into(),
        Value::String(_) => "text".into(),
        Value::Array(elements) => {
            let forms: BTreeSet<String> = elements.iter().map(|it| form_of(it, known)).collect();
            format!("[{}]", forms.into_iter().collect::<Vec<_>>().join(" | "))
        }
        Value::Object(fields) => {
            let fields: BTreeSet<String> = fields
                .iter()
                .map(|(name, value)| {
                    let name = if known.contains(&&**name) { name } else { "*" };
                    format!("{name}: {}", form_of(value, known))
                })
                .collect();
            format!("{{{}}}", fields.into_iter().collect::<Vec<_>>().join(", "))
        }
    }
}

/// Returns a path without its indexes: `patients[].id`.
pub(crate) fn without_indexes(text: &str) -> String {
    let mut parts = text.split('[');
    let first = parts.next().unwrap_or_default().to_string();
    parts.fold(first, |shown, part| {
        shown + "[" + part.trim_start_matches(|c: char| c.is_ascii_digit())
    })
}

/// Returns the report as lines, one fact each: `get_patient: never came: patient.archived`.
pub(crate) fn lines(report: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    for (operation, facts) in report["operations"].as_object().into_iter().flatten() {
        let mut add = |text: String| lines.push(format!("{operation}: {text}"));
        if let Some(status) = facts["status"].as_u64() {
            add(format!("status: {status}"));
        }
        if let Some(reason) = facts["skipped"].as_str() {
            add(format!("skipped: {reason}"));
        }
        for (key, title) in [
            ("drift", ""),
            ("never_came", "never came: "),
            ("headers", "header: "),
            ("paging", "paging: "),
        ] {
            let texts = facts[key].as_array().into_iter().flatten();
            for text in texts.filter_map(Value::as_str) {
                add(format!("{title}{text}"));
            }
        }
        for (key, title) in [("rate_limit", "rate limit"), ("errors", "error")] {
            for (name, value) in facts[key].as_object().into_iter().flatten() {
                let value = value.as_str().unwrap_or_default();
                add(format!("{title}: {name}: {value}"));
            }
        }
    }
    lines
}
