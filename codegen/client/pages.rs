//! Writes `pages()` and `items()` for the builders of list operations.

use proc_macro2::TokenStream;
use quote::quote;

use super::lists::{Known, Shape};
use super::operation::{Operation, ResponseBody};
use crate::codegen::syntax::text;

/// The streaming methods of a builder.
pub(crate) enum Streams {
    /// `pages()` and `items()`.
    Methods(TokenStream),
    /// No methods although the operation is paginated, with the reason.
    Impossible(String),
    /// No methods, because the response is not a list.
    NoList,
}

/// Writes both methods for an operation whose response is a list.
///
/// `can_repeat` says whether the builder can be cloned.
pub(crate) fn methods(operation: &Operation<'_>, known: &Known<'_>, can_repeat: bool) -> Streams {
    let is_get = operation.described.method == "get";
    let marked = operation.described.value["x-paged"] == true;
    // A `page_number` argument means pagination even without the `x-paged` mark.
    let paged = marked || has_argument(operation, "page_number");
    if !paged && !is_get {
        return Streams::NoList;
    }
    let shape = match &operation.response {
        ResponseBody::Json(response) => known.shape(response, paged),
        ResponseBody::Nothing | ResponseBody::Bytes => Err("its response is not an object".into()),
    };
    match shape.and_then(|shape| streams(operation, &shape, paged, can_repeat)) {
        Ok(methods) => Streams::Methods(methods),
        Err(reason) if paged => Streams::Impossible(reason),
        Err(_) => Streams::NoList,
    }
}

fn has_argument(operation: &Operation<'_>, name: &str) -> bool {
    let mut arguments = operation.arguments.iter();
    arguments.any(|argument| argument.name == name)
}

fn streams(
    operation: &Operation<'_>,
    shape: &Shape,
    paged: bool,
    can_repeat: bool,
) -> Result<TokenStream, String> {
    let Operation { id, arguments, .. } = operation;
    if !can_repeat {
        return Err("its arguments can be sent only once".into());
    }
    let has_number = |wanted: &str| {
        arguments.iter().any(|argument| {
            argument.name == wanted && argument.optional && text(&argument.ty) == "i64"
        })
    };
    if paged && !has_number("page_number") {
        return Err("it has no integer `page_number`".into());
    }
    let first = if paged {
        quote!(self.page_number.unwrap_or(1))
    } else {
        quote!(1)
    };
    let (sized, size, own) = if paged && has_number("page_size") {
        (
            quote!(let size = self.page_size.unwrap_or(crate::client::page::list::LARGEST_PAGE);),
            quote!(Some(size)),
            quote!(self.page_size(size)),
        )
    } else {
        (quote!(), quote!(None), quote!(self))
    };
    let records = match &shape.field {
        Some(name) => quote!(Some(#name)),
        None => quote!(None),
    };
    let list = quote! {
        #sized
        let list = crate::client::page::list::List {
            operation_id: #id,
            paged: #paged,
            first: #first,
            size: #size,
            records: #records,
        };
        let own = #own;
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
        ..
    } = shape;
    let of_pages = format!(" Streams {name} page by page; see [`Pages`](crate::Pages).");
    let of_items =
        format!(" Streams {name} record by record, across all pages; see [`Items`](crate::Items).");
    Ok(quote! {
        #[doc = #of_pages]
        pub fn pages(self) -> crate::Pages<#item> {
            #list
            crate::Pages::new(list, move |#number| {
                let call = #call;
                crate::client::page::list::fetch(async move {
                    Ok(call.send().await?.map(|response| #read))
                })
            })
        }

        #[doc = #of_items]
        pub fn items(self) -> crate::Items<#item> {
            self.pages().into_items()
        }
    })
}
