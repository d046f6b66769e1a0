//! Reads `syn` items: the names of types and fields, and texts.

use quote::ToTokens;
use syn::{Expr, Item, ItemStruct, Lit, Type};

pub(super) fn derives(model: &ItemStruct, wanted: &str) -> bool {
    model.attrs.iter().any(|attribute| {
        let text = attribute.to_token_stream().to_string();
        attribute.path().is_ident("derive") && text.contains(wanted)
    })
}

/// The type of `meta` in an answer.
pub(super) fn meta(answer: &str, types: &[&Item]) -> String {
    let field = types.iter().find_map(|item| match item {
        Item::Struct(model) if model.ident == answer => model
            .fields
            .iter()
            .find(|field| field_name(field) == "meta"),
        _ => None,
    });
    field.map_or("any".into(), |field| short(&field.ty))
}

pub(super) fn field_name(field: &syn::Field) -> String {
    field
        .ident
        .as_ref()
        .map(ToString::to_string)
        .unwrap_or_default()
}

pub(super) fn text(expression: &Expr) -> Option<String> {
    match expression {
        Expr::Lit(literal) => match &literal.lit {
            Lit::Str(text) => Some(text.value()),
            _ => None,
        },
        _ => None,
    }
}

pub(super) fn last_segment(ty: &Type) -> String {
    match ty {
        Type::Path(path) => {
            let last = path.path.segments.last();
            last.map(|last| last.ident.to_string()).unwrap_or_default()
        }
        _ => String::new(),
    }
}

pub(super) fn arguments(ty: &Type) -> Vec<&Type> {
    let Type::Path(path) = ty else { return vec![] };
    let Some(last) = path.path.segments.last() else {
        return vec![];
    };
    let syn::PathArguments::AngleBracketed(list) = &last.arguments else {
        return vec![];
    };
    let types = list.args.iter().filter_map(|argument| match argument {
        syn::GenericArgument::Type(ty) => Some(ty),
        _ => None,
    });
    types.collect()
}

/// The `T` of `Option<T>` and of `Result<T, E>`.
pub(super) fn only_argument(ty: &Type) -> Option<&Type> {
    arguments(ty).first().copied()
}

/// A type without the paths of its parts.
pub(super) fn short(ty: &Type) -> String {
    if !matches!(ty, Type::Path(_)) {
        return ty.to_token_stream().to_string();
    }
    match arguments(ty).into_iter().map(short).collect::<Vec<_>>() {
        none if none.is_empty() => last_segment(ty),
        some => format!("{}<{}>", last_segment(ty), some.join(", ")),
    }
}
