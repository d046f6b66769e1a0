//! Validation of requests against the document, with messages that say what to do.

use std::collections::HashMap;
use std::sync::LazyLock;

use boon::{Compiler, Draft, ErrorKind, SchemaIndex, Schemas, Type, ValidationError};
use serde_json::{Map, Value, json};

use crate::operations;
use crate::testing::server::call::{Call, Refusal};
use crate::testing::server::recorded::{DOCUMENT, described};

/// Rejects a call that does not match its operation in the document.
pub(in crate::testing) fn check(call: &Call<'_>) -> Result<(), Refusal> {
    let mut reasons = Vec::new();
    let arguments = arguments(call, &mut reasons);
    let id = call.operation.id;
    let query = Place::Query(id);
    reasons.extend(faults(&query, &format!("{id}/query"), &arguments));
    if let Some(content) = described(call.operation).get("requestBody") {
        let needed = content["required"] == true;
        match call.body {
            Some(body) => {
                let body = without_cleared(call, body);
                reasons.extend(faults(&Place::Body(id), &format!("{id}/body"), &body));
            }
            None if needed => reasons.push(format!("{id} requires a JSON body")),
            None => {}
        }
    } else if call.body.is_some_and(|body| *body != json!({})) {
        reasons.push(format!("{id} accepts no body"));
    }
    Refusal::if_any(&reasons)
}

/// Returns the body without the fields that it clears: an update may send an explicit null for
/// every field that it can set. Which of them the vendor accepts is not documented.
fn without_cleared(call: &Call<'_>, body: &Value) -> Value {
    let mut body = body.clone();
    if call.operation.method == "PATCH"
        && let Some(fields) = body.as_object_mut()
    {
        let id = call.operation.id;
        let schema = CONTRACT.schemas.pointer(&format!("/operations/{id}/body"));
        let address = schema.and_then(|schema| schema["$ref"].as_str());
        let known = address.map_or(vec![], |address| CONTRACT.known(address));
        fields.retain(|name, value| !value.is_null() || !known.contains(&name.as_str()));
    }
    body
}

/// The parameters and bodies of the document, as JSON Schema that allows nothing else.
static CONTRACT: LazyLock<Contract> = LazyLock::new(Contract::of_document);

struct Contract {
    /// The schemas, to look up the names that each one allows.
    schemas: Value,
    compiled: Schemas,
    places: HashMap<String, SchemaIndex>,
}

/// The base URI of the schemas. Nothing is fetched from it.
const ADDRESS: &str = "https://fake.invalid/contract.json";

impl Contract {
    fn of_document() -> Self {
        let mut components = DOCUMENT["components"].clone();
        as_json_schema(&mut components["schemas"]);
        let mut contract = json!({ "components": components });
        for operation in operations::all() {
            let described = described(operation);
            let mut query = json!({"type": "object", "properties": {}, "required": []});
            let parameters = described["parameters"].as_array().into_iter().flatten();
            for parameter in parameters.filter(|parameter| parameter["in"] == "query") {
                let name = parameter["name"].as_str().unwrap_or_default();
                query["properties"][name] = parameter["schema"].clone();
                if parameter["required"] == true
                    && let Some(required) = query["required"].as_array_mut()
                {
                    required.push(name.into());
                }
            }
            let mut own = json!({ "query": query });
            let content = &described["requestBody"]["content"]["application/json"];
            if let Some(schema) = content.get("schema") {
                own["body"] = schema.clone();
            }
            as_json_schema(&mut own);
            contract["operations"][operation.id] = own;
        }
        let mut compiler = Compiler::new();
        compiler.set_default_draft(Draft::V2020_12);
        compiler.enable_format_assertions();
        compiler
            .add_resource(ADDRESS, contract.clone())
            .expect("a valid URI");
        let mut compiled = Schemas::new();
        let mut places = HashMap::new();
        let operations = contract["operations"].as_object();
        for (id, own) in operations.into_iter().flatten() {
            for part in own.as_object().into_iter().flatten().map(|(part, _)| part) {
                let place = format!("{id}/{part}");
                let index = compiler
                    .compile(&format!("{ADDRESS}#/operations/{place}"), &mut compiled)
                    .expect("the schemas of the document compile");
                places.insert(place, index);
            }
        }
        Self {
            schemas: contract,
            compiled,
            places,
        }
    }

    /// Returns the property names of the schema at a URI.
    fn known(&self, address: &str) -> Vec<&str> {
        let pointer = address.split_once('#').map_or("", |(_, pointer)| pointer);
        let pointer = percent_encoding::percent_decode_str(pointer).decode_utf8_lossy();
        let schema = self.schemas.pointer(&pointer);
        let properties = schema.and_then(|schema| schema["properties"].as_object());
        properties
            .into_iter()
            .flatten()
            .map(|(name, _)| name.as_str())
            .collect()
    }
}

/// Converts OpenAPI 3.0 schemas to JSON Schema, and disallows additional properties.
fn as_json_schema(schema: &mut Value) {
    match schema {
        Value::Array(schemas) => schemas.iter_mut().for_each(as_json_schema),
        Value::Object(own) => {
            own.values_mut().for_each(as_json_schema);
            if own.contains_key("properties") && !own.contains_key("additionalProperties") {
                own.insert("additionalProperties".into(), false.into());
            }
            if own.remove("nullable") == Some(Value::Bool(true)) {
                let schema = Value::Object(std::mem::take(own));
                own.insert("anyOf".into(), json!([schema, {"type": "null"}]));
            }
        }
        _ => {}
    }
}

/// Returns the query parameters, converted to the types of their schemas where possible.
fn arguments(call: &Call<'_>, reasons: &mut Vec<String>) -> Value {
    let mut arguments = Map::new();
    let id = call.operation.id;
    for (name, text) in &call.query {
        let pointer = format!("/operations/{id}/query/properties");
        let properties = CONTRACT.schemas.pointer(&pointer);
        let schema = properties.map_or(&Value::Null, |properties| &properties[name.as_str()]);
        let value: Value = match schema["type"].as_str() {
            Some("integer") => text
                .parse::<i64>()
                .map_or_else(|_| text.as_str().into(), Value::from),
            Some("array") => {
                let own = arguments.entry(name.clone()).or_insert_with(|| json!([]));
                own.as_array_mut()
                    .into_iter()
                    .for_each(|own| own.push(text.as_str().into()));
                continue;
            }
            _ => text.as_str().into(),
        };
        if arguments.insert(name.clone(), value).is_some() {
            reasons.push(format!("`{name}` is given more than once for {id}"));
        }
    }
    arguments.into()
}

/// The part of a request that has a fault.
enum Place {
    Query(&'static str),
    Body(&'static str),
}

fn faults(place: &Place, schema: &str, value: &Value) -> Vec<String> {
    let Some(index) = CONTRACT.places.get(schema) else {
        return Vec::new();
    };
    let mut reasons = Vec::new();
    if let Err(error) = CONTRACT.compiled.validate(value, *index) {
        place.explain(&error, &mut reasons);
    }
    reasons
}

impl Place {
    /// Adds what is wrong, without the values, which may be health data.
    fn explain(&self, error: &ValidationError<'_, '_>, reasons: &mut Vec<String>) {
        let (Self::Query(id) | Self::Body(id)) = self;
        let at = path(&error.instance_location.to_string());
        let field = |name: &str| match at.as_str() {
            "" => name.to_string(),
            at => format!("{at}.{name}"),
        };
        let known = || CONTRACT.known(error.schema_url).join(", ");
        match &error.kind {
            ErrorKind::AdditionalProperties { got } => {
                reasons.extend(got.iter().map(|name| match self {
                    Self::Query(_) if known().is_empty() => {
                        format!("`{name}` is not a parameter of {id}, which has none")
                    }
                    Self::Query(_) => {
                        format!(
                            "`{name}` is not a parameter of {id}; its parameters: {}",
                            known()
                        )
                    }
                    Self::Body(_) => format!(
                        "`{}` is not a field of the body of {id}; its fields: {}",
                        field(name),
                        known()
                    ),
                }));
            }
            ErrorKind::Required { want } => {
                reasons.extend(want.iter().map(|name| {
                    let what = match self {
                        Self::Query(_) => "parameter",
                        Self::Body(_) => "field",
                    };
                    format!("`{}` is missing: {id} requires this {what}", field(name))
                }));
            }
            ErrorKind::Type { want, .. } => {
                let want: Vec<_> = want.iter().map(kind).collect();
                reasons.push(format!("`{at}` must be {}", want.join(" or ")));
            }
            ErrorKind::Enum { want } => {
                let want: Vec<_> = want.iter().filter_map(Value::as_str).collect();
                reasons.push(format!("`{at}` must be one of {}", want.join(", ")));
            }
            ErrorKind::Format { want, .. } => {
                let such_as = match *want {
                    "date" => ", such as 1977-01-12",
                    "date-time" => ", such as 2026-01-31T12:00:00Z",
                    _ => "",
                };
                reasons.push(format!("`{at}` must be in the format {want}{such_as}"));
            }
            ErrorKind::OneOf(_) | ErrorKind::AnyOf => self.explain_choice(error, &at, reasons),
            _ if error.causes.is_empty() => {
                reasons.push(format!(
                    "`{at}` does not match the document: {}",
                    error.kind
                ));
            }
            _ => {
                let causes = error.causes.iter();
                causes.for_each(|cause| self.explain(cause, reasons));
            }
        }
    }

    /// Explains why no schema of a choice matches: the types that all of them expect, or the faults
    /// inside the one whose type matches.
    fn explain_choice(&self, error: &ValidationError<'_, '_>, at: &str, reasons: &mut Vec<String>) {
        let mut kinds = Vec::new();
        for cause in &error.causes {
            let mut own = Vec::new();
            leaves(cause, &mut own);
            let types = own.iter().filter_map(|leaf| match &leaf.kind {
                ErrorKind::Type { want, .. }
                    if leaf.instance_location.to_string()
                        == error.instance_location.to_string() =>
                {
                    Some(want.iter().map(kind).collect::<Vec<_>>().join(" or "))
                }
                _ => None,
            });
            let types: Vec<String> = types.collect();
            if types.is_empty() {
                return self.explain(cause, reasons);
            } else {
                kinds.extend(types)
            }
        }
        kinds.dedup();
        reasons.push(format!("`{at}` must be {}", kinds.join(" or ")));
    }
}

/// Collects the errors without causes.
fn leaves<'e, 's, 'v>(
    error: &'e ValidationError<'s, 'v>,
    found: &mut Vec<&'e ValidationError<'s, 'v>>,
) {
    if error.causes.is_empty() {
        found.push(error)
    } else {
        error.causes.iter().for_each(|cause| leaves(cause, found))
    }
}

/// Converts a pointer to a path: `/recommendations/0/variant_id` becomes
/// `recommendations[0].variant_id`.
fn path(pointer: &str) -> String {
    let mut path = String::new();
    for part in pointer.split('/').skip(1) {
        if part.parse::<usize>().is_ok() {
            path += &format!("[{part}]");
        } else {
            if !path.is_empty() {
                path.push('.');
            }
            path += &part.replace("~1", "/").replace("~0", "~");
        }
    }
    path
}

/// Returns the name of a type as error messages show it.
fn kind(kind: Type) -> &'static str {
    match kind {
        Type::Null => "null",
        Type::Boolean => "true or false",
        Type::Number => "a number",
        Type::Integer => "an integer",
        Type::String => "a string",
        Type::Array => "an array",
        Type::Object => "an object",
    }
}
