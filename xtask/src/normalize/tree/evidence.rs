//! The schemas that the recorded examples imply.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use serde_json::{Map, Value, json};

use super::walk::{escape, operations, referenced_through};

/// The values of all examples at one place of a schema.
#[derive(Debug, Default)]
pub(crate) struct Seen<'e> {
    /// Values other than null, with the operation of the response.
    pub(crate) values: Vec<(&'e Value, &'e str)>,
    /// The responses that contain null.
    pub(crate) nulls: Vec<&'e str>,
    /// Fields that the schema does not declare.
    pub(crate) missing: BTreeMap<&'e str, Vec<(&'e Value, &'e str)>>,
}

/// A recorded response.
pub(crate) struct Recorded {
    /// The pointer of its schema.
    pointer: String,
    /// Its operation, for reports.
    place: String,
    value: Value,
}

/// Returns the examples of a body or a response: `example` and each of `examples`.
pub(crate) fn examples(media: &Value) -> impl Iterator<Item = &Value> {
    let many = media["examples"].as_object().into_iter().flatten();
    let many = many.filter_map(|(_, example)| example.get("value"));
    media.get("example").into_iter().chain(many)
}

/// Returns all recorded responses.
pub(crate) fn recorded(document: &Value) -> Vec<Recorded> {
    let mut recorded = Vec::new();
    for (path, method, operation) in operations(document) {
        for (status, response) in operation["responses"].as_object().into_iter().flatten() {
            for (name, media) in response["content"].as_object().into_iter().flatten() {
                recorded.extend(examples(media).map(|example| Recorded {
                    pointer: format!(
                        "/paths/{}/{method}/responses/{status}/content/{}/schema",
                        escape(path),
                        escape(name),
                    ),
                    place: format!("{} {path} {status}", method.to_uppercase()),
                    value: example.clone(),
                }));
            }
        }
    }
    recorded
}

/// Collects the values of the recorded responses, by the pointer of their schema.
pub(crate) fn gather<'e>(document: &Value, recorded: &'e [Recorded]) -> BTreeMap<String, Seen<'e>> {
    let mut gathered = Gathered {
        schemas: &document["components"]["schemas"],
        seen: HashMap::new(),
    };
    for Recorded {
        pointer,
        place,
        value,
    } in recorded
    {
        if let Some(schema) = document.pointer(pointer) {
            let root = Steps {
                outer: None,
                step: Cow::Borrowed(pointer),
            };
            gathered.visit(&root, schema, value, place);
        }
    }
    gathered.seen.into_values().collect()
}

/// A pointer, as its last step and the steps before it.
struct Steps<'s> {
    outer: Option<&'s Steps<'s>>,
    step: Cow<'s, str>,
}

impl Steps<'_> {
    fn pointer(&self) -> String {
        let outer = self.outer.map(Steps::pointer).unwrap_or_default();
        outer + &self.step
    }
}

struct Gathered<'d, 'e> {
    schemas: &'d Value,
    /// The pointer and the values of each schema, by the address of the schema: pointers are made
    /// once, because examples have far more values than documents have schemas.
    seen: HashMap<*const Value, (String, Seen<'e>)>,
}

impl<'d, 'e> Gathered<'d, 'e> {
    fn visit(&mut self, steps: &Steps<'_>, schema: &'d Value, value: &'e Value, place: &'e str) {
        if value.is_null() {
            self.at(steps, schema).nulls.push(place);
            return;
        }
        if let Some(name) = referenced_through(schema) {
            let Some(target) = self.schemas.get(name) else {
                return;
            };
            if target["type"] == "object" && !value.is_object() {
                self.at(steps, schema).values.push((value, place));
                return;
            }
            let steps = Steps {
                outer: None,
                step: Cow::Owned(format!("/components/schemas/{name}")),
            };
            return self.visit(&steps, target, value, place);
        }
        self.at(steps, schema).values.push((value, place));
        match (value, schema["type"].as_str()) {
            (Value::Object(fields), Some("object")) => {
                let properties = schema["properties"].as_object();
                for (name, field) in fields {
                    match properties.and_then(|properties| properties.get(name)) {
                        Some(property) => {
                            let steps = Steps {
                                outer: Some(steps),
                                step: Cow::Owned(format!("/properties/{}", escape(name))),
                            };
                            self.visit(&steps, property, field, place);
                        }
                        None => {
                            let missing = &mut self.at(steps, schema).missing;
                            missing.entry(name).or_default().push((field, place));
                        }
                    }
                }
            }
            (Value::Array(items), Some("array")) => {
                let Some(schema) = schema.get("items") else {
                    return;
                };
                let steps = Steps {
                    outer: Some(steps),
                    step: Cow::Borrowed("/items"),
                };
                for item in items {
                    self.visit(&steps, schema, item, place);
                }
            }
            _ => {}
        }
    }

    fn at(&mut self, steps: &Steps<'_>, schema: &'d Value) -> &mut Seen<'e> {
        let known = self.seen.entry(std::ptr::from_ref(schema));
        let (_, seen) = known.or_insert_with(|| (steps.pointer(), Seen::default()));
        seen
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
        _ if values.iter().all(|value| is_decimal(value)) => {
            json!({"type": "string", "format": "decimal"})
        }
        _ if values.iter().all(|value| is_flag(value)) => {
            json!({"type": "string", "format": "boolean"})
        }
        // Text is decoded from each of them, so that nothing is lost.
        _ if all(&["string", "integer", "number", "boolean"]) => json!({"type": "string"}),
        _ => json!({}),
    }
}

/// Returns whether a value is a number, as a number or as text.
fn is_decimal(value: &Value) -> bool {
    let is_number = |text: &str| text.trim().parse::<f64>().is_ok_and(f64::is_finite);
    value.is_number() || value.as_str().is_some_and(is_number)
}

/// Returns whether a value is true or false in any of the forms that a flag is decoded from.
pub(crate) fn is_flag(value: &Value) -> bool {
    const WORDS: [&str; 12] = [
        "true", "false", "t", "f", "yes", "no", "y", "n", "on", "off", "1", "0",
    ];
    match value {
        Value::Bool(_) => true,
        Value::Number(number) => matches!(number.as_i64(), Some(0 | 1)),
        Value::String(text) => WORDS.contains(&text.trim().to_lowercase().as_str()),
        _ => false,
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
        // A field of type integer has 64 bits with a sign.
        Value::Number(number) if !number.is_i64() => "number",
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
        let flag = json!({"type": "string", "format": "boolean"});
        assert_eq!(infer(&[json!("true"), json!(0), json!(false)]), flag);
        // A value that is neither a number nor a flag would be lost.
        for mixed in [
            [json!("a7f3"), json!(7)],
            [json!(true), json!(7)],
            [json!("x"), json!(true)],
        ] {
            assert_eq!(infer(&mixed), json!({"type": "string"}));
        }
    }
}
