//! Writes `pages()` and `items()` of the builders of lists.

use proc_macro2::TokenStream;
use quote::quote;

use super::lists::{Known, Shape};
use super::operation::{Answer, Operation};
use crate::codegen::document::described;
use crate::codegen::syntax::text;

/// What a builder has beside `send`.
pub(crate) enum Streams {
    /// `pages()` and `items()`.
    Methods(TokenStream),
    /// Nothing, although the operation has pages, for this reason.
    Impossible(String),
    /// Nothing: the response is no list.
    NoList,
}

/// Writes the two methods of an operation that answers with a list. `can_repeat` says whether
/// its builder can be cloned.
pub(crate) fn methods(operation: &Operation, known: &Known<'_>, can_repeat: bool) -> Streams {
    let described = described(known.document, &operation.id);
    let is_get = described.as_ref().is_some_and(|own| own.method == "get");
    let marked = described.is_some_and(|own| own.value["x-paged"] == true);
    // Not marked as paged, but requested by page: one page of it is not all.
    let paged = marked || has_argument(operation, "page_number");
    if !paged && !is_get {
        return Streams::NoList;
    }
    let shape = match &operation.answer {
        Answer::Json(answer) => known.shape(answer, paged),
        Answer::Nothing | Answer::Bytes => Err("its response is no object".into()),
    };
    match shape.and_then(|shape| streams(operation, &shape, paged, can_repeat)) {
        Ok(methods) => Streams::Methods(methods),
        Err(reason) if paged => Streams::Impossible(reason),
        Err(_) => Streams::NoList,
    }
}

fn has_argument(operation: &Operation, name: &str) -> bool {
    let mut arguments = operation.arguments.iter();
    arguments.any(|argument| argument.name == name)
}

fn streams(
    operation: &Operation,
    shape: &Shape,
    paged: bool,
    can_repeat: bool,
) -> Result<TokenStream, String> {
    let Operation { id, arguments, .. } = operation;
    if !can_repeat {
        return Err("its arguments can be sent once only".into());
    }
    let has_number = |wanted: &str| {
        arguments.iter().any(|argument| {
            argument.name == wanted && argument.optional && text(&argument.ty) == "i64"
        })
    };
    if paged && !has_number("page_number") {
        return Err("it has no `page_number` that is an integer".into());
    }
    let list = match (paged, has_number("page_size")) {
        (true, true) => quote! {
            let size = self.page_size.unwrap_or(crate::client::page::list::LARGEST_PAGE);
            let first = self.page_number.unwrap_or(1);
            let list = crate::client::page::list::List::in_pages(#id, first, Some(size));
            let own = self.page_size(size);
        },
        (true, false) => quote! {
            let first = self.page_number.unwrap_or(1);
            let list = crate::client::page::list::List::in_pages(#id, first, None);
            let own = self;
        },
        (false, _) => quote! {
            let list = crate::client::page::list::List::at_once(#id);
            let own = self;
        },
    };
    let (number, call) = if paged {
        (quote!(number), quote!(own.clone().page_number(number)))
    } else {
        (quote!(_), quote!(own.clone()))
    };
    let Shape {
        item,
        list: name,
        read,
    } = shape;
    let of_pages = format!(" Streams the pages of {name}; see [`Pages`](crate::Pages).");
    let of_items = format!(" Streams {name} over all pages; see [`Items`](crate::Items).");
    Ok(quote! {
        #[doc = #of_pages]
        pub fn pages(self) -> crate::Pages<#item> {
            #list
            crate::Pages::new(list, move |#number| {
                let call = #call;
                crate::client::page::list::fetch(async move {
                    Ok(call.send().await?.map(|answer| #read))
                })
            })
        }

        #[doc = #of_items]
        pub fn items(self) -> crate::Items<#item> {
            self.pages().into_items()
        }
    })
}
