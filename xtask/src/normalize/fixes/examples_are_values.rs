//! The examples of JSON bodies are the values themselves, not texts that contain them.
//!
//! A test tool that records responses may write each as a text. Such an example would turn the
//! response into a string.

use serde_json::{Map, Value, json};

use super::bodies_are_sendable::is_json;
use crate::normalize::report::Report;
use crate::normalize::tree::evidence::kind;
use crate::normalize::tree::walk::{each_operation, escape, members_mut, object_mut, take, whole};
use crate::refusal::Refusal;

/// The keywords of an example object. An object without any of them is the value itself.
const EXAMPLE: [&str; 5] = ["$ref", "description", "externalValue", "summary", "value"];

pub(crate) fn apply(document: &mut Value, report: &mut Report<'_>) -> Result<(), Refusal> {
    let schemas = document["components"]["schemas"].clone();
    each_operation(document, |pointer, _, _, operation| {
        let mut contents = |holder: &mut Map<String, Value>, pointer: &str| {
            for (name, media) in members_mut(holder, "content").filter(|(name, _)| is_json(name)) {
                let pointer = format!("{pointer}/content/{}", escape(name));
                if let Some(media) = media.as_object_mut() {
                    let declared = media.get("schema").map(|schema| whole(schema, &schemas));
                    let declared = declared.and_then(|schema| schema["type"].as_str());
                    let declared = declared.map(str::to_string);
                    examples(media, declared.as_deref(), &pointer, report);
                }
            }
        };
        if let Some(body) = object_mut(operation, "requestBody") {
            contents(body, &format!("{pointer}/requestBody"));
        }
        for (status, response) in members_mut(operation, "responses") {
            if let Some(response) = response.as_object_mut() {
                contents(response, &format!("{pointer}/responses/{status}"));
            }
        }
    });
    Ok(())
}

fn examples(
    media: &mut Map<String, Value>,
    declared: Option<&str>,
    pointer: &str,
    report: &mut Report<'_>,
) {
    let pointer_of_one = format!("{pointer}/example");
    let dropped = media
        .get_mut("example")
        .is_some_and(|example| !is_value(example, declared, &pointer_of_one, report));
    if dropped {
        media.remove("example");
    }
    for (name, example) in members_mut(media, "examples") {
        let pointer = format!("{pointer}/examples/{}", escape(name));
        let bare = example.as_object().is_some_and(|object| {
            let mut keys = object.keys();
            !object.is_empty()
                && !keys.any(|key| EXAMPLE.contains(&key.as_str()) || key.starts_with("x-"))
        });
        if bare {
            report.note(&pointer, "no `value`", "the value itself");
            *example = json!({ "value": example.take() });
        }
        let dropped = example
            .get_mut("value")
            .is_some_and(|value| !is_value(value, declared, &pointer, report));
        if dropped {
            take(example, "value");
        }
    }
}

/// Replaces a text by the JSON that it contains. Returns whether the example can be a value of the
/// declared type.
fn is_value(
    example: &mut Value,
    declared: Option<&str>,
    pointer: &str,
    report: &mut Report<'_>,
) -> bool {
    let Some(written) = example.as_str().filter(|_| declared != Some("string")) else {
        return true;
    };
    match serde_json::from_str(written) {
        Ok(value @ (Value::Object(_) | Value::Array(_))) => {
            report.note(pointer, "JSON in a text", kind(&value));
            *example = value;
            true
        }
        _ if matches!(declared, Some("object" | "array")) => {
            report.note(pointer, "a text that is no JSON", "no example");
            false
        }
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::normalize::report::check;

    fn examples_of(schema: Value, examples: Value) -> Value {
        let media = json!({"application/json": {"schema": schema, "examples": examples}});
        let response = json!({"200": {"content": media}});
        let (document, _) = check(
            apply,
            json!({"components": {"schemas": {"T": {"type": "object"}, "S": {"type": "string"}}},
                "paths": {"/a": {"get": {"responses": response}}}}),
        );
        document["paths"]["/a"]["get"]["responses"]["200"]["content"]["application/json"]
            ["examples"]["e"]
            .clone()
    }

    #[test]
    fn json_in_a_text_is_the_value() {
        let example = json!({"e": {"value": "{\"id\": 1}"}});
        for schema in [json!({"$ref": "#/components/schemas/T"}), json!({})] {
            let after = examples_of(schema, example.clone());
            assert_eq!(after, json!({"value": {"id": 1}}));
        }
        let text = json!({"$ref": "#/components/schemas/S"});
        assert_eq!(examples_of(text, example.clone()), example["e"]);
    }

    #[test]
    fn a_text_is_no_evidence_against_an_object() {
        let after = examples_of(
            json!({"type": "object"}),
            json!({"e": {"value": "see below"}}),
        );
        assert_eq!(after, json!({}));
        let after = examples_of(json!({}), json!({"e": {"value": "see below"}}));
        assert_eq!(after, json!({"value": "see below"}));
    }

    #[test]
    fn an_example_without_value_is_the_value() {
        let after = examples_of(json!({"type": "object"}), json!({"e": {"id": 1}}));
        assert_eq!(after, json!({"value": {"id": 1}}));
    }
}
