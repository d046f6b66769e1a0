//! Parameters are limited to what the client can send: simple path segments, query pairs, single
//! headers. Each has a Rust name of its own, and is sent under the vendor's.

use serde_json::{Map, Value, json};

use crate::normalize::report::Report;
use crate::normalize::tree::names::{argument, snake, unique};
use crate::normalize::tree::walk::{
    distinct, each_operation, escape, is_scalar, referenced_through, whole,
};
use crate::refusal::Refusal;

/// Headers that the client sets itself.
const OWN_HEADERS: [&str; 3] = ["accept", "authorization", "content-type"];

/// The Rust name of the body in generated code.
pub(crate) const BODY: &str = "body";

/// The extension with the Rust name of a parameter, if it is not the usual one.
pub(crate) const RUST_NAME: &str = "x-rust-name";

/// The extension of an operation that lists what the client cannot send.
pub(crate) const NOT_SENT: &str = "x-not-sent";

/// Names that the generated request uses itself.
const TAKEN: [&str; 2] = ["encode_path", "header_map"];

/// An object in the query is sent field by field down to this depth; what is deeper is a map.
const DEEPEST: usize = 8;

/// The maximum number of parameters of an operation before an object becomes a map.
const MOST: usize = 200;

pub(crate) fn apply(document: &mut Value, report: &mut Report<'_>) -> Result<(), Refusal> {
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
                list.retain(|other| !is_same(other, parameter));
                list.push(parameter.clone());
            }
        }
        let mut parameters = Parameters {
            pointer: format!("{pointer}/parameters"),
            schemas: &schemas,
            has_body: operation.contains_key("requestBody"),
            done: Vec::new(),
            not_sent: Vec::new(),
            report,
        };
        parameters.path(path, &mut list);
        for parameter in list {
            parameters.other(parameter);
        }
        let Parameters { done, not_sent, .. } = parameters;
        if !done.is_empty() {
            operation.insert("parameters".into(), Value::Array(done));
        }
        let known = operation.entry(NOT_SENT).or_insert_with(|| json!([]));
        let known_parts = known.as_array().into_iter().flatten().cloned();
        *known = json!(distinct(
            known_parts
                .chain(not_sent.into_iter().map(Value::from))
                .collect::<Vec<_>>()
        ));
        if *known == json!([]) {
            operation.remove(NOT_SENT);
        }
    });
    Ok(())
}

/// Returns whether two parameters are one. `created=1` and `created[gt]=1` are not.
fn is_same(one: &Value, other: &Value) -> bool {
    let is_deep = |own: &Value| own["style"] == "deepObject";
    one["name"] == other["name"] && one["in"] == other["in"] && is_deep(one) == is_deep(other)
}

/// Returns the variables of a path, in order.
pub(crate) fn variables(path: &str) -> Vec<&str> {
    let parts = path.split('{').skip(1);
    let variables = parts.filter_map(|part| part.split_once('}'));
    let named = variables.map(|(name, _)| name);
    distinct(named.filter(|name| !name.is_empty() && !name.contains('/')))
}

struct Parameters<'d, 'r> {
    pointer: String,
    schemas: &'d Value,
    has_body: bool,
    done: Vec<Value>,
    not_sent: Vec<String>,
    report: &'d mut Report<'r>,
}

/// An object that is sent field by field.
#[derive(Clone, Copy)]
struct Above<'a> {
    /// The component that it refers to.
    component: Option<&'a str>,
    /// The object that contains it.
    outer: Option<&'a Above<'a>>,
}

impl Above<'_> {
    fn contains(&self, component: &str) -> bool {
        self.component == Some(component) || self.outer.is_some_and(|own| own.contains(component))
    }

    fn depth(&self) -> usize {
        1 + self.outer.map_or(0, Above::depth)
    }
}

impl Parameters<'_, '_> {
    /// Makes path parameters unique and required.
    fn path(&mut self, path: &str, list: &mut Vec<Value>) {
        let variables = variables(path);
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
            "query" => self.query(parameter, &name, None),
            "header" if OWN_HEADERS.contains(&name.to_lowercase().as_str()) => {
                self.note(&name, "a header the client sets itself", "dropped");
            }
            "header" if is_token(&name) => {
                self.scalar(&mut parameter, &name);
                self.push(parameter);
            }
            place => {
                let cannot = "dropped, the client can't send it";
                self.note(&name, format!("in {place}"), cannot);
                self.not_sent.push(format!("{place} `{name}`"));
            }
        }
    }

    fn query(&mut self, mut parameter: Value, name: &str, above: Option<&Above<'_>>) {
        let schema = parameter["schema"].clone();
        let whole = self.whole(&schema);
        let style = parameter["style"].as_str().unwrap_or("form").to_string();
        let is_deep = style == "deepObject";
        let exploded = match parameter["explode"].as_bool() {
            Some(exploded) => exploded || is_deep,
            None => style == "form" || is_deep,
        };
        let by_field = exploded && (style == "form" || is_deep);
        match whole["type"].as_str() {
            Some("object") if by_field => {
                self.object(parameter, name, &schema, &whole, above);
            }
            Some("array") if by_field => {
                let items = self.whole(&whole["items"]);
                let single = is_scalar(&items);
                let nested = ["array", "object"].iter().any(|own| items["type"] == *own);
                let mut list = schema;
                if referenced_through(&list).is_some() || !single {
                    list = json!({"type": "array", "items": if single { items } else { json!({"type": "string"}) }});
                }
                if is_deep && !name.ends_with("[]") {
                    parameter["name"] = json!(format!("{name}[]"));
                }
                if nested {
                    self.note(name, "a list of objects", "a list of texts");
                    let part = format!("query `{name}` with objects in its list");
                    self.not_sent.push(part);
                } else if !single {
                    self.note(name, "a list of anything", "a list of texts");
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
            // One of several types, of which an object is one: else it had no such style.
            None if is_deep => {
                let map = json!({"type": "object", "additionalProperties": {"type": "string"}});
                self.note(
                    name,
                    "of no type, style deepObject",
                    "a text, and a map of texts",
                );
                let mut fields = parameter.clone();
                self.scalar(&mut parameter, name);
                self.push(parameter);
                fields["schema"] = map;
                fields["style"] = json!("deepObject");
                self.push(fields);
            }
            _ => {
                self.scalar(&mut parameter, name);
                self.push(parameter);
            }
        }
    }

    /// Sends an object as one parameter for each field, and as a map where it has other fields or
    /// contains itself.
    fn object(
        &mut self,
        mut parameter: Value,
        name: &str,
        schema: &Value,
        whole: &Value,
        above: Option<&Above<'_>>,
    ) {
        let is_deep = parameter["style"] == "deepObject";
        let here = Above {
            component: referenced_through(schema),
            outer: above,
        };
        let again = here
            .component
            .is_some_and(|own| above.is_some_and(|above| above.contains(own)));
        let too_many = here.depth() > DEEPEST || self.done.len() > MOST;
        let fields = whole["properties"].as_object();
        let fields = fields.filter(|fields| !fields.is_empty() && !again && !too_many);
        if fields.is_some() {
            let style = if is_deep { "deepObject" } else { "form" };
            let before = format!("an object, style {style}");
            self.note(name, before, "a parameter for each field");
        }
        for (field, schema) in fields.into_iter().flatten() {
            let kind = self.whole(schema)["type"].clone();
            let mut own = json!({"in": "query", "schema": schema});
            let name = if is_deep {
                own["style"] = json!("deepObject");
                format!("{name}[{field}]")
            } else {
                // An object inside a form is a deep object.
                if kind == "object" {
                    own["style"] = json!("deepObject");
                }
                field.clone()
            };
            own["name"] = json!(name);
            if let Some(description) = schema.get("description") {
                own["description"] = description.clone();
            }
            self.query(own, &name, Some(&here));
        }
        let others = whole.get("additionalProperties");
        if fields.is_none() || others.is_some_and(|others| *others != json!(false)) {
            let text = json!({"type": "object", "additionalProperties": {"type": "string"}});
            if *schema != text {
                self.note(name, "an object of any fields", "a map of texts");
            }
            parameter["schema"] = text;
            self.push(parameter);
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

    /// Adds a parameter, with a Rust name that no other has.
    fn push(&mut self, mut parameter: Value) {
        let name = parameter["name"].as_str().unwrap_or_default().to_string();
        let place = parameter["in"].as_str().unwrap_or_default().to_string();
        if self.done.iter().any(|other| is_same(other, &parameter)) {
            self.not_sent
                .push(format!("{place} `{name}` a second time"));
            return self.note(&name, "a second parameter of this name", "dropped");
        }
        let names: Vec<String> = self.done.iter().map(rust_name).collect();
        let is_free = |name: &str| {
            !names.iter().any(|own| own == name)
                && !TAKEN.contains(&name)
                && (name != BODY || !self.has_body)
        };
        let wanted = argument(&name);
        let given = if is_free(&wanted) {
            wanted
        } else {
            let places = self
                .done
                .iter()
                .any(|other| rust_name(other) == wanted && other["in"] == *place);
            let stem = if places {
                wanted
            } else {
                format!("{wanted}_{place}")
            };
            unique(&stem, |name| !is_free(name))
        };
        let object = parameter.as_object_mut().expect("a well-formed parameter");
        let before = object.remove(RUST_NAME);
        if given != snake(&name) {
            object.insert(RUST_NAME.into(), json!(given));
            if before != Some(json!(given)) {
                self.note(&name, "no Rust name of its own", &given);
            }
        }
        self.done.push(parameter);
    }

    fn note(&mut self, name: &str, before: impl std::fmt::Display, after: &str) {
        self.report
            .note(format!("{}/{}", self.pointer, escape(name)), before, after);
    }
}

/// Returns the Rust name of a parameter.
pub(crate) fn rust_name(parameter: &Value) -> String {
    let given = parameter[RUST_NAME].as_str().map(str::to_string);
    given.unwrap_or_else(|| snake(parameter["name"].as_str().unwrap_or_default()))
}

/// Returns whether a header can have this name (RFC 9110 5.6.2).
fn is_token(name: &str) -> bool {
    let signs = "!#$%&'*+-.^_`|~";
    !name.is_empty()
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || signs.contains(c))
}

#[cfg(test)]
mod tests;
