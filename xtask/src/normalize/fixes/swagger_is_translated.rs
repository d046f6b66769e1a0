//! Parts of Swagger 2.0 in a document of OpenAPI 3 have their new form: tools that were upgraded
//! leave types beside the names of parameters, bodies among the parameters, and schemas beside the
//! status of a response.

use serde_json::{Map, Value, json};

use super::well_formed;
use crate::normalize::report::Report;
use crate::normalize::tree::walk::{each_operation, element, escape, members_mut, take};
use crate::refusal::Refusal;

/// Keywords of a schema that a parameter of Swagger 2.0 has itself.
const SCHEMA: [&str; 8] = [
    "default", "enum", "format", "items", "maximum", "minimum", "pattern", "type",
];

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";
const MULTIPART: &str = "multipart/form-data";

pub(crate) fn apply(document: &mut Value, report: &mut Report<'_>) -> Result<(), Refusal> {
    let known = report.repairs.len();
    let paths = document.get_mut("paths").and_then(Value::as_object_mut);
    for (path, item) in paths.into_iter().flatten() {
        let pointer = format!("/paths/{}/parameters", escape(path));
        let list = item.get_mut("parameters").and_then(Value::as_array_mut);
        for (index, parameter) in list.into_iter().flatten().enumerate() {
            let step = element(&pointer, index, parameter);
            with_schema(parameter, &format!("{pointer}/{step}"), report);
        }
    }
    each_operation(document, |pointer, _, _, operation| {
        let media = |key: &str| {
            let types = operation.get(key).and_then(Value::as_array);
            types
                .and_then(|types| types.first()?.as_str())
                .map(String::from)
        };
        let (consumes, produces) = (media("consumes"), media("produces"));
        body(operation, consumes, pointer, report);
        for (status, response) in members_mut(operation, "responses") {
            let pointer = format!("{pointer}/responses/{status}");
            content(response, produces.as_deref(), &pointer, report);
        }
    });
    // What moved was not checked where it was.
    if report.repairs.len() > known {
        well_formed::apply(document, report)?;
    }
    Ok(())
}

/// Moves the body among the parameters, or the fields of a form, to the body of the request.
fn body(
    operation: &mut Map<String, Value>,
    consumes: Option<String>,
    pointer: &str,
    report: &mut Report<'_>,
) {
    let has_body = operation.contains_key("requestBody");
    let Some(list) = operation
        .get_mut("parameters")
        .and_then(Value::as_array_mut)
    else {
        return;
    };
    let place = format!("{pointer}/parameters");
    for (index, parameter) in list.iter_mut().enumerate() {
        let step = element(&place, index, parameter);
        with_schema(parameter, &format!("{place}/{step}"), report);
    }
    if has_body {
        return;
    }
    let is_in = |own: &Value, place: &str| own["in"] == place;
    let fields: Vec<Value> = list
        .iter()
        .filter(|own| is_in(own, "formdata"))
        .cloned()
        .collect();
    let (media, schema, required) = if let Some(own) = list.iter().find(|own| is_in(own, "body")) {
        let media = consumes.unwrap_or_else(|| JSON.into());
        (media, own["schema"].clone(), own["required"] == true)
    } else if !fields.is_empty() {
        let is_file = |own: &Value| own["schema"]["format"] == "binary";
        let usual = if fields.iter().any(is_file) {
            MULTIPART
        } else {
            FORM
        };
        let named = |own: &Value| own["name"].as_str().unwrap_or_default().to_string();
        let required: Vec<String> = fields
            .iter()
            .filter(|own| own["required"] == true)
            .map(named)
            .collect();
        let properties: Map<String, Value> = fields
            .iter()
            .map(|own| (named(own), own["schema"].clone()))
            .collect();
        let mut schema = json!({"type": "object", "properties": properties});
        if !required.is_empty() {
            schema["required"] = json!(required);
        }
        (consumes.unwrap_or_else(|| usual.into()), schema, true)
    } else {
        return;
    };
    list.retain(|own| !is_in(own, "body") && !is_in(own, "formdata"));
    let content = json!({media.as_str(): {"schema": schema}});
    let body = json!({"content": content, "required": required});
    operation.insert("requestBody".into(), body);
    let place = format!("{pointer}/requestBody");
    report.note(place, "among the parameters, as in Swagger 2.0", media);
}

/// Gives a parameter a schema of the keywords that it has itself.
fn with_schema(parameter: &mut Value, pointer: &str, report: &mut Report<'_>) {
    let is_bare = parameter["type"].is_string()
        && ["schema", "content"]
            .iter()
            .all(|key| parameter[*key].is_null());
    if !is_bare {
        return;
    }
    let mut schema = Map::new();
    for key in SCHEMA {
        if let Some(value) = take(parameter, key) {
            schema.insert(key.into(), value);
        }
    }
    if schema["type"] == "file" {
        schema["type"] = json!("string");
        schema.insert("format".into(), json!("binary"));
    }
    let joined = match take(parameter, "collectionFormat") {
        Some(format) if format == "multi" => None,
        Some(format) if format == "ssv" => Some("spaceDelimited"),
        Some(format) if format == "pipes" => Some("pipeDelimited"),
        _ => Some("form"),
    };
    if let Some(style) = joined.filter(|_| schema["type"] == "array") {
        parameter["style"] = json!(style);
        parameter["explode"] = json!(false);
    }
    report.note(pointer, "a type, as in Swagger 2.0", "a schema");
    parameter["schema"] = schema.into();
}

/// Moves the schema and the examples of a response to its content.
fn content(response: &mut Value, produces: Option<&str>, pointer: &str, report: &mut Report<'_>) {
    if response.get("content").is_some_and(|own| *own != json!({})) {
        return;
    }
    let examples = response["examples"].as_object().cloned();
    let example = examples.into_iter().flatten().next();
    let Some(schema) = take(response, "schema").filter(Value::is_object) else {
        return;
    };
    take(response, "examples");
    let media = produces.unwrap_or(JSON);
    let mut own = json!({"schema": schema});
    if let Some((_, example)) = example {
        own["example"] = example;
    }
    report.note(pointer, "a schema, as in Swagger 2.0", media);
    response["content"] = json!({media: own});
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::normalize::report::check;

    fn translated(operation: Value) -> Value {
        let document =
            json!({"info": {"title": "t", "version": "1"}, "paths": {"/a": {"post": operation}}});
        let (document, _) = check(apply, document);
        document["paths"]["/a"]["post"].clone()
    }

    #[test]
    fn a_parameter_has_a_schema() {
        let after = translated(json!({"responses": {}, "parameters": [
            {"name": "a", "in": "query", "type": "integer", "enum": [1]},
            {"name": "b", "in": "query", "type": "array", "items": {"type": "string"}, "collectionFormat": "pipes"},
            {"name": "c", "in": "query", "type": "array", "items": {"type": "string"}, "collectionFormat": "multi"},
            {"name": "d", "in": "query", "schema": {"type": "string"}},
        ]}));
        let list = json!({"type": "array", "items": {"type": "string"}});
        let expected = json!([
            {"name": "a", "in": "query", "schema": {"type": "integer", "enum": [1]}},
            {"name": "b", "in": "query", "schema": list, "style": "pipeDelimited", "explode": false},
            {"name": "c", "in": "query", "schema": list},
            {"name": "d", "in": "query", "schema": {"type": "string"}},
        ]);
        assert_eq!(after["parameters"], expected);
    }

    #[test]
    fn a_body_among_the_parameters_is_the_body() {
        let schema = json!({"type": "object", "properties": {"a": {"type": "string"}}});
        let own = json!({"name": "x", "in": "body", "required": true, "schema": schema});
        let operation =
            json!({"responses": {}, "parameters": [own], "consumes": ["application/vnd.api+json"]});
        let content = json!({"application/vnd.api+json": {"schema": schema}});
        let after = translated(operation);
        assert_eq!(
            after["requestBody"],
            json!({"content": content, "required": true})
        );
        assert_eq!(after["parameters"], json!([]));
        // A body in both forms is one.
        let body = json!({"content": {"application/json": {"schema": {}}}});
        let after = translated(json!({"responses": {}, "parameters": [own], "requestBody": body}));
        assert_eq!(after["requestBody"], body);
    }

    #[test]
    fn the_fields_of_a_form_are_its_body() {
        let field = |name: &str, kind: &str| json!({"name": name, "in": "formdata", "type": kind, "required": true});
        for (kind, media, schema) in [
            ("integer", FORM, json!({"type": "integer"})),
            (
                "file",
                MULTIPART,
                json!({"type": "string", "format": "binary"}),
            ),
        ] {
            let after = translated(json!({"responses": {}, "parameters": [field("f", kind)]}));
            let fields = json!({"type": "object", "properties": {"f": schema}, "required": ["f"]});
            assert_eq!(
                after["requestBody"]["content"],
                json!({media: {"schema": fields}})
            );
        }
    }

    #[test]
    fn the_schema_of_a_response_is_in_its_content() {
        let schema =
            json!({"type": "object", "required": true, "properties": {"a": {"type": "string"}}});
        let response = json!({"description": "", "schema": schema, "examples": {"application/json": {"a": "x"}}});
        let after = translated(
            json!({"responses": {"200": response, "204": {"description": "", "content": {}}}}),
        );
        let checked = json!({"type": "object", "properties": {"a": {"type": "string"}}});
        let content = json!({"application/json": {"schema": checked, "example": {"a": "x"}}});
        assert_eq!(
            after["responses"]["200"],
            json!({"description": "", "content": content})
        );
    }
}
