//! Recognizes list responses in the generated code.
//!
//! A response is a list if it has exactly one array. If the list is not paginated, the response may
//! have no other field than `meta`.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use serde_json::Value;
use syn::visit_mut::VisitMut;
use syn::{Item, ItemStruct, Type, parse_quote};

use crate::codegen::syntax::{self, is_called, text};
use crate::codegen::tables::wire_name;

/// How to extract the list from a response.
pub(crate) struct Shape {
    /// The type of the records.
    pub(crate) item: Type,
    /// The name of the list in the documentation.
    pub(crate) list: String,
    /// The name of the list in the response, if it is a field that the document declares.
    pub(crate) field: Option<String>,
    /// An expression that makes a `PageBody` from the variable `response`.
    pub(crate) read: TokenStream,
}

/// The generated types and the document they were generated from.
pub(crate) struct Known<'g> {
    models: BTreeMap<String, &'g ItemStruct>,
    /// The names of all generated types.
    names: BTreeSet<String>,
    document: &'g Value,
}

impl<'g> Known<'g> {
    pub(crate) fn of(types: &'g [Item], document: &'g Value) -> Self {
        let mut known = Self {
            models: BTreeMap::new(),
            names: BTreeSet::new(),
            document,
        };
        for item in types {
            let name = match item {
                Item::Struct(model) => {
                    known.models.insert(model.ident.to_string(), model);
                    model.ident.to_string()
                }
                Item::Enum(model) => model.ident.to_string(),
                Item::Type(alias) => alias.ident.to_string(),
                _ => continue,
            };
            known.names.insert(name);
        }
        known
    }

    /// Returns how to read an operation's response as a list, or why it is not one.
    pub(crate) fn shape(&self, response: &Type, paged: bool) -> Result<Shape, String> {
        self.shape_of(response, &quote!(response), paged)
    }

    fn shape_of(&self, ty: &Type, value: &TokenStream, paged: bool) -> Result<Shape, String> {
        if let Some(item) = argument(ty, "Vec") {
            let id = self.id_of(item);
            return Ok(Shape {
                item: self.qualified(item),
                list: "the list".into(),
                field: None,
                read: quote!(crate::client::page::list::PageBody::new(#value, #id, None)),
            });
        }
        let name = text(ty);
        if name == "::serde_json::Value" || name.starts_with("::serde_json::Map<") {
            return if paged {
                Ok(Shape {
                    item: parse_quote!(::serde_json::Value),
                    list: "the only list of a response of unknown shape".into(),
                    field: None,
                    read: quote!(crate::client::page::list::OneArray(#value.into()).into()),
                })
            } else {
                Err("its response has no known shape".into())
            };
        }
        let fields = match self.model(ty).map(|model| &model.fields) {
            Some(syn::Fields::Named(fields)) => &fields.named,
            Some(syn::Fields::Unnamed(fields)) if fields.unnamed.len() == 1 => {
                return self.shape_of(&fields.unnamed[0].ty, &quote!(#value.0), paged);
            }
            _ => return Err("its response is not an object".into()),
        };
        let named = |name: &str| fields.iter().find(|field| is_called(field, name));
        let lists: Vec<_> = fields
            .iter()
            .filter(|field| !is_called(field, "meta"))
            .filter_map(|field| {
                let optional = argument(&field.ty, "Option");
                let item = argument(optional.unwrap_or(&field.ty), "Vec")?;
                Some((field, optional.is_some(), item))
            })
            .collect();
        let &[(field, optional, item)] = lists.as_slice() else {
            return Err(format!("its response has {} lists", lists.len()));
        };
        let Some(name) = &field.ident else {
            return Err("its list has no name".into());
        };
        if !paged && fields.len() > 1 + usize::from(named("meta").is_some()) {
            return Err("its response has more than a list".into());
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
            field: wire_name(field),
            // Moving the list out of the response must come last.
            read: quote!({
                let meta = #meta;
                crate::client::page::list::PageBody::new(#items, #id, meta)
            }),
        })
    }

    /// Returns a closure that reads a record's id, if the field `id` has an id type.
    ///
    /// An `id` of another type need not identify the record: the `id` of `Metadatum` is chosen by
    /// the caller and is not unique.
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

    /// Returns whether the type is a model without required fields.
    pub(crate) fn has_default(&self, ty: &Type) -> bool {
        self.model(ty).is_some_and(|model| {
            model.attrs.iter().any(|attribute| {
                attribute.path().is_ident("derive")
                    && attribute.to_token_stream().to_string().contains("Default")
            })
        })
    }

    fn model(&self, ty: &Type) -> Option<&ItemStruct> {
        let Type::Path(path) = ty else {
            return None;
        };
        let name = path.path.segments.last()?.ident.to_string();
        self.models.get(&name).copied()
    }

    /// Returns a type of `types.rs` as `client.rs` names it.
    fn qualified(&self, ty: &Type) -> Type {
        let mut ty = ty.clone();
        Qualify(&self.names).visit_type_mut(&mut ty);
        ty
    }
}

/// Puts `types::` before these names.
struct Qualify<'n>(&'n BTreeSet<String>);

impl VisitMut for Qualify<'_> {
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

/// Returns the `T` of a generic type with this name: `Vec<T>`, `::std::option::Option<T>`.
fn argument<'t>(ty: &'t Type, name: &str) -> Option<&'t Type> {
    let (own, argument) = syntax::argument(ty)?;
    (own == name).then_some(argument)
}
