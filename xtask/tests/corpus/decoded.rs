//! What a generated client keeps of recorded responses, found without compiling it: a value is
//! decoded and encoded by its normalized schema as the generated code would.

use std::fmt;

use serde_json::{Map, Value};
use xtask::normalize::operations;

/// The number of recorded responses by what becomes of them.
#[derive(Default)]
pub(crate) struct Counts {
    whole: usize,
    lost: usize,
    failed: usize,
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "examples: {} whole, {} lost something, {} failed",
            self.whole, self.lost, self.failed
        )
    }
}

impl Counts {
    pub(crate) fn add(&mut self, other: &Self) {
        self.whole += other.whole;
        self.lost += other.lost;
        self.failed += other.failed;
    }

    /// Decodes the recorded responses of a normalized document.
    pub(crate) fn of(document: &Value) -> Self {
        let mut counts = Self::default();
        let schemas = &document["components"]["schemas"];
        for (_, _, operation) in operations(document) {
            let responses = operation["responses"].as_object().into_iter().flatten();
            for (_, response) in responses.filter(|(status, _)| status.starts_with('2')) {
                let media = &response["content"]["application/json"];
                let many = media["examples"].as_object().into_iter().flatten();
                let many = many.filter_map(|(_, example)| example.get("value"));
                for example in media.get("example").into_iter().chain(many) {
                    match decoded(&media["schema"], example, schemas) {
                        Some(true) => counts.whole += 1,
                        Some(false) => counts.lost += 1,
                        None => counts.failed += 1,
                    }
                }
            }
        }
        counts
    }
}

/// Returns whether the decoded value has everything; `None` if nothing can be decoded.
fn decoded(schema: &Value, value: &Value, schemas: &Value) -> Option<bool> {
    let part = schema["allOf"].as_array().and_then(|parts| parts.first());
    let reference = part.unwrap_or(schema)["$ref"].as_str();
    if let Some(name) = reference.and_then(|own| own.strip_prefix("#/components/schemas/")) {
        return decoded(&schemas[name], value, schemas);
    }
    if schema["x-value"].is_string() {
        return (!value.is_array() && !value.is_object()).then_some(true);
    }
    match schema["type"].as_str() {
        None => Some(true),
        Some("object") => object(schema, value.as_object()?, schemas),
        Some("array") => {
            let items = value.as_array()?.iter();
            let kept = items.map(|item| member(&schema["items"], item, schemas));
            Some(kept.fold(true, |all, kept| all & kept))
        }
        Some("integer") => {
            let text = value
                .as_str()
                .and_then(|text| text.trim().parse::<i64>().ok());
            let whole = value
                .as_f64()
                .is_some_and(|own| own.fract() == 0.0 && own.abs() < 9e18);
            (value.is_i64() || whole || text.is_some()).then_some(true)
        }
        Some("boolean") => {
            let word = value.as_str().map(str::to_lowercase);
            let known = [
                "true", "false", "yes", "no", "t", "f", "on", "off", "0", "1", "",
            ];
            let is_word = word.is_some_and(|word| known.contains(&word.as_str()));
            (value.is_boolean() || is_word || value.is_u64()).then_some(true)
        }
        Some(_) => (!value.is_array() && !value.is_object() && !value.is_null()).then_some(true),
    }
}

fn object(schema: &Value, value: &Map<String, Value>, schemas: &Value) -> Option<bool> {
    let others = &schema["additionalProperties"];
    let Some(fields) = schema["properties"].as_object() else {
        let kept = value
            .values()
            .map(|own| !others.is_object() || member(others, own, schemas));
        return Some(kept.fold(true, |all, kept| all & kept));
    };
    let required = schema["required"].as_array().into_iter().flatten();
    for name in required.filter_map(Value::as_str) {
        let nullable = fields[name]["nullable"] == true;
        match value.get(name) {
            None => return None,
            Some(Value::Null) if !nullable => return None,
            Some(_) => {}
        }
    }
    let kept = value.iter().map(|(name, value)| match fields.get(name) {
        Some(field) => member(field, value, schemas),
        None => others.is_object(),
    });
    Some(kept.fold(true, |all, kept| all & kept))
}

/// Returns whether a member of an object or a list is kept. Null equals absent.
fn member(schema: &Value, value: &Value, schemas: &Value) -> bool {
    value.is_null() || decoded(schema, value, schemas) == Some(true)
}
