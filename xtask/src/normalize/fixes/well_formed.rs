//! Every value has the type that OpenAPI requires at its place: no `tags: null`, no list instead of
//! an object.

use serde_json::{Map, Value, json};

use crate::normalize::report::Report;
use crate::normalize::tree::walk::{METHODS, escape, members_mut, object_mut};
use crate::refusal::{Refusal, refuse};

type Object = Map<String, Value>;

pub(crate) fn apply(document: &mut Value, report: &mut Report<'_>) -> Result<(), Refusal> {
    let Some(root) = document.as_object_mut() else {
        return Err(refuse(
            "the JSON document is not an object",
            "an OpenAPI document",
            "check what the URL returns",
        ));
    };
    let mut shape = Shape { report };
    shape.info(root);
    for key in ["tags", "servers", "security"] {
        shape.keep(root, "", key, Value::is_array);
    }
    shape.objects_in_list(root, "", "servers", |server| server["url"].is_string());
    shape.objects_in_list(root, "", "tags", |tag| tag["name"].is_string());
    shape.components(root);
    shape.paths(root);
    Ok(())
}

struct Shape<'r, 'd> {
    report: &'r mut Report<'d>,
}

impl Shape<'_, '_> {
    fn info(&mut self, root: &mut Object) {
        if !root.get("info").is_some_and(Value::is_object) {
            let before = root.insert("info".into(), json!({}));
            self.report
                .note("/info", kind(before.as_ref()), "an object");
        }
        let info = object_mut(root, "info").expect("just made an object");
        for (key, fallback) in [("title", "untitled"), ("version", "unknown")] {
            self.text(info, "/info", key);
            if !info.contains_key(key) {
                info.insert(key.into(), json!(fallback));
                self.report.note(format!("/info/{key}"), "absent", fallback);
            }
        }
    }

    fn components(&mut self, root: &mut Object) {
        self.keep(root, "", "components", Value::is_object);
        for (bucket, entries) in members_mut(root, "components") {
            let pointer = format!("/components/{}", escape(bucket));
            if bucket.starts_with("x-") {
                continue;
            }
            let Some(entries) = entries.as_object_mut() else {
                self.report.note(&pointer, kind(Some(entries)), "{}");
                *entries = json!({});
                continue;
            };
            if bucket != "schemas" {
                self.retain(entries, &pointer, Value::is_object);
            }
            for (name, entry) in entries {
                let pointer = format!("{pointer}/{}", escape(name));
                match bucket.as_str() {
                    "schemas" => self.schema(entry, &pointer),
                    "parameters" | "headers" => self.parameter(entry, &pointer),
                    "requestBodies" | "responses" => self.content(entry, &pointer),
                    "pathItems" => self.path_item(entry, &pointer),
                    _ => {}
                }
            }
        }
    }

    fn paths(&mut self, root: &mut Object) {
        self.keep(root, "", "paths", Value::is_object);
        let paths = root.entry("paths").or_insert_with(|| json!({}));
        let paths = paths.as_object_mut().expect("kept only an object");
        paths.retain(|path, item| {
            let keep = path.starts_with('/') && item.is_object() || path.starts_with("x-");
            if !keep {
                let pointer = format!("/paths/{}", escape(path));
                self.report.note(pointer, kind(Some(item)), "dropped");
            }
            keep
        });
        for (path, item) in paths.iter_mut().filter(|(path, _)| path.starts_with('/')) {
            self.path_item(item, &format!("/paths/{}", escape(path)));
        }
    }

    fn path_item(&mut self, item: &mut Value, pointer: &str) {
        let Some(item) = item.as_object_mut() else {
            return;
        };
        self.parameters(item, pointer);
        for method in METHODS {
            self.keep(item, pointer, method, Value::is_object);
            if let Some(operation) = object_mut(item, method) {
                self.operation(operation, &format!("{pointer}/{method}"));
            }
        }
    }

    fn operation(&mut self, operation: &mut Object, pointer: &str) {
        for key in ["summary", "description", "operationId"] {
            self.text(operation, pointer, key);
        }
        for key in ["tags", "servers", "security"] {
            self.keep(operation, pointer, key, Value::is_array);
        }
        self.keep(operation, pointer, "deprecated", Value::is_boolean);
        for key in ["requestBody", "callbacks", "externalDocs"] {
            self.keep(operation, pointer, key, Value::is_object);
        }
        if let Some(tags) = operation.get_mut("tags").and_then(Value::as_array_mut) {
            tags.retain(Value::is_string);
        }
        self.parameters(operation, pointer);
        if let Some(body) = operation.get_mut("requestBody") {
            self.content(body, &format!("{pointer}/requestBody"));
        }
        self.keep(operation, pointer, "responses", Value::is_object);
        let responses = operation.entry("responses").or_insert_with(|| json!({}));
        let responses = responses.as_object_mut().expect("kept only an object");
        let pointer = format!("{pointer}/responses");
        self.retain(responses, &pointer, Value::is_object);
        for (status, response) in responses.iter_mut() {
            self.content(response, &format!("{pointer}/{status}"));
        }
    }

    fn parameters(&mut self, holder: &mut Object, pointer: &str) {
        self.keep(holder, pointer, "parameters", Value::is_array);
        self.objects_in_list(holder, pointer, "parameters", |parameter| {
            parameter["$ref"].is_string()
                || parameter["name"].is_string() && parameter["in"].is_string()
        });
        let list = holder.get_mut("parameters").and_then(Value::as_array_mut);
        for (index, parameter) in list.into_iter().flatten().enumerate() {
            self.parameter(parameter, &format!("{pointer}/parameters/{index}"));
        }
    }

    fn parameter(&mut self, parameter: &mut Value, pointer: &str) {
        let Some(object) = parameter.as_object_mut() else {
            return;
        };
        self.text(object, pointer, "description");
        if let Some(Value::String(place)) = object.get_mut("in")
            && *place != place.to_lowercase()
        {
            let lower = place.to_lowercase();
            self.report.note(format!("{pointer}/in"), &*place, &lower);
            *place = lower;
        }
        for key in ["required", "explode", "deprecated"] {
            self.keep(object, pointer, key, Value::is_boolean);
        }
        self.keep(object, pointer, "style", Value::is_string);
        if let Some(schema) = object.get_mut("schema") {
            self.schema(schema, &format!("{pointer}/schema"));
        }
        self.content(parameter, pointer);
    }

    /// Checks the media types of a body, a response or a parameter.
    fn content(&mut self, holder: &mut Value, pointer: &str) {
        let Some(object) = holder.as_object_mut() else {
            return;
        };
        self.text(object, pointer, "description");
        self.keep(object, pointer, "content", Value::is_object);
        self.keep(object, pointer, "required", Value::is_boolean);
        let Some(content) = object_mut(object, "content") else {
            return;
        };
        let pointer = format!("{pointer}/content");
        self.retain(content, &pointer, Value::is_object);
        for (media_type, media) in content {
            let pointer = format!("{pointer}/{}", escape(media_type));
            if let Some(media) = media.as_object_mut() {
                self.keep(media, &pointer, "examples", Value::is_object);
            }
            if let Some(schema) = media.get_mut("schema") {
                self.schema(schema, &format!("{pointer}/schema"));
            }
        }
    }

    fn schema(&mut self, schema: &mut Value, pointer: &str) {
        if !schema.is_object() {
            if !schema.is_boolean() {
                self.report.note(pointer, kind(Some(schema)), "{}");
            }
            *schema = json!({});
            return;
        }
        let object = schema.as_object_mut().expect("just checked");
        self.text(object, pointer, "description");
        self.keep(object, pointer, "$ref", Value::is_string);
        for key in ["properties", "discriminator"] {
            self.keep(object, pointer, key, Value::is_object);
        }
        for key in ["required", "enum", "allOf", "anyOf", "oneOf"] {
            self.keep(object, pointer, key, Value::is_array);
        }
        for key in ["nullable", "readOnly", "writeOnly", "deprecated"] {
            self.keep(object, pointer, key, Value::is_boolean);
        }
        for key in ["format", "title"] {
            self.keep(object, pointer, key, Value::is_string);
        }
        // The spelling of 2.0, which tools still write.
        if object.get("x-nullable") == Some(&json!(true)) && !object.contains_key("nullable") {
            object.remove("x-nullable");
            object.insert("nullable".into(), json!(true));
            self.report.note(pointer, "x-nullable", "nullable");
        }
        self.keep(object, pointer, "type", |value| {
            value.is_string() || value.is_array()
        });
        if object.get("items").is_some_and(Value::is_array) {
            self.report
                .note(format!("{pointer}/items"), "a list of schemas", "{}");
            object.insert("items".into(), json!({}));
        }
        let required = object.get_mut("required").and_then(Value::as_array_mut);
        if let Some(required) = required {
            required.retain(Value::is_string);
        }
        for key in ["items", "additionalProperties", "not"] {
            if let Some(child) = object.get_mut(key)
                && !child.is_boolean()
            {
                self.schema(child, &format!("{pointer}/{key}"));
            } else if key == "items" && object.contains_key(key) {
                object.insert(key.into(), json!({}));
            }
        }
        for key in ["allOf", "anyOf", "oneOf"] {
            let members = object.get_mut(key).and_then(Value::as_array_mut);
            for (index, member) in members.into_iter().flatten().enumerate() {
                self.schema(member, &format!("{pointer}/{key}/{index}"));
            }
        }
        for key in ["properties", "$defs", "definitions"] {
            for (name, member) in members_mut(object, key) {
                self.schema(member, &format!("{pointer}/{key}/{}", escape(name)));
            }
        }
    }

    /// Removes `key` if its value has the wrong type.
    fn keep(&mut self, holder: &mut Object, pointer: &str, key: &str, fits: fn(&Value) -> bool) {
        if holder.get(key).is_some_and(|value| !fits(value)) {
            let before = holder.remove(key);
            let pointer = format!("{pointer}/{}", escape(key));
            self.report.note(pointer, kind(before.as_ref()), "dropped");
        }
    }

    /// Converts a number or boolean to a string, and removes any other value.
    fn text(&mut self, holder: &mut Object, pointer: &str, key: &str) {
        if let Some(value @ (Value::Number(_) | Value::Bool(_))) = holder.get_mut(key) {
            let text = Value::String(value.to_string());
            self.report.note(format!("{pointer}/{key}"), &value, &text);
            *value = text;
        }
        self.keep(holder, pointer, key, Value::is_string);
    }

    fn retain(&mut self, entries: &mut Object, pointer: &str, fits: fn(&Value) -> bool) {
        entries.retain(|name, entry| {
            let keep = name.starts_with("x-") || fits(entry);
            if !keep {
                let pointer = format!("{pointer}/{}", escape(name));
                self.report.note(pointer, kind(Some(entry)), "dropped");
            }
            keep && entry.is_object()
        });
    }

    fn objects_in_list(
        &mut self,
        holder: &mut Object,
        pointer: &str,
        key: &str,
        fits: fn(&Value) -> bool,
    ) {
        let Some(list) = holder.get_mut(key).and_then(Value::as_array_mut) else {
            return;
        };
        let mut index = 0;
        list.retain(|entry| {
            let keep = entry.is_object() && fits(entry);
            if !keep {
                self.report
                    .note(format!("{pointer}/{key}/{index}"), entry, "dropped");
            }
            index += 1;
            keep
        });
    }
}

fn kind(value: Option<&Value>) -> String {
    match value {
        None => "absent".into(),
        Some(Value::Object(_)) => "an object".into(),
        Some(Value::Array(_)) => "a list".into(),
        Some(scalar) => scalar.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::normalize::report::check;

    #[test]
    fn null_tags_go() {
        let (document, repairs) = check(
            apply,
            json!({"info": {"title": "t", "version": "1"}, "paths": {"/a": {"get": {"tags": null, "responses": {}}}}}),
        );
        assert_eq!(document["paths"]["/a"]["get"], json!({"responses": {}}));
        assert_eq!(repairs[0].pointer, "/paths/~1a/get/tags");
        assert_eq!(repairs.len(), 1);
    }

    #[test]
    fn values_of_the_wrong_type_are_removed_and_the_rest_is_kept() {
        let (document, repairs) = check(
            apply,
            json!({"info": {"title": "t", "version": 2}, "paths": {"/a": {"get": {
                "description": 5,
                "parameters": [{"in": "query"}, {"in": "query", "name": "q", "schema": "string"}],
                "responses": {"200": {"content": {"application/json": {"schema": {
                    "type": "object", "required": true,
                    "properties": {"a": {"type": "array", "items": []}, "b": true}
                }}}}}
            }}}}),
        );
        let get = &document["paths"]["/a"]["get"];
        assert_eq!(get["description"], "5");
        assert_eq!(
            get["parameters"],
            json!([{"in": "query", "name": "q", "schema": {}}])
        );
        assert_eq!(
            get["responses"]["200"]["content"]["application/json"]["schema"],
            json!({"type": "object", "properties": {"a": {"type": "array", "items": {}}, "b": {}}}),
        );
        assert_eq!(document["info"]["version"], "2");
        assert_eq!(repairs.len(), 6);
    }

    #[test]
    fn an_old_spelling_of_null_is_understood() {
        let schemas =
            json!({"A": {"type": "string", "x-nullable": true}, "B": {"x-nullable": false}});
        let (document, _) = check(
            apply,
            json!({"info": {"title": "t", "version": "1"}, "paths": {}, "components": {"schemas": schemas}}),
        );
        let expected =
            json!({"A": {"type": "string", "nullable": true}, "B": {"x-nullable": false}});
        assert_eq!(document["components"]["schemas"], expected);
    }

    #[test]
    fn a_well_formed_document_is_unchanged() {
        let document = json!({"info": {"title": "t", "version": "1"}, "paths": {"/a": {"get": {"responses": {"200": {"description": "d"}}}}}});
        let (after, repairs) = check(apply, document.clone());
        assert_eq!(after, document);
        assert!(repairs.is_empty());
    }
}
