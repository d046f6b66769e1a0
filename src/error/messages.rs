//! Extracts the vendor's messages from an error body.

use serde_json::Value;

/// Collects every text in a value of any shape.
///
/// A text inside a field is prefixed with the name of the field: `{"email": ["is taken"]}` gives
/// `email: is taken`.
pub(super) fn collect(value: &Value, field: Option<&str>, messages: &mut Vec<String>) {
    match value {
        Value::String(text) => match serde_json::from_str::<Value>(text) {
            Ok(list @ Value::Array(_)) => collect(&list, field, messages),
            _ => messages.push(match field {
                Some(field) => format!("{field}: {text}"),
                None => text.clone(),
            }),
        },
        Value::Array(list) => list
            .iter()
            .for_each(|value| collect(value, field, messages)),
        Value::Object(fields) => match fields.get("message") {
            Some(message) => collect(message, field, messages),
            None => fields
                .iter()
                .for_each(|(field, value)| collect(value, Some(field), messages)),
        },
        _ => {}
    }
}
