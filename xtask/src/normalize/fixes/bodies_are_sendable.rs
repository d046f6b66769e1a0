//! Each request body has one media type that the generator can send.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::normalize::report::Report;
use crate::normalize::tree::evidence::{examples, infer};
use crate::normalize::tree::walk::{
    body_schemas, each_operation, each_schema, is_scalar, object_mut, referenced, schemas_mut,
    whole,
};
use crate::refusal::Refusal;

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";
const BYTES: &str = "application/octet-stream";

pub(crate) fn apply(document: &mut Value, report: &mut Report<'_>) -> Result<(), Refusal> {
    let schemas = document["components"]["schemas"].clone();
    each_operation(document, |pointer, _, _, operation| {
        let Some(body) = object_mut(operation, "requestBody") else {
            return;
        };
        let pointer = format!("{pointer}/requestBody");
        let content = body.remove("content");
        let content = content.as_ref().and_then(Value::as_object);
        let Some(content) = content.filter(|content| !content.is_empty()) else {
            operation.remove("requestBody");
            report.note(pointer, "a body without media type", "no body");
            return;
        };
        let (chosen, media) = choose(content, &schemas);
        let came: Vec<_> = content.keys().map(String::as_str).collect();
        if came != [chosen] {
            report.note(format!("{pointer}/content"), came.join(", "), chosen);
        }
        if body.insert("required".into(), json!(true)) != Some(json!(true)) {
            report.note(&pointer, "not required", "required");
        }
        body.insert("content".into(), json!({ chosen: media }));
        if chosen == BYTES && came.first() != Some(&BYTES) {
            operation.insert("x-content-type".into(), json!(came[0]));
        }
    });
    // Runs after each body has one media type, because the remaining one may be the only reference
    // to a schema.
    for name in inline_own_schemas(document, report) {
        schemas_mut(document).remove(&name);
    }
    Ok(())
}

/// Inlines a body schema that has no other reference. The overlay then finds it regardless of where
/// the vendor wrote it, and its type is named after the operation.
///
/// The body of a PATCH is inlined in any case: its fields can be sent as `null`, which makes its type
/// unsuitable for responses and other requests.
fn inline_own_schemas(document: &mut Value, report: &mut Report<'_>) -> Vec<String> {
    let mut uses: BTreeMap<String, usize> = BTreeMap::new();
    each_schema(document, &mut |_, schema| {
        if let Some(name) = referenced(schema) {
            *uses.entry(name.to_string()).or_default() += 1;
        }
    });
    let schemas = document["components"]["schemas"].clone();
    let mut inlined = Vec::new();
    each_operation(document, |pointer, _, method, operation| {
        for schema in body_schemas(operation) {
            let Some(name) = referenced(schema).map(str::to_string) else {
                continue;
            };
            let is_own = uses.get(&name) == Some(&1);
            if (is_own || method == "patch") && schemas[&name]["properties"].is_object() {
                *schema = schemas[&name].clone();
                let place = format!("{pointer}/requestBody");
                report.note(place, format!("a reference to {name}"), "inlined");
                if is_own {
                    inlined.push(name);
                }
            }
        }
    });
    inlined
}

fn choose(content: &Map<String, Value>, schemas: &Value) -> (&'static str, Value) {
    if let Some((_, media)) = content.iter().find(|(name, _)| is_json(name)) {
        return (JSON, with_schema(media));
    }
    let form = content
        .iter()
        .find(|(name, media)| essence(name) == FORM && is_flat(media, schemas));
    if let Some((_, media)) = form {
        return (FORM, json!({"schema": media["schema"]}));
    }
    (
        BYTES,
        json!({"schema": {"type": "string", "format": "binary"}}),
    )
}

/// Returns whether a media type is JSON: by name, by suffix (RFC 6839), or as `*/*`.
pub(crate) fn is_json(media_type: &str) -> bool {
    let essence = essence(media_type);
    essence == JSON || essence == "text/json" || essence == "*/*" || essence.ends_with("+json")
}

fn essence(media_type: &str) -> String {
    let name = media_type.split(';').next().unwrap_or_default();
    name.trim().to_lowercase()
}

/// Returns the media type with a schema: its own, or the one of its example.
pub(crate) fn with_schema(media: &Value) -> Value {
    let mut media = media.clone();
    if media["schema"].is_null() {
        let examples: Vec<_> = examples(&media).collect();
        media["schema"] = infer(&examples);
    }
    let kept = ["schema", "example", "examples"];
    let object = media.as_object_mut().expect("just indexed as an object");
    object.retain(|key, _| kept.contains(&key.as_str()) || key.starts_with("x-"));
    media
}

/// Returns whether a form has only scalar fields. Nested values have no standard encoding.
fn is_flat(media: &Value, schemas: &Value) -> bool {
    let properties = whole(&media["schema"], schemas)["properties"].as_object();
    properties.is_some_and(|properties| {
        let mut properties = properties.values();
        properties.all(|property| is_scalar(property) && property["format"] != "binary")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::normalize::report::check;

    fn body_of(content: Value) -> (Value, Value) {
        let (document, _) = check(
            apply,
            json!({"components": {"schemas": {}}, "paths": {"/a": {"post": {"requestBody": {"content": content}}}}}),
        );
        let post = &document["paths"]["/a"]["post"];
        (post["requestBody"].clone(), post["x-content-type"].clone())
    }

    #[test]
    fn json_wins_and_is_required() {
        let (body, _) = body_of(
            json!({"multipart/form-data": {}, "application/vnd.api+json; charset=utf-8": {"schema": {"type": "string"}}}),
        );
        assert_eq!(
            body,
            json!({"required": true, "content": {"application/json": {"schema": {"type": "string"}}}})
        );
    }

    #[test]
    fn a_schema_of_this_body_alone_stands_in_it() {
        let own = json!({"type": "object", "properties": {"a": {"type": "string"}}});
        let content = json!({"application/json": {"schema": {"$ref": "#/components/schemas/Own"}}});
        let (document, repairs) = check(
            apply,
            json!({"components": {"schemas": {"Own": own}}, "paths": {"/a": {"post": {"requestBody": {"required": true, "content": content}}}}}),
        );
        let schema = &document["paths"]["/a"]["post"]["requestBody"]["content"]["application/json"]
            ["schema"];
        assert_eq!(schema["properties"], own["properties"]);
        assert_eq!(document["components"]["schemas"], json!({}));
        assert_eq!(repairs.len(), 1);
    }

    #[test]
    fn other_media_types_are_bytes_with_their_name() {
        let (body, sent_as) =
            body_of(json!({"multipart/form-data": {"schema": {"type": "object"}}}));
        assert_eq!(
            body["content"],
            json!({"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}})
        );
        assert_eq!(sent_as, "multipart/form-data");
    }

    #[test]
    fn a_body_without_schema_gets_that_of_its_example() {
        let (body, _) = body_of(json!({"application/json": {"example": {"a": 1}}}));
        assert_eq!(
            body["content"]["application/json"]["schema"],
            json!({"type": "object", "properties": {"a": {"type": "integer"}}}),
        );
    }
}
