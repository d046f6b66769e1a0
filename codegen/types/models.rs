//! Adds to the generated models: lenient decoding from objects only, `#[non_exhaustive]`, a `Debug`
//! that shows ids and no health data, and JSON Schema.

use quote::{ToTokens, quote};
use serde_json::Value;
use syn::punctuated::Punctuated;
use syn::{Item, ItemStruct, Token, parse_quote};

use super::own_types::components;
use crate::codegen::syntax;

/// Native field types and the functions that decode them leniently.
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

pub(crate) fn adapt_types(items: &mut Vec<Item>, document: &Value) {
    let ids: Vec<String> = components(document)
        .filter(|(_, schema)| schema["x-id"].is_string())
        .map(|(name, _)| format!("crate::types::{name}"))
        .collect();
    let mut added = Vec::new();
    for item in items.iter_mut() {
        let attributes = match item {
            Item::Struct(model) => {
                lenient_fields(model);
                // The API may add fields, which would break struct literals in callers' code.
                if matches!(model.fields, syn::Fields::Named(_)) {
                    added.push(object_decoder(model));
                    without_derived(&mut model.attrs, "Deserialize");
                    model.attrs.push(parse_quote!(#[non_exhaustive]));
                }
                added.push(hiding_debug(model, &ids));
                &mut model.attrs
            }
            Item::Enum(model) => {
                added.push(opaque_debug(&model.ident, &model.generics));
                &mut model.attrs
            }
            _ => continue,
        };
        without_derived(attributes, "Debug");
        attributes.push(parse_quote!(
            #[cfg_attr(feature = "schemars", derive(::schemars::JsonSchema))]
        ));
    }
    items.extend(added);
}

pub(crate) fn opaque_debug(name: &syn::Ident, generics: &syn::Generics) -> Item {
    let text = name.to_string();
    let (implemented, of, bounds) = generics.split_for_impl();
    parse_quote! {
        /// Shows only the type name, because the value may be health data.
        impl #implemented ::std::fmt::Debug for #name #of #bounds {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.debug_struct(#text).finish_non_exhaustive()
            }
        }
    }
}

fn hiding_debug(model: &ItemStruct, ids: &[String]) -> Item {
    let syn::Fields::Named(fields) = &model.fields else {
        return opaque_debug(&model.ident, &model.generics);
    };
    let (name, text) = (&model.ident, model.ident.to_string());
    let shown = fields.named.iter().filter_map(|field| {
        let ident = field.ident.as_ref()?;
        let text = ident.to_string();
        let optional = syntax::text(&field.ty);
        let is_id = |text: &str| ids.iter().any(|id| id == text);
        let inner = optional.strip_prefix("::std::option::Option<");
        let inner = inner.and_then(|inner| inner.strip_suffix('>'));
        Some(if is_id(&optional) {
            quote!(shown.field(#text, &self.#ident);)
        } else if inner.is_some_and(is_id) {
            quote!(if let Some(id) = &self.#ident { shown.field(#text, id); })
        } else if optional.starts_with("::std::option::Option") {
            quote!(if self.#ident.is_some() { shown.field(#text, &crate::value::Hidden); })
        } else if optional.starts_with("crate::value::Update") {
            quote!(if !self.#ident.is_unchanged() { shown.field(#text, &crate::value::Hidden); })
        } else if optional.starts_with("::serde_json::Map<") {
            quote!(if !self.#ident.is_empty() { shown.field(#text, &crate::value::Hidden); })
        } else {
            quote!(shown.field(#text, &crate::value::Hidden);)
        })
    });
    parse_quote! {
        /// Shows ids, and which other fields are set, but not their values, which may be health
        /// data. Serialize the value to see everything; in tests, use `testing::Expose`.
        impl ::std::fmt::Debug for #name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                let mut shown = f.debug_struct(#text);
                #(#shown)*
                shown.finish()
            }
        }
    }
}

/// Writes `Deserialize` for a model. The derived one would also accept a list, and read its elements
/// as fields by position.
fn object_decoder(model: &ItemStruct) -> Item {
    let (name, text) = (&model.ident, model.ident.to_string());
    let is_serde = |attribute: &&syn::Attribute| attribute.path().is_ident("serde");
    let own = model.attrs.iter().filter(is_serde);
    let fields = model.fields.iter().map(|field| {
        let (ident, ty) = (&field.ident, &field.ty);
        let attributes = field.attrs.iter().filter(is_serde);
        quote!(#(#attributes)* #ident: #ty)
    });
    parse_quote! {
        impl<'de> ::serde::Deserialize<'de> for #name {
            fn deserialize<D: ::serde::Deserializer<'de>>(
                deserializer: D,
            ) -> ::std::result::Result<Self, D::Error> {
                #[derive(::serde::Deserialize)]
                #[serde(remote = #text)]
                #(#own)*
                struct Fields {
                    #(#fields),*
                }
                Fields::deserialize(crate::value::object::OnlyObject(deserializer))
            }
        }
    }
}

/// Removes a trait from the derives.
fn without_derived(attributes: &mut [syn::Attribute], name: &str) {
    for attribute in attributes
        .iter_mut()
        .filter(|attribute| attribute.path().is_ident("derive"))
    {
        let traits =
            attribute.parse_args_with(Punctuated::<syn::Path, Token![,]>::parse_terminated);
        let Ok(traits) = traits else { continue };
        let is_kept = |path: &&syn::Path| path.segments.last().is_none_or(|own| own.ident != name);
        let kept = traits.iter().filter(is_kept);
        *attribute = parse_quote!(#[derive(#(#kept),*)]);
    }
}

fn lenient_fields(model: &mut ItemStruct) {
    for field in &mut model.fields {
        let native = syntax::text(&field.ty);
        if let Some((name, decoder)) = LENIENT.iter().find(|(name, _)| *name == native) {
            // progenitor's own decoder requires the field to be present, though it may be null.
            field.attrs.retain(|attribute| {
                let text = attribute.to_token_stream().to_string();
                !text.contains("Option::deserialize")
            });
            field
                .attrs
                .push(parse_quote!(#[serde(deserialize_with = #decoder)]));
            // With `deserialize_with`, an absent field is no longer `None` unless it has a default.
            if name.starts_with("::std::option") {
                field.attrs.push(parse_quote!(#[serde(default)]));
            }
        }
    }
}
