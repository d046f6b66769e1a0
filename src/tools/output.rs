//! Makes a result conform to the schema of its tool, as decoding makes it conform to its model.

use serde_json::{Number, Value};

use super::arguments::is_of_type;
use super::schema::types;

/// Converts scalars that are sent as another type, and replaces other values that do not conform by
/// null.
pub(super) fn conform(value: &mut Value, schema: &Value) {
    let types = types(schema);
    if !types.is_empty() && !types.iter().any(|name| is_of_type(value, name)) {
        *value = converted(value, &types).unwrap_or_default();
    }
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                conform(value, &schema["properties"][name.as_str()]);
            }
        }
        Value::Array(values) => {
            let values = values.iter_mut();
            values.for_each(|value| conform(value, &schema["items"]));
        }
        _ => {}
    }
}

fn converted(value: &Value, types: &[&str]) -> Option<Value> {
    let number = |text: &str| text.trim().parse::<Number>().ok().map(Value::Number);
    types.iter().find_map(|name| {
        let converted = match (*name, value) {
            ("string", Value::Number(_) | Value::Bool(_)) => Some(value.to_string().into()),
            ("integer" | "number", Value::String(text)) => number(text),
            ("boolean", Value::String(text)) => match text.as_str() {
                "true" | "1" => Some(true.into()),
                "false" | "0" => Some(false.into()),
                _ => None,
            },
            ("boolean", Value::Number(number)) => match number.as_i64()? {
                0 => Some(false.into()),
                1 => Some(true.into()),
                _ => None,
            },
            _ => None,
        };
        converted.filter(|value| is_of_type(value, name))
    })
}
