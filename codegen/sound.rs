//! Finds errors that generated code can have although it parses: two fields with one name, or two
//! decoders on one field.
//!
//! The check rejects such a document before it replaces one that works.

use std::collections::BTreeSet;

use quote::ToTokens;
use syn::{ImplItem, Item};

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
