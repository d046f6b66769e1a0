//! Annotations of a schema, which do not change the values that it allows.

use serde_json::Value;

/// The annotation keywords.
pub(super) const ANNOTATIONS: [&str; 8] = [
    "default",
    "deprecated",
    "description",
    "example",
    "examples",
    "title",
    "x-note",
    "x-source",
];

/// Removes annotations from a schema and its subschemas.
pub(super) fn without_annotations(schema: &Value) -> Value {
    match schema {
        Value::Object(object) => {
            let kept = object.iter().filter_map(|(key, value)| {
                if ANNOTATIONS.contains(&key.as_str()) {
                    return None;
                }
                let value = match (key.as_str(), value) {
                    // A field may have the name of a keyword.
                    ("properties", Value::Object(fields)) => Value::Object(
                        fields
                            .iter()
                            .map(|(name, field)| (name.clone(), without_annotations(field)))
                            .collect(),
                    ),
                    ("required" | "enum", Value::Array(names)) => sorted(names),
                    _ => without_annotations(value),
                };
                Some((key.clone(), value))
            });
            Value::Object(kept.collect())
        }
        Value::Array(list) => list.iter().map(without_annotations).collect(),
        other => other.clone(),
    }
}

fn sorted(names: &[Value]) -> Value {
    let mut names = names.to_vec();
    names.sort_by_key(ToString::to_string);
    Value::Array(names)
}
