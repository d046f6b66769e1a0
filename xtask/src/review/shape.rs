//! A schema as a server sees it: what is only said, and the names that we
//! give to texts, left out.

use serde_json::{Map, Value, json};

use super::renames::Renames;
use super::said::SAID;
use crate::normalize::referenced;

/// What values a schema allows.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Shape {
    /// The schema without what is said, `null` and names of ours.
    pub(super) values: Value,
    /// Whether `null` is allowed too.
    pub(super) nullable: bool,
    /// The same in words: `list of Patient`.
    pub(super) text: String,
}

/// Reads schemas of one document.
pub(super) struct Shapes<'d> {
    pub(super) document: &'d Value,
    /// The names that types have in the other document, if this is the old one.
    pub(super) renames: Option<&'d Renames>,
}

impl Shapes<'_> {
    /// The shape of a schema that stands at a field, a parameter or an answer.
    pub(super) fn of(&self, schema: &Value) -> Shape {
        let nullable = schema["nullable"] == true;
        let of_one = schema["allOf"].as_array().filter(|parts| parts.len() == 1);
        if let Some(parts) = of_one {
            let inner = self.of(&parts[0]);
            return Shape {
                nullable: nullable || inner.nullable,
                ..inner
            };
        }
        let (values, text) = self.plain(schema);
        let text = if nullable {
            format!("{text} or null")
        } else {
            text
        };
        Shape {
            values,
            nullable,
            text,
        }
    }

    fn plain(&self, schema: &Value) -> (Value, String) {
        if let Some(name) = referenced(schema) {
            let target = &self.document["components"]["schemas"][name];
            // Ids are a text to the server; their types are ours.
            if target["x-id"].is_string() {
                return (json!({"type": "string"}), "string".into());
            }
            let name = self.renames.map_or(name, |renames| renames.new_name(name));
            return (json!({"$ref": name}), format!("`{name}`"));
        }
        if schema["type"] == "array" {
            let items = self.of(&schema["items"]);
            let values = json!({"list": items.values, "null": items.nullable});
            return (values, format!("list of {}", items.text));
        }
        let mut rest = Map::new();
        for (key, value) in schema.as_object().into_iter().flatten() {
            match key.as_str() {
                said if SAID.contains(&said) => {}
                // The kind of an id is ours; the rest is compared field by field.
                "nullable" | "required" | "x-id" => {}
                // Fields are compared one by one.
                "properties" => {}
                "additionalProperties" if value.is_object() => {
                    let inner = self.of(value);
                    rest.insert(key.clone(), json!([inner.values, inner.nullable]));
                }
                _ => {
                    rest.insert(key.clone(), value.clone());
                }
            }
        }
        let text = match (schema["type"].as_str(), schema["format"].as_str()) {
            (Some("object"), _) if schema["additionalProperties"].is_object() => {
                format!("map of {}", self.of(&schema["additionalProperties"]).text)
            }
            (Some(name), Some(format)) => format!("{name} ({format})"),
            (Some(name), None) => name.to_string(),
            (None, _) => "any JSON".to_string(),
        };
        (Value::Object(rest), text)
    }
}
