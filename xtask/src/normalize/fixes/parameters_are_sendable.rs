//! Parameters are limited to what the generator can send: simple path segments, repeated query
//! pairs, single headers.

use serde_json::{Map, Value, json};

use crate::normalize::report::Report;
use crate::normalize::tree::names::snake;
use crate::normalize::tree::walk::{
    distinct, each_operation, escape, is_scalar, referenced_through, whole,
};
use crate::refusal::Refusal;

/// Headers that the client sets itself.
const OWN_HEADERS: [&str; 3] = ["accept", "authorization", "content-type"];

/// The Rust name of the body in generated code.
pub(crate) const BODY: &str = "body";

pub(crate) fn apply(document: &mut Value, report: &mut Report) -> Result<(), Refusal> {
    let schemas = document["components"]["schemas"].clone();
    let mut shared = Map::new();
    let paths = document.get_mut("paths").and_then(Value::as_object_mut);
    for (path, item) in paths.into_iter().flatten() {
        let item = item.as_object_mut();
        if let Some(parameters) = item.and_then(|item| item.remove("parameters")) {
            let pointer = format!("/paths/{}/parameters", escape(path));
            report.note(pointer, "for the whole path", "on each operation");
            shared.insert(path.clone(), parameters);
        }
    }
    each_operation(document, |pointer, path, _, operation| {
        let own = operation.remove("parameters");
        let mut list: Vec<Value> = Vec::new();
        for parameter in [shared.get(path), own.as_ref()].into_iter().flatten() {
            for parameter in parameter.as_array().into_iter().flatten() {
                let same = |other: &Value| {
                    other["name"] == parameter["name"] && other["in"] == parameter["in"]
                };
                list.retain(|other| !same(other));
                list.push(parameter.clone());
            }
        }
        let mut operation_parameters = Parameters {
            pointer: format!("{pointer}/parameters"),
            schemas: &schemas,
            has_body: operation.contains_key("requestBody"),
            done: Vec::new(),
            report,
        };
        operation_parameters.path(path, &mut list);
        for parameter in list {
            operation_parameters.other(parameter);
        }
        if !operation_parameters.done.is_empty() {
            operation.insert("parameters".into(), Value::Array(operation_parameters.done));
        }
    });
    Ok(())
}

struct Parameters<'d> {
    pointer: String,
    schemas: &'d Value,
    has_body: bool,
    done: Vec<Value>,
    report: &'d mut Report,
}

impl Parameters<'_> {
    /// Makes path parameters unique and required.
    fn path(&mut self, path: &str, list: &mut Vec<Value>) {
        let parts = path.split('{').skip(1);
        let variables = distinct(parts.map(|part| part.split('}').next().unwrap_or_default()));
        let is_path = |parameter: &Value| parameter["in"] == "path";
        let (declared, others): (Vec<_>, Vec<_>) = list.drain(..).partition(is_path);
        *list = others;
        for parameter in &declared {
            let name = parameter["name"].as_str().unwrap_or_default();
            if !variables.contains(&name) {
                self.note(name, "not in the path", "dropped");
            }
        }
        for variable in variables {
            let found = declared
                .iter()
                .find(|parameter| parameter["name"] == variable);
            let mut parameter = found.cloned().unwrap_or_else(|| {
                self.note(variable, "in the path, not declared", "a string");
                json!({"name": variable, "in": "path", "required": true, "schema": {"type": "string"}})
            });
            if parameter["required"] != true {
                self.note(variable, "optional in the path", "required");
                parameter["required"] = json!(true);
            }
            if parameter["style"]
                .as_str()
                .is_some_and(|style| style != "simple")
            {
                self.note(variable, format!("style {}", parameter["style"]), "simple");
            }
            self.scalar(&mut parameter, variable);
            self.push(parameter);
        }
    }

    fn other(&mut self, mut parameter: Value) {
        let name = parameter["name"].as_str().unwrap_or_default().to_string();
        match parameter["in"].as_str().unwrap_or_default() {
            "query" | "header" if self.has_body && snake(&name) == BODY => {
                self.note(&name, "a parameter called as the body", "dropped");
            }
            "query" => self.query(parameter, &name),
            "header" if OWN_HEADERS.contains(&name.to_lowercase().as_str()) => {
                self.note(&name, "a header the client sets itself", "dropped");
            }
            "header" => {
                self.scalar(&mut parameter, &name);
                self.push(parameter);
            }
            place => self.note(
                &name,
                format!("in {place}"),
                "dropped, the client can't send it",
            ),
        }
    }

    fn query(&mut self, mut parameter: Value, name: &str) {
        let whole = self.whole(&parameter["schema"]);
        let style = parameter["style"].as_str().unwrap_or("form").to_string();
        let exploded = match parameter["explode"].as_bool() {
            Some(exploded) => exploded,
            None => style == "form" || style == "deepObject",
        };
        let fields = whole["properties"].as_object();
        match whole["type"].as_str() {
            Some("object") if fields.is_some() && exploded => {
                self.note(
                    name,
                    format!("an object, style {style}"),
                    "a parameter for each field",
                );
                for (field, schema) in fields.into_iter().flatten() {
                    let name = match style.as_str() {
                        "deepObject" => format!("{name}[{field}]"),
                        _ => field.clone(),
                    };
                    self.query(
                        json!({"name": name, "in": "query", "schema": schema}),
                        &name,
                    );
                }
            }
            Some("array") if exploded && (style == "form" || style == "deepObject") => {
                let items = self.whole(&whole["items"]);
                let single = is_scalar(&items);
                let mut list = parameter["schema"].clone();
                if referenced_through(&list).is_some() || !single {
                    list = json!({"type": "array", "items": if single { items } else { json!({"type": "string"}) }});
                }
                if style == "deepObject" {
                    parameter["name"] = json!(format!("{name}[]"));
                }
                parameter["schema"] = list;
                parameter["style"] = json!("form");
                parameter["explode"] = json!(true);
                self.push(parameter);
            }
            Some("array" | "object") => {
                self.note(
                    name,
                    format!("{}, style {style}, explode {exploded}", whole["type"]),
                    "text that the caller joins",
                );
                parameter["schema"] = json!({"type": "string"});
                self.scalar(&mut parameter, name);
                self.push(parameter);
            }
            _ => {
                self.scalar(&mut parameter, name);
                self.push(parameter);
            }
        }
    }

    /// Converts a parameter of a single string, number or boolean.
    fn scalar(&mut self, parameter: &mut Value, name: &str) {
        let object = parameter.as_object_mut().expect("a well-formed parameter");
        object.retain(|key, _| {
            [
                "name",
                "in",
                "required",
                "description",
                "schema",
                "deprecated",
            ]
            .contains(&key.as_str())
                || key.starts_with("x-")
        });
        let schema = object.entry("schema").or_insert_with(|| json!({}));
        if let Some(schema) = schema.as_object_mut() {
            schema.remove("nullable");
        }
        let whole = self.whole(schema);
        if whole.get("x-value").is_some() {
            return;
        }
        if !is_scalar(&whole) {
            let before = whole["type"].as_str().unwrap_or("of no type");
            self.note(name, before, "text");
            object.insert("schema".into(), json!({"type": "string"}));
        } else if whole["format"] == "binary" {
            object.insert("schema".into(), json!({"type": "string"}));
        }
    }

    /// Returns the schema, or the component that it references.
    fn whole(&self, schema: &Value) -> Value {
        whole(schema, self.schemas).clone()
    }

    /// Adds a parameter, unless its Rust name is already in use.
    fn push(&mut self, parameter: Value) {
        let name = parameter["name"].as_str().unwrap_or_default().to_string();
        let same =
            |other: &Value| snake(other["name"].as_str().unwrap_or_default()) == snake(&name);
        if self.done.iter().any(same) {
            self.note(&name, "a second parameter of this name", "dropped");
        } else {
            self.done.push(parameter);
        }
    }

    fn note(&mut self, name: &str, before: impl std::fmt::Display, after: &str) {
        self.report
            .note(format!("{}/{}", self.pointer, escape(name)), before, after);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::normalize::report::check;

    fn normalized(path: &str, parameters: Value) -> Value {
        let (document, _) = check(
            apply,
            json!({"components": {"schemas": {}}, "paths": {path: {"get": {"parameters": parameters}}}}),
        );
        document["paths"][path]["get"]["parameters"].clone()
    }

    #[test]
    fn path_variables_are_all_there_and_required() {
        assert_eq!(
            normalized(
                "/a/{id}",
                json!([{"name": "x", "in": "path", "schema": {"type": "string"}}])
            ),
            json!([{"name": "id", "in": "path", "required": true, "schema": {"type": "string"}}]),
        );
    }

    #[test]
    fn objects_in_the_query_become_text_or_a_parameter_a_field() {
        let object = json!({"type": "object", "properties": {"a": {"type": "string"}}});
        assert_eq!(
            normalized(
                "/a",
                json!([{"name": "f", "in": "query", "style": "deepObject", "schema": object}])
            ),
            json!([{"name": "f[a]", "in": "query", "schema": {"type": "string"}}]),
        );
        assert_eq!(
            normalized(
                "/a",
                json!([{"name": "f", "in": "query", "schema": {"type": "object", "additionalProperties": true}}])
            ),
            json!([{"name": "f", "in": "query", "schema": {"type": "string"}}]),
        );
    }

    #[test]
    fn joined_lists_are_text() {
        assert_eq!(
            normalized(
                "/a",
                json!([{"name": "f", "in": "query", "explode": false, "schema": {"type": "array", "items": {"type": "string"}}}])
            ),
            json!([{"name": "f", "in": "query", "schema": {"type": "string"}}]),
        );
    }

    #[test]
    fn cookies_and_own_headers_go() {
        assert_eq!(
            normalized(
                "/a",
                json!([{"name": "s", "in": "cookie", "schema": {}}, {"name": "Accept", "in": "header", "schema": {}}])
            ),
            Value::Null,
        );
    }
}
