//! The generated client made ours: calls fail with our error, and nothing
//! shows arguments or addresses.

use heck::ToSnakeCase;
use quote::ToTokens;
use syn::visit_mut::VisitMut;
use syn::{Item, parse_quote};

use super::request;
use crate::codegen::syntax::{self, answer_of};
use crate::codegen::tables::Answers;
use crate::codegen::types::models::{opaque_structs, without_debug};

/// The documentation of the generated client.
const CLIENT_DOCS: &str = "\
Typed calls to the Fullscript API: one method for each operation.

Made by [`Client::builder`]; cheap to clone, its clones share connections.
Each method returns a builder that takes the arguments and ends in `send`:

```no_run
# async fn example(client: fullscript::Client) -> Result<(), fullscript::Error> {
let answer = client.list_patients().page_size(100).send().await?;
for patient in &answer.patients {
    println!(\"{}\", patient.id);
}
# Ok(())
# }
```

A list is read whole by `items()` instead of `send`, see the guide
[list and page](crate::guide::lists); what happens on the way of a call is told
in [calls that hold](crate::guide::calls).

Of each operation is said which scopes it needs and how sure that is, whether it
is restricted to approved partners, whether it comes in pages, and where all
that is from; [`operations`](crate::operations) has the same as a table.";

/// `ids` are those of the table of operations, in its order.
pub(crate) fn adapt_client(items: &mut Vec<Item>, ids: &[String]) -> Result<Answers, String> {
    let mut answers = Vec::new();
    // It asks for hooks; requests are sent by `hooks::send`.
    items.retain(|item| !matches!(item, Item::Const(_)));
    for item in items.iter_mut() {
        match item {
            // What the generator needs of its runtime is no part of our API.
            Item::Use(import) => {
                import.vis = syn::Visibility::Inherited;
                remove_name(&mut import.tree, "encode_path");
            }
            Item::Struct(client) => {
                without_debug(&mut client.attrs);
                syntax::set(&mut client.attrs, CLIENT_DOCS);
            }
            Item::Impl(block) if block.trait_.is_none() => {
                // The way in is `ClientBuilder`, which knows about tokens.
                block
                    .items
                    .retain(|item| !matches!(item, syn::ImplItem::Fn(f) if f.sig.ident == "new"));
                for item in &mut block.items {
                    if let syn::ImplItem::Fn(function) = item
                        && function.sig.ident == "new_with_client"
                    {
                        function.vis = parse_quote!(pub(crate));
                    }
                }
            }
            Item::Mod(module) if module.ident == "builder" => {
                if let Some((_, items)) = &mut module.content {
                    answers = adapt_builders(items, ids)?;
                }
            }
            _ => {}
        }
    }
    items.insert(
        0,
        parse_quote!(
            use crate::types;
        ),
    );
    items.insert(
        1,
        parse_quote!(
            use crate::call::prepare::encode_path;
        ),
    );
    Ok(answers)
}

/// Takes a name out of a group of imports; one of ours stands for it.
fn remove_name(tree: &mut syn::UseTree, name: &str) {
    match tree {
        syn::UseTree::Path(path) => remove_name(&mut path.tree, name),
        syn::UseTree::Group(group) => {
            let imports = std::mem::take(&mut group.items).into_iter();
            group.items = imports
                .filter(|import| !matches!(import, syn::UseTree::Name(own) if own.ident == name))
                .collect();
        }
        _ => {}
    }
}

/// Lets a refused argument say what is wrong with it: the generator's message
/// has the path of a type instead.
fn tell_reason(setter: &mut syn::ImplItemFn) {
    let Some(bounds) = &mut setter.sig.generics.where_clause else {
        return;
    };
    let Some(syn::WherePredicate::Type(first)) = bounds.predicates.first() else {
        return;
    };
    let given = first.bounded_ty.clone();
    let Some(syn::TypeParamBound::Trait(conversion)) = first.bounds.first().cloned() else {
        return;
    };
    let bound = conversion.path.segments.last();
    if bound.is_none_or(|bound| bound.ident != "TryInto") {
        return;
    }
    if bounds.predicates.len() == 1 {
        bounds
            .predicates
            .push(parse_quote!(<#given as #conversion>::Error: ::std::fmt::Display));
    }
    let message = format!("{}: {{reason}}", setter.sig.ident);
    Reason(parse_quote!(|reason| format!(#message))).visit_block_mut(&mut setter.block);
}

/// What is done with the error of a conversion.
struct Reason(syn::Expr);

impl VisitMut for Reason {
    fn visit_expr_method_call_mut(&mut self, call: &mut syn::ExprMethodCall) {
        if call.method == "map_err" {
            call.args = std::iter::once(self.0.clone()).collect();
        }
        syn::visit_mut::visit_expr_method_call_mut(self, call);
    }
}

fn adapt_builders(items: &mut Vec<Item>, ids: &[String]) -> Result<Answers, String> {
    let mut answers = Vec::new();
    for item in items.iter_mut() {
        if let Item::Impl(block) = item {
            for item in &mut block.items {
                if let syn::ImplItem::Fn(setter) = item {
                    tell_reason(setter);
                }
            }
            let optional = request::optional(block);
            let position = block
                .items
                .iter()
                .position(|item| matches!(item, syn::ImplItem::Fn(f) if f.sig.ident == "send"));
            if let Some(position) = position
                && let syn::ImplItem::Fn(send) = &mut block.items[position]
            {
                let id = operation_of(send).ok_or("a `send` that names no operation")?;
                let answer =
                    answer_of(send).ok_or_else(|| format!("{id}: `send` of a new shape"))?;
                let place = ids
                    .iter()
                    .position(|own| *own == id || own.to_snake_case() == id)
                    .ok_or_else(|| format!("{id}: no operation of the document"))?;
                let public = split_send(send, &answer, &id, place, &optional)?;
                block.items.insert(position, public);
                answers.push((id, answer));
            }
        }
    }
    opaque_structs(items);
    Ok(answers)
}

/// The id as the generator writes it, which the type's name need not give
/// back: `get_covid_19` is called `GetCovid19`.
fn operation_of(send: &syn::ImplItemFn) -> Option<String> {
    let body = send.block.to_token_stream().to_string();
    let (_, after) = body.split_once("operation_id : \"")?;
    after.split('"').next().map(str::to_string)
}

/// Leaves the generated `send` to build the request, and returns the public one
/// that sends it, reads the answer and turns every failure into `crate::Error`.
fn split_send(
    send: &mut syn::ImplItemFn,
    answer: &syn::Type,
    id: &str,
    place: usize,
    optional: &[String],
) -> Result<syn::ImplItem, String> {
    let attributes = std::mem::take(&mut send.attrs);
    request::only_build(&mut send.block, id, optional)?;
    send.sig.ident = parse_quote!(built_request);
    send.sig.asyncness = None;
    send.sig.output = parse_quote!(-> Result<(&'a ::reqwest::Client, &'a crate::call::context::Context, ::reqwest::Request), Error<()>>);
    send.vis = syn::Visibility::Inherited;
    let answer_text = answer.to_token_stream().to_string();
    let (answer, read): (syn::Type, syn::Ident) = match answer_text.as_str() {
        "()" => (answer.clone(), parse_quote!(read_nothing)),
        "ByteStream" => (
            parse_quote!(crate::call::response::Bytes),
            parse_quote!(read_bytes),
        ),
        _ => (answer.clone(), parse_quote!(read_json)),
    };
    // A body that nobody looks at is no reason to call again.
    let make: syn::Ident = if read == "read_json" {
        parse_quote!(make)
    } else {
        parse_quote!(make_unread)
    };
    Ok(parse_quote! {
        #(#attributes)*
        ///
        /// # Errors
        /// [`Error`](crate::Error) whatever went wrong: an argument, the
        /// connection, the server's refusal, an answer that does not decode.
        pub async fn send(self) -> Result<crate::Response<#answer>, crate::Error> {
            let built = self.built_request();
            let built = built.map_err(|error| crate::Error::unsent(#id, error));
            let operation = crate::operations::OPERATIONS.get(#place);
            let mut call = crate::call::prepare::call(operation, built)?;
            crate::call::response::#read(#id, call.#make().await).await
        }
    })
}
