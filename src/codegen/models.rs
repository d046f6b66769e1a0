//! What the generator's models lack: lenient decoding, room for new fields,
//! and JSON Schema.

use quote::ToTokens;
use syn::{Item, ItemStruct, parse_quote};

/// Native types of fields, and what decodes them leniently.
const LENIENT: [(&str, &str); 4] = [
    (
        "::std::string::String",
        "crate::value::lenient::required_text",
    ),
    (
        "::std::option::Option<::std::string::String>",
        "crate::value::lenient::text",
    ),
    (
        "::std::option::Option<i64>",
        "crate::value::lenient::integer",
    ),
    (
        "::std::option::Option<bool>",
        "crate::value::lenient::boolean",
    ),
];

/// Models decode leniently, and give their JSON Schema on request.
pub(super) fn adapt_types(items: &mut [Item]) {
    for item in items {
        let attributes = match item {
            Item::Struct(model) => {
                lenient_fields(model);
                // The vendor may add fields: a caller's literal would break.
                if matches!(model.fields, syn::Fields::Named(_)) {
                    model.attrs.push(parse_quote!(#[non_exhaustive]));
                }
                &mut model.attrs
            }
            Item::Enum(model) => &mut model.attrs,
            _ => continue,
        };
        attributes.push(parse_quote!(
            #[cfg_attr(feature = "schemars", derive(::schemars::JsonSchema))]
        ));
    }
}

fn lenient_fields(model: &mut ItemStruct) {
    for field in &mut model.fields {
        let native = field.ty.to_token_stream().to_string().replace(' ', "");
        if let Some((name, decoder)) = LENIENT.iter().find(|(name, _)| *name == native) {
            field
                .attrs
                .push(parse_quote!(#[serde(deserialize_with = #decoder)]));
            // With a decoder of its own an absent field is no longer `None`.
            if name.starts_with("::std::option") {
                field.attrs.push(parse_quote!(#[serde(default)]));
            }
        }
    }
}
