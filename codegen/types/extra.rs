//! Adds a field for the fields that a model does not declare, where the document allows them.
//!
//! The values are any JSON, because a value of another type must not cost the whole object.

use serde_json::Value;
use syn::{Field, Fields, Item, parse_quote};

/// Names of the field; the first one that no declared field has is used.
const NAMES: [&str; 4] = ["extra", "extra_fields", "other_fields", "undeclared_fields"];

/// Adds the field to each model whose schema has `additionalProperties` beside `properties`.
pub(crate) fn add(types: &mut [Item], document: &Value) {
    for item in types {
        let Item::Struct(model) = item else {
            continue;
        };
        let schema = &document["components"]["schemas"][model.ident.to_string()];
        let is_open =
            schema["properties"].is_object() && schema["additionalProperties"].is_object();
        let Fields::Named(fields) = &mut model.fields else {
            continue;
        };
        let is_free = |name: &&str| {
            let mut fields = fields.named.iter().filter_map(|field| field.ident.as_ref());
            !fields.any(|field| field == name)
        };
        if let Some(name) = NAMES.into_iter().find(is_free).filter(|_| is_open) {
            let name = quote::format_ident!("{name}");
            let field: Field = parse_quote! {
                /// Fields that the document does not declare, by their names.
                #[serde(flatten)]
                pub #name: ::serde_json::Map<::std::string::String, ::serde_json::Value>
            };
            fields.named.push(field);
        }
    }
}
