//! Finds errors that generated code can have although it parses: two fields with one name, two
//! decoders on one field, or a type that is not this crate's.
//!
//! The check rejects such a document before it replaces one that works.

use std::collections::BTreeSet;

use quote::ToTokens;
use syn::visit::Visit;
use syn::{ImplItem, Item, Type};

use super::syntax::text;

/// The types that fields may have besides generated ones and those of `crate::value`.
const KNOWN: [&str; 10] = [
    "::reqwest::Body",
    "::serde_json::Map",
    "::serde_json::Value",
    "::std::boxed::Box",
    "::std::collections::BTreeMap",
    "::std::option::Option",
    "::std::string::String",
    "::std::vec::Vec",
    "bool",
    "i64",
];

/// Returns an error that names the first field of a type that is not this crate's.
///
/// The generator writes such a type where it does not recognize the schema of a value type: the
/// crate would not compile, or users would get `f64` instead of `Decimal`.
pub(super) fn no_foreign_types(items: &[Item], place: &str) -> Result<(), String> {
    let own: BTreeSet<String> = items
        .iter()
        .filter_map(|item| match item {
            Item::Struct(model) => Some(model.ident.to_string()),
            Item::Enum(model) => Some(model.ident.to_string()),
            Item::Type(alias) => Some(alias.ident.to_string()),
            _ => None,
        })
        .collect();
    for item in items {
        let (name, types): (_, Vec<&Type>) = match item {
            Item::Struct(model) => (
                &model.ident,
                model.fields.iter().map(|own| &own.ty).collect(),
            ),
            Item::Enum(model) => {
                let fields = model.variants.iter().flat_map(|variant| &variant.fields);
                (&model.ident, fields.map(|own| &own.ty).collect())
            }
            Item::Type(alias) => (&alias.ident, vec![&*alias.ty]),
            Item::Mod(module) if module.ident == "builder" => {
                if let Some((_, members)) = &module.content {
                    no_foreign_types(members, "builder::")?;
                }
                continue;
            }
            _ => continue,
        };
        for ty in types {
            let mut found = Foreign {
                own: &own,
                found: None,
            };
            found.visit_type(ty);
            if let Some(foreign) = found.found {
                return Err(format!(
                    "{place}{name} has a field of the foreign type `{foreign}`"
                ));
            }
        }
    }
    Ok(())
}

/// Finds a type that is not this crate's.
struct Foreign<'o> {
    own: &'o BTreeSet<String>,
    found: Option<String>,
}

impl Visit<'_> for Foreign<'_> {
    fn visit_type(&mut self, ty: &Type) {
        let known = match ty {
            Type::Path(path) => {
                let mut bare = path.clone();
                for segment in &mut bare.path.segments {
                    segment.arguments = syn::PathArguments::None;
                }
                let name = text(&Type::Path(bare));
                let ours = ["crate::value::", "crate::types::", "types::"];
                ours.iter().any(|start| name.starts_with(start))
                    || KNOWN.contains(&name.as_str())
                    || self.own.contains(&name)
                    || name == "Client"
            }
            _ => false,
        };
        if known {
            syn::visit::visit_type(self, ty);
        } else {
            self.found.get_or_insert_with(|| text(ty));
        }
    }
}

/// Returns an error that names the first duplicate.
pub(super) fn check(items: &[Item], place: &str) -> Result<(), String> {
    let mut types = BTreeSet::new();
    for item in items {
        match item {
            Item::Struct(model) => {
                let name = format!("{place}{}", model.ident);
                once(&mut types, &name)?;
                let mut fields = BTreeSet::new();
                for field in &model.fields {
                    let field_name = field.ident.as_ref().map(ToString::to_string);
                    let field_name = format!("{name}.{}", field_name.unwrap_or_default());
                    if field.ident.is_some() {
                        once(&mut fields, &field_name)?;
                    }
                    let attributes = field
                        .attrs
                        .iter()
                        .map(|attribute| attribute.to_token_stream().to_string());
                    if attributes
                        .filter(|text| text.contains("deserialize_with"))
                        .count()
                        > 1
                    {
                        return Err(format!("{field_name} has two decoders"));
                    }
                }
            }
            Item::Enum(model) => once(&mut types, &format!("{place}{}", model.ident))?,
            Item::Impl(block) if block.trait_.is_none() => {
                let own = block.self_ty.to_token_stream().to_string();
                let mut methods = BTreeSet::new();
                for member in &block.items {
                    if let ImplItem::Fn(method) = member {
                        once(&mut methods, &format!("{place}{own}::{}", method.sig.ident))?;
                    }
                }
            }
            Item::Mod(module) => {
                if let Some((_, members)) = &module.content {
                    check(members, &format!("{place}{}::", module.ident))?;
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn once(seen: &mut BTreeSet<String>, name: &str) -> Result<(), String> {
    if seen.insert(name.to_string()) {
        Ok(())
    } else {
        Err(format!("{name} is defined twice"))
    }
}
