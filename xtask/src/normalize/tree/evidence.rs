//! The schemas that the recorded examples imply.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::walk::{escape, operations, referenced_through};

/// The values of all examples at one place of a schema.
#[derive(Debug, Default)]
pub(crate) struct Seen<'d> {
    /// Values other than null, with the operation of the response.
    pub(crate) values: Vec<(&'d Value, String)>,
    /// The responses that contain null.
    pub(crate) nulls: Vec<String>,
    /// Fields that the schema does not declare.
    pub(crate) missing: BTreeMap<&'d str, Vec<(&'d Value, String)>>,
}

/// Returns the examples of a body or a response: `example` and each of `examples`.
pub(crate) fn examples(media: &Value) -> impl Iterator<Item = &Value> {
    let many = media["examples"].as_object().into_iter().flatten();
    let many = many.filter_map(|(_, example)| example.get("value"));
    media.get("example").into_iter().chain(many)
}

/// Collects the values of all recorded responses, by the pointer of their schema.
pub(crate) fn gather(document: &Value) -> BTreeMap<String, Seen<'_>> {
    let mut gathered = Gathered {
        document,
        seen: BTreeMap::new(),
    };
    for (path, method, operation) in operations(document) {
        for (status, response) in operation["responses"].as_object().into_iter().flatten() {
            for (name, media) in response["content"].as_object().into_iter().flatten() {
                let pointer = format!(
                    "/paths/{}/{method}/responses/{status}/content/{}/schema",
                    escape(path),
                    escape(name),
                );
                for example in examples(media) {
                    let place = format!("{} {path} {status}", method.to_uppercase());
                    gathered.visit(&pointer, &media["schema"], example, &place);
                }
            }
        }
    }
    gathered.seen
}

struct Gathered<'d> {
    document: &'d Value,
    seen: BTreeMap<String, Seen<'d>>,
}

impl<'d> Gathered<'d> {
    fn visit(&mut self, pointer: &str, schema: &'d Value, value: &'d Value, place: &str) {
        if value.is_null() {
            self.at(pointer).nulls.push(place.into());
            return;
        }
        if let Some(name) = referenced_through(schema) {
            let target = &self.document["components"]["schemas"][name];
            if target["type"] == "object" && !value.is_object() {
                self.at(pointer).values.push((value, place.into()));
                return;
            }
            return self.visit(&format!("/components/schemas/{name}"), target, value, place);
        }
        self.at(pointer).values.push((value, place.into()));
        match (value, schema["type"].as_str()) {
            (Value::Object(fields), Some("object")) => {
                let properties = schema["properties"].as_object();
                for (name, field) in fields {
                    match properties.and_then(|properties| properties.get(name)) {
                        Some(property) => {
                            let pointer = format!("{pointer}/properties/{}", escape(name));
                            self.visit(&pointer, property, field, place);
                        }
                        None => {
                            let missing = &mut self.at(pointer).missing;
                            missing.entry(name).or_default().push((field, place.into()));
                        }
                    }
                }
            }
            (Value::Array(items), Some("array")) => {
                for item in items {
                    self.visit(&format!("{pointer}/items"), &schema["items"], item, place);
                }
            }
            _ => {}
        }
    }

    fn at(&mut self, pointer: &str) -> &mut Seen<'d> {
        self.seen.entry(pointer.into()).or_default()
    }
}

/// Returns the narrowest schema that all values match.
pub(crate) fn infer(values: &[&Value]) -> Value {
    let present: Vec<&Value> = values
        .iter()
        .copied()
        .filter(|value| !value.is_null())
        .collect();
    let mut schema = infer_present(&present);
    if present.len() < values.len() {
        schema["nullable"] = json!(true);
    }
    schema
}

fn infer_present(values: &[&Value]) -> Value {
    let Some(first) = values.first() else {
        return json!({});
    };
    let all = |allowed: &[&str]| values.iter().all(|value| allowed.contains(&kind(value)));
    match kind(first) {
        "object" if all(&["object"]) => infer_object(values),
        "array" if all(&["array"]) => {
            let items: Vec<&Value> = values
                .iter()
                .flat_map(|list| list.as_array())
                .flatten()
                .collect();
            json!({"type": "array", "items": infer(&items)})
        }
        "integer" | "number" if all(&["integer", "number"]) => {
            json!({"type": if all(&["integer"]) { "integer" } else { "number" }})
        }
        name if all(&[name]) => json!({ "type": name }),
        _ if all(&["string", "integer", "number"]) => {
            json!({"type": "string", "format": "decimal"})
        }
        _ if all(&["string", "integer", "boolean"]) => {
            json!({"type": "string", "format": "boolean"})
        }
        _ => json!({}),
    }
}

fn infer_object(values: &[&Value]) -> Value {
    let mut fields: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    for (name, value) in values.iter().flat_map(|value| value.as_object()).flatten() {
        fields.entry(name).or_default().push(value);
    }
    if fields.is_empty() {
        return json!({"type": "object", "additionalProperties": true});
    }
    let properties: Map<String, Value> = fields
        .into_iter()
        .map(|(name, values)| (name.to_string(), infer(&values)))
        .collect();
    json!({"type": "object", "properties": properties})
}

/// Returns the JSON Schema type of a value; integers are distinguished from numbers.
pub(crate) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inference_chooses_the_narrowest_type() {
        let infer = |values: &[Value]| super::infer(&values.iter().collect::<Vec<_>>());
        assert_eq!(
            infer(&[json!(1), json!(null)]),
            json!({"type": "integer", "nullable": true})
        );
        assert_eq!(infer(&[json!(1), json!(1.5)]), json!({"type": "number"}));
        assert_eq!(
            infer(&[json!("1"), json!(1)]),
            json!({"type": "string", "format": "decimal"})
        );
        assert_eq!(
            infer(&[json!([]), json!(["a"])]),
            json!({"type": "array", "items": {"type": "string"}})
        );
        assert_eq!(
            infer(&[json!({"a": 1}), json!({"b": {}})]),
            json!({"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "object", "additionalProperties": true}}}),
        );
        assert_eq!(infer(&[json!([]), json!(1)]), json!({}));
    }
}
