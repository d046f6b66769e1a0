//! `pages()` and `items()` on the builders of lists.

use proc_macro2::TokenStream;
use quote::{ToTokens, format_ident, quote};
use serde_json::Value;
use syn::{Ident, ImplItem, Item, ItemImpl, ItemStruct, parse_quote};

use super::lists::{Known, Shape};
use crate::codegen::document::described;
use crate::codegen::syntax::{is_called, is_named, text};
use crate::codegen::tables::Answers;

/// Adds the two methods to the builder of each list. A paged operation whose
/// builder can't have them says so and why in the documentation of `send`.
pub(crate) fn add(client: &mut [Item], types: &[Item], answers: &Answers, document: &Value) {
    let known = Known { types, document };
    let module = client.iter_mut().find_map(|item| match item {
        Item::Mod(module) if module.ident == "builder" => module.content.as_mut(),
        _ => None,
    });
    let Some((_, items)) = module else { return };
    let builders: Vec<ItemStruct> = items
        .iter()
        .filter_map(|item| match item {
            Item::Struct(builder) => Some(builder.clone()),
            _ => None,
        })
        .collect();
    let mut answers = answers.iter();
    for item in items {
        // There is an answer for each `send`, in this order.
        if let Item::Impl(block) = item
            && let Some(position) = position_of(block, "send")
            && let Some((id, answer)) = answers.next()
        {
            let operation = described(document, id);
            let is = |wanted: &str| operation.as_ref().is_some_and(|own| own.method == wanted);
            let marked = operation
                .as_ref()
                .is_some_and(|own| own.value["x-paged"] == true);
            // Not said to be in pages, yet asked for by page: one page of it
            // is not all.
            let paged = marked || position_of(block, "page_number").is_some();
            if !paged && !is("get") {
                continue;
            }
            let added = known
                .shape(answer, paged)
                .and_then(|shape| methods(id, block, &shape, paged, &builders));
            match added {
                Ok(added) => block.items.extend(added),
                Err(reason) if paged => note(&mut block.items[position], &reason),
                // An object, or an answer without a body.
                Err(_) => {}
            }
        }
    }
}

fn position_of(block: &ItemImpl, name: &str) -> Option<usize> {
    let is = |item: &ImplItem| matches!(item, ImplItem::Fn(f) if f.sig.ident == name);
    block.items.iter().position(is)
}

fn note(send: &mut ImplItem, reason: &str) {
    if let ImplItem::Fn(send) = send {
        let note = format!(" It has no `pages()`: {reason}.");
        send.attrs
            .extend([parse_quote!(#[doc = ""]), parse_quote!(#[doc = #note])]);
    }
}

fn methods(
    id: &str,
    block: &ItemImpl,
    shape: &Shape,
    paged: bool,
    builders: &[ItemStruct],
) -> Result<[ImplItem; 2], String> {
    let Shape { item, list, read } = shape;
    for name in ["pages", "items"] {
        if position_of(block, name).is_some() {
            return Err(format!("an argument is called `{name}`"));
        }
    }
    let builder = builders
        .iter()
        .find(|builder| is_named(&block.self_ty, &builder.ident))
        .ok_or("its builder was not found")?;
    if !builder.attrs.iter().any(|attribute| {
        attribute.path().is_ident("derive")
            && attribute.to_token_stream().to_string().contains("Clone")
    }) {
        return Err("its arguments can be sent once only".into());
    }
    let has_number = |wanted: &str| {
        builder.fields.iter().any(|field| {
            is_called(field, wanted) && text(&field.ty) == "Result<Option<i64>,String>"
        })
    };
    if paged && !has_number("page_number") {
        return Err("it has no `page_number` that is an integer".into());
    }
    let stream = match (paged, has_number("page_size")) {
        (true, true) => quote! {
            let size = crate::client::page::list::wanted(&own_page_size, crate::client::page::list::LARGEST_PAGE);
            let own_page_size = crate::client::page::list::set(&own_page_size, size);
            let first = crate::client::page::list::wanted(&own_page_number, 1);
            let list = crate::client::page::list::List::in_pages(#id, first, Some(size));
        },
        (true, false) => quote! {
            let first = crate::client::page::list::wanted(&own_page_number, 1);
            let list = crate::client::page::list::List::in_pages(#id, first, None);
        },
        (false, _) => quote!(let list = crate::client::page::list::List::at_once(#id);),
    };
    let Call {
        kept,
        handle,
        copies,
        given,
    } = call(builder, paged);
    let number = format_ident!("{}", if paged { "number" } else { "_number" });
    let name = &builder.ident;
    let (of_pages, of_items) = (
        format!(" Streams the pages of {list}; see [`Pages`](crate::Pages)."),
        format!(" Streams {list} over all pages; see [`Items`](crate::Items)."),
    );
    Ok([
        parse_quote! {
            #[doc = #of_pages]
            pub fn pages(self) -> crate::Pages<#item> {
                let Self { #(#kept),* } = self;
                let #handle = #handle.clone();
                #stream
                crate::Pages::new(list, move |#number| {
                    #(#copies)*
                    Box::pin(async move {
                        let call = #name { #(#given),* };
                        Ok(call.send().await?.map(|answer| #read))
                    })
                })
            }
        },
        parse_quote! {
            #[doc = #of_items]
            pub fn items(self) -> crate::Items<#item> {
                self.pages().into_items()
            }
        },
    ])
}

/// A builder taken apart and, for each page, put together again.
struct Call {
    kept: Vec<TokenStream>,
    /// The variable with the client.
    handle: Ident,
    copies: Vec<TokenStream>,
    given: Vec<TokenStream>,
}

fn call(builder: &ItemStruct, paged: bool) -> Call {
    let mut call = Call {
        kept: Vec::new(),
        handle: format_ident!("own_client"),
        copies: Vec::new(),
        given: Vec::new(),
    };
    for field in &builder.fields {
        let Some(name) = &field.ident else { continue };
        // A prefix of our own: an argument may be called anything.
        let own = format_ident!("own_{name}");
        call.kept.push(quote!(#name: #own));
        call.copies.push(if paged && name == "page_number" {
            quote!(let #own = crate::client::page::list::set(&#own, number);)
        } else {
            quote!(let #own = #own.clone();)
        });
        // The client is borrowed, whatever its name beside the arguments'.
        if matches!(field.ty, syn::Type::Reference(_)) {
            call.given.push(quote!(#name: &#own));
            call.handle = own;
        } else {
            call.given.push(quote!(#name: #own));
        }
    }
    call
}
