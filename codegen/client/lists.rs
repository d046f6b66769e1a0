//! What is a list, read from the generated code itself, so that what is
//! written for it fits: an answer with one list, and beside it `meta` at most
//! where the list does not come in pages.

use std::collections::BTreeSet;

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use serde_json::Value;
use syn::visit_mut::VisitMut;
use syn::{Item, ItemStruct, Type, parse_quote};

use crate::codegen::syntax::{self, is_called, is_named, text};

/// How the list is taken out of an answer.
pub(crate) struct Shape {
    /// The type of its records.
    pub(crate) item: Type,
    /// What the documentation calls it.
    pub(crate) list: String,
    /// A `Found`, made of `answer`.
    pub(crate) read: TokenStream,
}

/// What was generated, and what from.
pub(crate) struct Known<'g> {
    pub(crate) types: &'g [Item],
    pub(crate) document: &'g Value,
}

impl Known<'_> {
    /// How to read an operation's answer, or why it is not one list.
    pub(crate) fn shape(&self, answer: &Type, paged: bool) -> Result<Shape, String> {
        self.shape_of(answer, &quote!(answer), paged)
    }

    fn shape_of(&self, ty: &Type, value: &TokenStream, paged: bool) -> Result<Shape, String> {
        if let Some(item) = argument(ty, "Vec") {
            let id = self.id_of(item);
            return Ok(Shape {
                item: self.qualified(item),
                list: "the list".into(),
                read: quote!(crate::client::page::list::Found::new(#value, #id, None)),
            });
        }
        let name = text(ty);
        if name == "::serde_json::Value" || name.starts_with("::serde_json::Map<") {
            return if paged {
                Ok(Shape {
                    item: parse_quote!(::serde_json::Value),
                    list: "the one list of an answer of unknown shape".into(),
                    read: quote!(crate::client::page::list::OneArray(#value.into()).into()),
                })
            } else {
                Err("its answer has no known shape".into())
            };
        }
        let fields = match self.model(ty).map(|model| &model.fields) {
            Some(syn::Fields::Named(fields)) => &fields.named,
            Some(syn::Fields::Unnamed(fields)) if fields.unnamed.len() == 1 => {
                return self.shape_of(&fields.unnamed[0].ty, &quote!(#value.0), paged);
            }
            _ => return Err("its answer is no object".into()),
        };
        let named = |name: &str| fields.iter().find(|field| is_called(field, name));
        let lists: Vec<_> = fields
            .iter()
            .filter(|field| !is_called(field, "meta"))
            .filter_map(|field| {
                let optional = argument(&field.ty, "Option");
                let item = argument(optional.unwrap_or(&field.ty), "Vec")?;
                Some((field.ident.as_ref()?, optional.is_some(), item))
            })
            .collect();
        let &[(name, optional, item)] = lists.as_slice() else {
            return Err(format!("its answer holds {} lists", lists.len()));
        };
        if !paged && fields.len() > 1 + usize::from(named("meta").is_some()) {
            return Err("its answer holds more than a list".into());
        }
        let id = self.id_of(item);
        let items = if optional {
            quote!(#value.#name.unwrap_or_default())
        } else {
            quote!(#value.#name)
        };
        let meta = match named("meta") {
            Some(_) => quote!(crate::client::page::list::meta(&#value.meta)),
            None => quote!(None),
        };
        Ok(Shape {
            item: self.qualified(item),
            list: format!("`{}`", name.to_string().trim_start_matches("r#")),
            // The list is moved out of the answer last.
            read: quote!({
                let meta = #meta;
                crate::client::page::list::Found::new(#items, #id, meta)
            }),
        })
    }

    /// What gives the id of a record, if it has one of the types that stand
    /// for ids. Another `id` need not be a record's own: that of `Metadatum`
    /// is the caller's, and stands on several.
    fn id_of(&self, item: &Type) -> TokenStream {
        if text(item).starts_with("::serde_json::") {
            return quote!(|item| crate::client::page::list::id_of(item.get("id")));
        }
        let fields = self.model(item).into_iter().flat_map(|model| &model.fields);
        let Some(id) = fields.into_iter().find(|field| is_called(field, "id")) else {
            return quote!(|_| None);
        };
        let optional = argument(&id.ty, "Option");
        let name = text(optional.unwrap_or(&id.ty));
        let name = name.rsplit("::").next().unwrap_or_default();
        let schema = &self.document["components"]["schemas"][name];
        match (schema["x-id"].is_string(), optional) {
            (false, _) => quote!(|_| None),
            (true, None) => quote!(|item| crate::client::page::list::known(item.id.as_str())),
            (true, Some(_)) => {
                quote!(|item| crate::client::page::list::known(item.id.as_ref()?.as_str()))
            }
        }
    }

    /// Whether the type is a model none of whose fields is required.
    pub(crate) fn has_default(&self, ty: &Type) -> bool {
        self.model(ty).is_some_and(|model| {
            model.attrs.iter().any(|attribute| {
                attribute.path().is_ident("derive")
                    && attribute.to_token_stream().to_string().contains("Default")
            })
        })
    }

    fn model(&self, ty: &Type) -> Option<&ItemStruct> {
        self.types.iter().find_map(|item| match item {
            Item::Struct(model) if is_named(ty, &model.ident) => Some(model),
            _ => None,
        })
    }

    /// A type of `types.rs`, as `client.rs` names it.
    fn qualified(&self, ty: &Type) -> Type {
        let names = self.types.iter().filter_map(|item| match item {
            Item::Struct(model) => Some(model.ident.to_string()),
            Item::Enum(model) => Some(model.ident.to_string()),
            Item::Type(alias) => Some(alias.ident.to_string()),
            _ => None,
        });
        let mut ty = ty.clone();
        Qualify(names.collect()).visit_type_mut(&mut ty);
        ty
    }
}

/// Puts `types::` before these names.
struct Qualify(BTreeSet<String>);

impl VisitMut for Qualify {
    fn visit_path_mut(&mut self, path: &mut syn::Path) {
        syn::visit_mut::visit_path_mut(self, path);
        if let [name] = path.segments.iter().collect::<Vec<_>>().as_slice()
            && path.leading_colon.is_none()
            && self.0.contains(&name.ident.to_string())
        {
            let name = (*name).clone();
            *path = parse_quote!(types::#name);
        }
    }
}

/// The `T` of a type called so: `Vec<T>`, `::std::option::Option<T>`.
fn argument<'t>(ty: &'t Type, name: &str) -> Option<&'t Type> {
    let (own, argument) = syntax::argument(ty)?;
    (own == name).then_some(argument)
}
