//! A schema as the server sees it, without annotations and without the names of string types.

use serde_json::{Map, Value, json};

use super::annotations::ANNOTATIONS;
use super::renames::Renames;
use crate::normalize::referenced;

/// The values that a schema allows.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Shape {
    /// The schema without annotations, `null` and names of string types.
    pub(super) values: Value,
    /// Whether `null` is allowed.
    pub(super) nullable: bool,
    /// The shape in words: `list of Patient`.
    pub(super) text: String,
}

/// Returns shapes of the schemas of one document.
pub(super) struct Shapes<'d> {
    pub(super) document: &'d Value,
    /// The names of types in the other document, if this is the old one.
    pub(super) renames: Option<&'d Renames>,
}

impl Shapes<'_> {
    /// Returns the shape of the schema of a field, a parameter or a response.
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
            // Ids are strings for the server. Their types exist only in Rust.
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
                annotated if ANNOTATIONS.contains(&annotated) => {}
                // The type of an id exists only in Rust. The rest is compared field by field.
                "nullable" | "required" | "x-id" => {}
                // Fields are compared individually.
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
