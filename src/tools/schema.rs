//! JSON Schemas (2020-12) from the schemas of the document (OpenAPI 3.0), without references.

use serde_json::{Map, Value, json};

/// The schemas of the document by name.
#[derive(Clone, Copy)]
pub(super) struct Schemas<'d>(&'d Value);

/// What a schema is for.
#[derive(Clone, Copy, PartialEq)]
enum Purpose {
    /// Arguments have known values and known fields only.
    Arguments,
    /// Results may have new values and new fields, and any field may be absent or null.
    Results,
}

impl<'d> Schemas<'d> {
    pub(super) fn new(by_name: &'d Value) -> Self {
        Self(by_name)
    }

    pub(super) fn of_arguments(self, schema: &'d Value) -> Value {
        self.convert(schema, Purpose::Arguments, &mut vec![])
    }

    pub(super) fn of_results(self, schema: &'d Value) -> Value {
        self.convert(schema, Purpose::Results, &mut vec![])
    }

    /// Returns whether a part of the document, or a schema that it refers to, has the format of a
    /// secret.
    pub(super) fn has_secret(self, part: &'d Value) -> bool {
        self.part_has_secret(part, &mut vec![])
    }

    fn part_has_secret(self, part: &'d Value, seen: &mut Vec<&'d str>) -> bool {
        match part {
            Value::Array(parts) => parts.iter().any(|part| self.part_has_secret(part, seen)),
            Value::Object(own) => {
                if own.get("format").is_some_and(|format| format == "password") {
                    return true;
                }
                if let Some((name, schema)) = self.referenced(part)
                    && !seen.contains(&name)
                {
                    seen.push(name);
                    return self.part_has_secret(schema, seen);
                }
                own.values().any(|part| self.part_has_secret(part, seen))
            }
            _ => false,
        }
    }

    fn referenced(self, schema: &'d Value) -> Option<(&'d str, &'d Value)> {
        let name = schema.get("$ref")?.as_str()?.rsplit('/').next()?;
        Some((name, self.0.get(name)?))
    }

    /// Converts a schema. `within` are the names of the schemas that contain it.
    fn convert(self, schema: &'d Value, purpose: Purpose, within: &mut Vec<&'d str>) -> Value {
        if let Some((name, schema)) = self.referenced(schema) {
            // A schema that contains itself is any value there: clients refuse recursion.
            if within.contains(&name) {
                return json!({});
            }
            within.push(name);
            let converted = self.convert(schema, purpose, within);
            within.pop();
            return converted;
        }
        let mut own = Map::new();
        for part in schema["allOf"].as_array().into_iter().flatten() {
            merge(&mut own, self.convert(part, purpose, within));
        }
        for keyword in ["type", "description"] {
            own.extend(
                schema
                    .get(keyword)
                    .map(|value| (keyword.into(), value.clone())),
            );
        }
        if let Some(values) = schema.get("enum") {
            match purpose {
                Purpose::Arguments => drop(own.insert("enum".into(), values.clone())),
                Purpose::Results => describe_values(&mut own, values),
            }
        }
        if let Some(format @ ("date" | "date-time")) = schema["format"].as_str()
            && purpose == Purpose::Arguments
        {
            own.insert("format".into(), format.into());
        }
        if let Some(items) = schema.get("items") {
            own.insert("items".into(), self.convert_part(items, purpose, within));
        }
        if let Some(alternatives) = schema["anyOf"].as_array() {
            let converted = alternatives.iter();
            let converted = converted.map(|schema| self.convert(schema, purpose, within));
            let converted = any_of(converted.collect());
            merge(&mut own, converted);
        }
        if let Some(properties) = schema["properties"].as_object() {
            let converted = properties.iter().map(|(name, schema)| {
                let schema = self.convert_part(schema, purpose, within);
                (name.clone(), schema)
            });
            merge(&mut own, json!({"properties": Map::from_iter(converted)}));
            if purpose == Purpose::Arguments {
                let required = schema.get("required").cloned();
                let required = required.unwrap_or_else(|| json!([]));
                merge(&mut own, json!({ "required": required }));
                own.insert("additionalProperties".into(), false.into());
            }
        }
        match schema.get("additionalProperties") {
            Some(Value::Object(_)) => {
                let values = &schema["additionalProperties"];
                let values = self.convert_part(values, purpose, within);
                own.insert("additionalProperties".into(), values);
            }
            Some(Value::Bool(true)) => drop(own.insert("additionalProperties".into(), true.into())),
            _ => {}
        }
        let mut own = Value::Object(own);
        if schema["nullable"] == true {
            accept_null(&mut own);
        }
        own
    }

    /// Converts the schema of a part of a value.
    fn convert_part(self, schema: &'d Value, purpose: Purpose, within: &mut Vec<&'d str>) -> Value {
        let mut converted = self.convert(schema, purpose, within);
        if purpose == Purpose::Results {
            accept_null(&mut converted);
        }
        converted
    }
}

/// Returns whether a schema is one of an object.
pub(super) fn is_object(schema: &Value) -> bool {
    schema["type"] == "object"
}

/// Returns the types that a schema allows, or none if it allows all.
pub(super) fn types(schema: &Value) -> Vec<&str> {
    match &schema["type"] {
        Value::String(name) => vec![name],
        Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
        _ => vec![],
    }
}

/// Makes a schema accept null, unless it accepts any value.
pub(super) fn accept_null(schema: &mut Value) {
    let mut names: Vec<Value> = types(schema).into_iter().map(Value::from).collect();
    if !names.is_empty() && !names.contains(&"null".into()) {
        names.push("null".into());
        schema["type"] = names.into();
        if let Some(values) = schema.get_mut("enum").and_then(Value::as_array_mut) {
            values.push(Value::Null);
        }
    }
    if let Some(alternatives) = schema.get_mut("anyOf").and_then(Value::as_array_mut) {
        let null = json!({"type": "null"});
        if !alternatives.contains(&null) {
            alternatives.push(null);
        }
    }
}

/// Returns a schema that accepts what one of the alternatives accepts.
fn any_of(alternatives: Vec<Value>) -> Value {
    let only_type = |schema: &Value| schema.as_object().is_some_and(|own| own.len() == 1);
    if alternatives
        .iter()
        .all(|schema| only_type(schema) && schema["type"].is_string())
    {
        let names: Vec<_> = alternatives.iter().map(|it| it["type"].clone()).collect();
        json!({ "type": names })
    } else {
        json!({ "anyOf": alternatives })
    }
}

fn describe_values(schema: &mut Map<String, Value>, values: &Value) {
    let values = values.as_array().into_iter().flatten();
    let values: Vec<_> = values.filter_map(Value::as_str).collect();
    let known = format!("Known values: {}.", values.join(", "));
    let text = match schema.get("description").and_then(Value::as_str) {
        Some(text) => format!("{text} {known}"),
        None => known,
    };
    schema.insert("description".into(), text.into());
}

/// Adds the keywords of another schema that must hold too.
fn merge(own: &mut Map<String, Value>, other: Value) {
    let Value::Object(other) = other else { return };
    for (keyword, value) in other {
        match (own.get_mut(&keyword), value) {
            (Some(Value::Object(own)), Value::Object(more)) => own.extend(more),
            (Some(Value::Array(own)), Value::Array(more)) if keyword == "required" => {
                own.extend(more);
            }
            (_, value) => drop(own.insert(keyword, value)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_that_contains_itself_is_any_value_there() {
        let by_name = json!({
            "Node": {"type": "object", "properties": {
                "id": {"type": "string", "nullable": true, "enum": ["a"]},
                "parent": {"$ref": "#/components/schemas/Node"},
                "children": {"type": "array", "items": {"$ref": "#/components/schemas/Node"}},
            }},
        });
        let schema = json!({"$ref": "#/components/schemas/Node"});
        let expected = json!({
            "type": "object",
            "properties": {
                "id": {"type": ["string", "null"], "enum": ["a", null]},
                "parent": {},
                "children": {"type": "array", "items": {}},
            },
            "required": [],
            "additionalProperties": false,
        });
        assert_eq!(Schemas::new(&by_name).of_arguments(&schema), expected);
        assert!(!Schemas::new(&by_name).has_secret(&schema));
    }

    #[test]
    fn parts_of_a_schema_are_merged_and_secrets_are_found_in_them() {
        let by_name = json!({
            "Base": {"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]},
            "Token": {"type": "object", "properties": {"t": {"type": "string", "format": "password"}}},
        });
        let base = json!({"$ref": "#/components/schemas/Base"});
        let schema = json!({
            "description": "own",
            "allOf": [base, {"properties": {"name": {"type": "string"}}, "required": ["name"]}],
        });
        let schemas = Schemas::new(&by_name);
        let expected = json!({
            "type": "object",
            "description": "own",
            "properties": {"id": {"type": "integer"}, "name": {"type": "string"}},
            "required": ["id", "name"],
            "additionalProperties": false,
        });
        assert_eq!(schemas.of_arguments(&schema), expected);
        let within = json!({"items": {"anyOf": [base, {"$ref": "#/components/schemas/Token"}]}});
        assert!(schemas.has_secret(&within) && !schemas.has_secret(&schema));
    }
}
