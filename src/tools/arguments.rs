//! Validation of the arguments of a call. No message contains a value, or a name that is unknown.

use chrono::{DateTime, NaiveDate};
use serde_json::Value;

use super::schema::types;

/// An argument of a tool, and where it is sent.
#[derive(Clone, Debug)]
pub(super) struct Argument {
    pub(super) name: String,
    pub(super) wire_name: String,
    pub(super) place: Place,
}

/// The part of a request that an argument is sent in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Path,
    Query,
    Body,
}

/// The number of faults that a message lists.
const MAX_FAULTS: usize = 8;

/// Removes each null that stands for an optional field that is not given.
pub(super) fn drop_nulls(value: &mut Value, schema: &Value) {
    match value {
        Value::Object(fields) => {
            let required = schema["required"].as_array();
            let is_required = |name: &str| {
                required.is_some_and(|names| names.iter().any(|required| required == name))
            };
            let properties = &schema["properties"];
            fields.retain(|name, value| {
                let is_optional = properties.get(name).is_some() && !is_required(name);
                !(value.is_null() && is_optional)
            });
            for (name, value) in fields {
                drop_nulls(value, &properties[name.as_str()]);
            }
        }
        Value::Array(values) => {
            let items = values.iter_mut();
            items.for_each(|value| drop_nulls(value, &schema["items"]));
        }
        _ => {}
    }
}

/// Returns the faults of the arguments of a tool, as one text.
pub(super) fn check(arguments: &Value, schema: &Value) -> Result<(), String> {
    let mut faults = Faults::default();
    faults.find("", arguments, schema);
    let Faults(mut found) = faults;
    let more = found.len().saturating_sub(MAX_FAULTS);
    found.truncate(MAX_FAULTS);
    if more > 0 {
        found.push(format!("{more} more faults"));
    }
    if found.is_empty() {
        Ok(())
    } else {
        Err(found.join("; "))
    }
}

#[derive(Default)]
struct Faults(Vec<String>);

impl Faults {
    /// Adds the faults of a value at a path such as `body.recommendations[0]`.
    fn find(&mut self, path: &str, value: &Value, schema: &Value) {
        let alternatives = schema["anyOf"].as_array();
        let is_alternative = |schema: &Value| check(value, schema).is_ok();
        if alternatives.is_some_and(|schemas| !schemas.iter().any(is_alternative)) {
            self.add(path, "matches none of the alternatives of its schema");
        }
        let types = types(schema);
        if !types.is_empty() && !types.iter().any(|name| is_of_type(value, name)) {
            let names: Vec<_> = types.into_iter().map(with_article).collect();
            return self.add(path, &format!("must be {}", names.join(" or ")));
        }
        if let Some(values) = schema["enum"].as_array()
            && !values.contains(value)
        {
            let names: Vec<_> = values.iter().filter_map(Value::as_str).collect();
            return self.add(path, &format!("must be one of {}", names.join(", ")));
        }
        match value {
            Value::String(text) => match schema["format"].as_str() {
                Some("date") if !is_date(text) => {
                    self.add(path, "must be a date such as 1977-01-12");
                }
                Some("date-time") if DateTime::parse_from_rfc3339(text).is_err() => {
                    self.add(path, "must be a time such as 2026-01-31T12:00:00Z");
                }
                _ => {}
            },
            Value::Array(values) => {
                for (index, value) in values.iter().enumerate() {
                    self.find(&format!("{path}[{index}]"), value, &schema["items"]);
                }
            }
            Value::Object(_) => self.find_in_fields(path, value, schema),
            _ => {}
        }
    }

    fn find_in_fields(&mut self, path: &str, value: &Value, schema: &Value) {
        let at = |name: &str| match path {
            "" => name.to_string(),
            path => format!("{path}.{name}"),
        };
        let required = schema["required"].as_array().into_iter().flatten();
        for name in required.filter_map(Value::as_str) {
            if value.get(name).is_none() {
                self.add(&at(name), "is missing");
            }
        }
        let properties = schema["properties"].as_object();
        let mut has_unknown = false;
        for (name, value) in value.as_object().into_iter().flatten() {
            if let Some(schema) = properties.and_then(|known| known.get(name)) {
                self.find(&at(name), value, schema);
            } else if schema["additionalProperties"] == false {
                has_unknown = true;
            } else if schema["additionalProperties"].is_object() {
                // The name is not one of the schema, so that it is not shown.
                self.find(&at("*"), value, &schema["additionalProperties"]);
            }
        }
        if has_unknown {
            let known = properties.into_iter().flatten().map(|(name, _)| &**name);
            let known: Vec<_> = known.collect();
            let has = if known.is_empty() {
                "accepts no field".into()
            } else {
                format!(
                    "has a field that is unknown; its fields: {}",
                    known.join(", ")
                )
            };
            self.add(path, &has);
        }
    }

    fn add(&mut self, path: &str, fault: &str) {
        self.0.push(match path {
            "" => format!("the object of arguments {fault}"),
            path => format!("`{path}` {fault}"),
        });
    }
}

/// Returns whether a value is of a type of JSON Schema, where `1.0` is an integer.
pub(super) fn is_of_type(value: &Value, name: &str) -> bool {
    match value {
        Value::Null => name == "null",
        Value::Bool(_) => name == "boolean",
        Value::Number(number) => {
            let is_whole = || {
                number.is_i64()
                    || number.is_u64()
                    || number.as_f64().is_some_and(|it| it.fract() == 0.0)
            };
            name == "number" || name == "integer" && is_whole()
        }
        Value::String(_) => name == "string",
        Value::Array(_) => name == "array",
        Value::Object(_) => name == "object",
    }
}

fn is_date(text: &str) -> bool {
    text.len() == "1977-01-12".len() && NaiveDate::parse_from_str(text, "%Y-%m-%d").is_ok()
}

fn with_article(name: &str) -> &str {
    match name {
        "boolean" => "true or false",
        "integer" => "an integer",
        "number" => "a number",
        "string" => "a string",
        "array" => "an array",
        "object" => "an object",
        other => other,
    }
}
