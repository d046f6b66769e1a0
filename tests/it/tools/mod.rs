//! Operations as tools: dialects, schemas, calls by name, masked results.

mod arguments;
mod calls;
mod dialects;
mod llms;
mod masking;
mod results;

use boon::{Compiler, Draft, SchemaIndex, Schemas};
use fullscript::tools::{self, ToolSet};
use serde_json::{Map, Value, json};

/// Compiles a schema, which fails if it is not valid JSON Schema 2020-12.
fn compiled(schema: &Value) -> (Schemas, SchemaIndex) {
    const ADDRESS: &str = "https://tools.invalid/schema.json";
    let mut compiler = Compiler::new();
    compiler.set_default_draft(Draft::V2020_12);
    compiler.enable_format_assertions();
    compiler.add_resource(ADDRESS, schema.clone()).unwrap();
    let mut schemas = Schemas::new();
    let index = compiler.compile(ADDRESS, &mut schemas).unwrap();
    (schemas, index)
}

/// Returns why a value does not match a schema.
fn mismatch(value: &Value, schema: &Value) -> Option<String> {
    let (schemas, index) = compiled(schema);
    let result = schemas.validate(value, index);
    result.err().map(|error| error.to_string())
}

/// The tools that read and those that write.
fn all_tools() -> ToolSet {
    let all = tools::all().iter();
    all.fold(ToolSet::empty(), |set, tool| {
        set.allow(tool.name()).unwrap()
    })
}

/// Makes a value of a schema, with the fields that are required or with all.
fn example(schema: &Value, with_all: bool) -> Value {
    if let Some(values) = schema["enum"].as_array() {
        return values[0].clone();
    }
    let types = match &schema["type"] {
        Value::Array(types) => &types[0],
        one => one,
    };
    match types.as_str() {
        Some("object") => {
            let required = schema["required"].as_array().cloned().unwrap_or_default();
            let properties = schema["properties"].as_object().into_iter().flatten();
            let fields = properties
                .filter(|(name, _)| with_all || required.contains(&name.as_str().into()))
                .map(|(name, schema)| (name.clone(), example(schema, with_all)));
            Value::Object(Map::from_iter(fields))
        }
        Some("array") => json!([example(&schema["items"], with_all)]),
        Some("integer" | "number") => 1.into(),
        Some("boolean") => true.into(),
        _ => match schema["format"].as_str() {
            Some("date") => "1977-01-12".into(),
            Some("date-time") => "2026-01-31T12:00:00Z".into(),
            _ => "7".into(),
        },
    }
}

/// Calls a function with each schema within a schema, and the number of objects around it.
fn walk(schema: &Value, depth: usize, visit: &mut impl FnMut(&Value, usize)) {
    visit(schema, depth);
    for (_, property) in schema["properties"].as_object().into_iter().flatten() {
        walk(property, depth + 1, visit);
    }
    for part in ["items", "additionalProperties"] {
        if schema[part].is_object() {
            walk(&schema[part], depth, visit);
        }
    }
    let alternatives = schema["anyOf"].as_array().into_iter().flatten();
    alternatives.for_each(|schema| walk(schema, depth, visit));
}
