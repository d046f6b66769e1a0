//! Reads one type of the generated `types.rs`: a model, an id, a set of values.

use std::collections::BTreeMap;

use quote::ToTokens;
use syn::{Attribute, Fields, Item, ItemEnum, ItemMacro, ItemStruct};

use super::syntax::{derives, field_name, short, text};
use super::{Field, Type as Named, Variant};

/// One item of `types.rs` with its name, unless it is code of another.
pub(super) fn named(
    item: &Item,
    constructors: &BTreeMap<String, Vec<String>>,
) -> Result<Option<(String, Named)>, String> {
    Ok(Some(match item {
        Item::Struct(model) => (model.ident.to_string(), structure(model, constructors)?),
        Item::Enum(model) => (model.ident.to_string(), closed_set(model)),
        Item::Macro(call) if is_macro(call, "open_enum") => open_set(call)?,
        Item::Macro(call) if is_macro(call, "id_type") => id(call)?,
        Item::Type(alias) => (alias.ident.to_string(), Named::Alias(short(&alias.ty))),
        // Builders of the structs, and the code of both.
        Item::Impl(_) | Item::Mod(_) => return Ok(None),
        other => {
            return Err(format!(
                "an item of a new kind: {}",
                other.to_token_stream()
            ));
        }
    }))
}

fn structure(
    model: &ItemStruct,
    constructors: &BTreeMap<String, Vec<String>>,
) -> Result<Named, String> {
    let fields = match &model.fields {
        Fields::Named(fields) => &fields.named,
        fields => {
            let inner: String = fields.iter().map(|field| short(&field.ty)).collect();
            return Ok(Named::Wrapper(inner));
        }
    };
    let fields = fields.iter().map(|field| {
        let name = field_name(field);
        let wire =
            renamed(&field.attrs).map_err(|error| format!("{}.{name}: {error}", model.ident));
        Ok(Field {
            wire: wire?.unwrap_or_else(|| name.clone()),
            ty: short(&field.ty),
            name,
        })
    });
    let has = |wanted: &str| {
        model
            .attrs
            .iter()
            .any(|attribute| attribute.path().is_ident(wanted))
    };
    Ok(Named::Model {
        fields: fields.collect::<Result<_, String>>()?,
        default: derives(model, "Default"),
        exhaustive: !has("non_exhaustive"),
        constructor: constructors
            .get(&model.ident.to_string())
            .cloned()
            .unwrap_or_default(),
    })
}

fn closed_set(model: &ItemEnum) -> Named {
    let values = model.variants.iter().map(|variant| Variant {
        name: variant.ident.to_string(),
        text: variant.to_token_stream().to_string(),
    });
    Named::Values {
        values: values.collect(),
        closed: true,
    }
}

fn open_set(call: &ItemMacro) -> Result<(String, Named), String> {
    let set: ItemEnum = call.mac.parse_body().map_err(|error| error.to_string())?;
    let values = set.variants.iter().map(|variant| {
        let value = variant.discriminant.as_ref();
        Ok(Variant {
            name: variant.ident.to_string(),
            text: value
                .and_then(|(_, value)| text(value))
                .ok_or(format!("{}::{} has no text", set.ident, variant.ident))?,
        })
    });
    let values = values.collect::<Result<_, String>>()?;
    Ok((
        set.ident.to_string(),
        Named::Values {
            values,
            closed: false,
        },
    ))
}

fn id(call: &ItemMacro) -> Result<(String, Named), String> {
    let parse = |input: syn::parse::ParseStream<'_>| {
        let id: ItemStruct = input.parse()?;
        let kind: syn::LitStr = input.parse()?;
        Ok((id.ident.to_string(), Named::Id(kind.value())))
    };
    call.mac
        .parse_body_with(parse)
        .map_err(|error| error.to_string())
}

fn is_macro(call: &ItemMacro, name: &str) -> bool {
    let last = call.mac.path.segments.last();
    last.is_some_and(|last| last.ident == name)
}

/// What `#[serde(rename = "..")]` says.
fn renamed(attributes: &[Attribute]) -> syn::Result<Option<String>> {
    let mut renamed = None;
    for attribute in attributes {
        if !attribute.path().is_ident("serde") {
            continue;
        }
        attribute.parse_nested_meta(|meta| {
            if meta.input.peek(syn::Token![=]) {
                let value: syn::LitStr = meta.value()?.parse()?;
                if meta.path.is_ident("rename") {
                    renamed = Some(value.value());
                }
            }
            Ok(())
        })?;
    }
    Ok(renamed)
}
