//! Helpers to read and document `syn` items.

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::{Attribute, Ident, Item, Type, parse_quote};

/// Returns the name and the first argument of a generic type: `Vec` and `T` for `Vec<T>`.
pub(super) fn argument(ty: &Type) -> Option<(&syn::Ident, &Type)> {
    let Type::Path(path) = ty else {
        return None;
    };
    let last = path.path.segments.last()?;
    let syn::PathArguments::AngleBracketed(list) = &last.arguments else {
        return None;
    };
    match list.args.first()? {
        syn::GenericArgument::Type(argument) => Some((&last.ident, argument)),
        _ => None,
    }
}

/// Returns whether a field has this name.
pub(super) fn is_called(field: &syn::Field, name: &str) -> bool {
    field.ident.as_ref().is_some_and(|own| own == name)
}

/// Returns whether the last segment of a type's path has this name.
pub(super) fn is_named<N: ?Sized>(ty: &Type, name: &N) -> bool
where
    Ident: PartialEq<N>,
{
    matches!(ty, Type::Path(path)
        if path.path.segments.last().is_some_and(|last| last.ident == *name))
}

/// Returns the source text of a type without spaces.
pub(super) fn text(ty: &Type) -> String {
    ty.to_token_stream().to_string().replace(' ', "")
}

/// Returns the text of an item's documentation.
pub(super) fn documentation(attributes: &[Attribute]) -> String {
    let lines = attributes
        .iter()
        .filter_map(|attribute| match &attribute.meta {
            syn::Meta::NameValue(doc) if doc.path.is_ident("doc") => match &doc.value {
                syn::Expr::Lit(syn::ExprLit {
                    lit: syn::Lit::Str(text),
                    ..
                }) => Some(text.value()),
                _ => None,
            },
            _ => None,
        });
    lines.collect::<Vec<_>>().join("\n")
}

/// Replaces an item's documentation.
pub(super) fn set(attributes: &mut Vec<Attribute>, text: &str) {
    attributes.retain(|attribute| !attribute.path().is_ident("doc"));
    let lines = doc_lines(text).map(|line| -> Attribute { parse_quote!(#[doc = #line]) });
    let lines: Vec<_> = lines.collect();
    attributes.splice(0..0, lines);
}

/// Returns one `#[doc]` attribute per line.
pub(super) fn lines_of_docs(text: &str) -> TokenStream {
    let lines = doc_lines(text);
    quote!(#(#[doc = #lines])*)
}

fn doc_lines(text: &str) -> impl Iterator<Item = String> {
    text.lines().map(|line| match line {
        "" => String::new(),
        line => format!(" {line}"),
    })
}

/// Converts the first letter to lower case, unless the text begins with an abbreviation or a name.
pub(super) fn lower_first(text: &str) -> String {
    let mut letters = text.chars();
    match (letters.next(), letters.next()) {
        (Some(first), Some(second))
            if !second.is_uppercase() && !text.starts_with("Fullscript") =>
        {
            first.to_lowercase().chain(text.chars().skip(1)).collect()
        }
        _ => text.into(),
    }
}

/// Splits tokens into those of one item each, so that a large document can be parsed item by item:
/// its tokens alone take hundreds of megabytes.
pub(super) fn items(tokens: TokenStream) -> impl Iterator<Item = Vec<TokenTree>> {
    /// Items that end with a semicolon, also after a block.
    const STATEMENTS: [&str; 4] = ["const", "static", "type", "use"];
    let mut tokens = tokens.into_iter();
    std::iter::from_fn(move || {
        let mut item: Vec<TokenTree> = Vec::new();
        let mut keyword = String::new();
        for token in tokens.by_ref() {
            let ends = match &token {
                TokenTree::Ident(name) if keyword.is_empty() && name != "pub" => {
                    keyword = name.to_string();
                    false
                }
                TokenTree::Ident(name) if keyword == "const" && name == "fn" => {
                    keyword = name.to_string();
                    false
                }
                TokenTree::Group(group) => {
                    group.delimiter() == Delimiter::Brace && !STATEMENTS.contains(&keyword.as_str())
                }
                TokenTree::Punct(punct) => punct.as_char() == ';',
                _ => false,
            };
            item.push(token);
            if ends {
                return Some(item);
            }
        }
        (!item.is_empty()).then_some(item)
    })
}

/// Splits the tokens of an item into the names before its block, and the block.
pub(super) fn block(item: Vec<TokenTree>) -> (Vec<String>, TokenStream) {
    let mut names = Vec::new();
    let mut block = TokenStream::new();
    for token in item {
        match token {
            TokenTree::Ident(name) => names.push(name.to_string()),
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => {
                block = group.stream();
            }
            _ => {}
        }
    }
    (names, block)
}

pub(super) fn unparse(items: Vec<Item>) -> String {
    prettyplease::unparse(&syn::File {
        shebang: None,
        frontmatter: None,
        attrs: vec![],
        items,
    })
}

/// Returns the parameter of a setter that accepts values convertible to `ty`, and the expression
/// that converts it.
pub(super) fn taken(name: &Ident, ty: &Type) -> (TokenStream, TokenStream) {
    if is_named(ty, "BTreeMap")
        && text(ty).ends_with("<::std::string::String,::std::string::String>")
    {
        let pair = quote!((
            impl ::std::convert::Into<::std::string::String>,
            impl ::std::convert::Into<::std::string::String>
        ));
        let pairs =
            quote!(#name.into_iter().map(|(key, value)| (key.into(), value.into())).collect());
        return (
            quote!(#name: impl ::std::iter::IntoIterator<Item = #pair>),
            pairs,
        );
    }
    if !is_named(ty, "Vec") {
        return (
            quote!(#name: impl ::std::convert::Into<#ty>),
            quote!(#name.into()),
        );
    }
    let Some((_, item)) = argument(ty) else {
        return (quote!(#name: #ty), quote!(#name));
    };
    let own = text(item);
    // Ids and open enums can be made from text, so their items are convertible. Models have no such
    // conversion, and with a concrete item type `[]` needs no annotation.
    if own.starts_with("crate::") || own == "::std::string::String" {
        (
            quote!(#name: impl ::std::iter::IntoIterator<Item = impl ::std::convert::Into<#item>>),
            quote!(#name.into_iter().map(::std::convert::Into::into).collect()),
        )
    } else {
        (
            quote!(#name: impl ::std::iter::IntoIterator<Item = #item>),
            quote!(#name.into_iter().collect()),
        )
    }
}
