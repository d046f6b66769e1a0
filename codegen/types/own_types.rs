//! Id types and open enums.
//!
//! They replace progenitor's types, which would reject unknown values and let ids of different
//! kinds be confused.

use std::fmt::Write as _;

use heck::ToPascalCase;
use serde_json::Value;

use super::docs::Used;

pub(crate) fn components(document: &Value) -> impl Iterator<Item = (&String, &Value)> {
    document["components"]["schemas"]
        .as_object()
        .into_iter()
        .flatten()
}

/// Returns whether the type of this schema is written here instead of by progenitor.
pub(crate) fn is_own(schema: &Value) -> bool {
    schema["x-id"].is_string() || schema["type"] == "string" && schema["enum"].is_array()
}

pub(crate) fn own_types(document: &Value, used: &Used) -> String {
    let mut out = String::new();
    for (name, schema) in components(document).filter(|(_, schema)| is_own(schema)) {
        if let Some(kind) = schema["x-id"].as_str() {
            let article = if kind.starts_with(['a', 'e', 'i', 'o']) { "an" } else { "a" };
            let doc = format!("Identifier of {article} {kind}.");
            writeln!(out, "crate::value::id::id_type! {{ #[doc = {doc:?}] pub struct {name}; {kind:?} }}")
        } else {
            let mut taken = Vec::new();
            let values = schema["enum"].as_array().into_iter().flatten().filter_map(Value::as_str);
            let variants: Vec<_> =
                values.map(|value| format!("{} = {value:?}", variant(value, &mut taken))).collect();
            let doc = schema["description"].as_str().unwrap_or("A value from a set that may grow.");
            let doc = format!("{doc}\n\n{}", used.of_enum(name));
            writeln!(
                out,
                "crate::value::open_enum::open_enum! {{ #[doc = {doc:?}] pub enum {name} {{ {} }} }}",
                variants.join(", "),
            )
        }
        .expect("writing to a String does not fail");
    }
    out
}

/// Returns a variant name for a value, distinct from the names in `taken`, and adds it to them.
fn variant(value: &str, taken: &mut Vec<String>) -> String {
    let words: String = value
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    let mut name = words.to_pascal_case();
    if name.starts_with(|c: char| c.is_ascii_digit()) {
        name.insert(0, 'N');
    }
    if name == "Unknown" || syn::parse_str::<syn::Ident>(&name).is_err() {
        name.push_str("Value");
    }
    let stem = name.clone();
    for number in 2.. {
        if !taken.contains(&name) {
            break;
        }
        name = format!("{stem}{number}");
    }
    taken.push(name.clone());
    name
}
