//! Writes a request builder for each operation, and the client's method that returns it.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::{Item, Type, parse_quote};

use super::argument::{Argument, Passed};
use super::docs::{Documented, of_optional_setter, of_setter};
use super::lists::Known;
use super::operation::{Operation, ResponseBody};
use super::pages::{self, Streams};
use crate::codegen::syntax::{lines_of_docs, taken, text};
use crate::codegen::types::models::opaque_debug;

/// Writes the methods of the client and the module of the builders.
pub(crate) fn client(operations: &[Operation<'_>], known: &Known<'_>) -> Vec<Item> {
    let mut methods = Vec::new();
    let mut builders: Vec<Item> = vec![
        parse_quote!(
            use super::{Client, encode_path};
        ),
        parse_quote!(
            use crate::types;
        ),
        parse_quote!(
            use progenitor_client::{Error, RequestBuilderExt};
        ),
    ];
    for operation in operations {
        let can_repeat = can_repeat(operation);
        let streams = pages::methods(operation, known, can_repeat);
        let documented = Documented {
            operation,
            streams: matches!(streams, Streams::Methods(_)),
        };
        let (id, name) = (format_ident!("{}", operation.id), &operation.builder);
        let docs = lines_of_docs(&documented.method());
        methods.push(quote! {
            #docs
            pub fn #id(&self) -> builder::#name {
                builder::#name::new(self.clone())
            }
        });
        let docs = lines_of_docs(&documented.builder());
        builders.extend(builder(operation, known, docs, streams, can_repeat));
    }
    vec![
        parse_quote!(
            use crate::call::prepare::encode_path;
        ),
        parse_quote!(
            use crate::client::Client;
        ),
        parse_quote!(impl Client { #(#methods)* }),
        parse_quote! {
            /// Request builders, returned by the methods of [`Client`](crate::Client).
            pub mod builder { #(#builders)* }
        },
    ]
}

fn builder(
    operation: &Operation,
    known: &Known<'_>,
    docs: TokenStream,
    streams: Streams,
    can_repeat: bool,
) -> Vec<Item> {
    let Operation {
        id,
        row,
        builder,
        arguments,
        response,
        request,
        ..
    } = operation;
    let fields = arguments
        .iter()
        .map(|Argument { name, ty, .. }| quote!(#name: ::std::option::Option<#ty>));
    let initial = arguments.iter().map(|argument| {
        let (name, value) = (&argument.name, initial(argument, known));
        quote!(#name: #value)
    });
    let setters = arguments
        .iter()
        .map(|argument| setters(argument, arguments));
    let names = arguments.iter().map(|argument| &argument.name);
    let given = arguments.iter().map(given);
    let (response_type, make): (Type, _) = match response {
        // A response without a schema may be empty.
        ResponseBody::Json(ty) if text(ty).starts_with("::serde_json::") => {
            (Type::clone(ty), quote!(any_json))
        }
        ResponseBody::Json(ty) => (Type::clone(ty), quote!(json)),
        ResponseBody::Nothing => (parse_quote!(()), quote!(nothing)),
        ResponseBody::Bytes => (parse_quote!(crate::ByteStream), quote!(bytes)),
    };
    let result = quote!(::std::result::Result<crate::Response<#response_type>, crate::Error>);
    let (note, streams) = match streams {
        Streams::Methods(methods) => (None, Some(methods)),
        Streams::Impossible(reason) => (Some(reason), None),
        Streams::NoList => (None, None),
    };
    let note = note.map(|reason| {
        let note = format!(" There is no `pages()`: {reason}.");
        quote!(#[doc = ""] #[doc = #note])
    });
    let derived = can_repeat.then(|| quote!(#[derive(Clone)]));
    vec![
        parse_quote! {
            #docs
            #derived
            #[must_use = "requests do nothing until sent"]
            pub struct #builder {
                _client: Client,
                #(#fields),*
            }
        },
        parse_quote! {
            impl #builder {
                pub(super) fn new(_client: Client) -> Self {
                    Self { _client, #(#initial),* }
                }

                #(#setters)*

                /// Sends the request and returns the decoded response.
                ///
                /// Equivalent to `.await` on the builder.
                ///
                /// # Errors
                /// Returns an [`Error`](crate::Error) if a required argument is missing, the
                /// request cannot be sent, the server responds with an error status, or the
                /// response cannot be decoded.
                #note
                pub async fn send(self) -> #result {
                    let (client, request) = self
                        .own_request()
                        .map_err(|error| crate::Error::unsent(#id, error))?;
                    let operation = crate::operations::OPERATIONS.get(#row);
                    let mut call =
                        crate::call::prepare::call(operation, &client.context, request)?;
                    call.#make().await
                }

                #streams

                fn own_request(
                    self,
                ) -> ::std::result::Result<(Client, ::reqwest::Request), Error<()>> {
                    let Self { _client, #(#names),* } = self;
                    #(#given)*
                    #request
                }
            }
        },
        parse_quote! {
            impl ::std::future::IntoFuture for #builder {
                type Output = #result;
                type IntoFuture = ::std::pin::Pin<
                    ::std::boxed::Box<dyn ::std::future::Future<Output = Self::Output> + Send>,
                >;

                fn into_future(self) -> Self::IntoFuture {
                    ::std::boxed::Box::pin(self.send())
                }
            }
        },
        opaque_debug(builder, &syn::Generics::default()),
    ]
}

/// Returns whether the request can be sent more than once.
///
/// A raw body (`reqwest::Body`) may be a stream, which can be sent only once.
fn can_repeat(operation: &Operation<'_>) -> bool {
    let mut arguments = operation.arguments.iter();
    !arguments.any(|argument| text(&argument.ty) == "::reqwest::Body")
}

/// Returns the initial value of an argument: an empty body if none of its fields is required,
/// otherwise `None`.
fn initial(argument: &Argument, known: &Known<'_>) -> TokenStream {
    if !argument.optional && argument.name == "body" && known.has_default(&argument.ty) {
        quote!(::std::option::Option::Some(
            ::std::default::Default::default()
        ))
    } else {
        quote!(::std::option::Option::None)
    }
}

fn setters(argument: &Argument, arguments: &[Argument]) -> TokenStream {
    let Argument { name, ty, .. } = argument;
    let method = argument.setter();
    let (parameter, value) = taken(name, ty);
    let docs = lines_of_docs(&of_setter(argument));
    let setter = quote! {
        #docs
        pub fn #method(mut self, #parameter) -> Self {
            self.#name = ::std::option::Option::Some(#value);
            self
        }
    };
    let set = format_ident!("set_{}", name);
    let is_free = !arguments.iter().any(|other| other.name == set);
    let set = (argument.optional && is_free).then(|| {
        let docs = lines_of_docs(&of_optional_setter(argument));
        quote! {
            #docs
            pub fn #set(mut self, #name: ::std::option::Option<#ty>) -> Self {
                self.#name = #name;
                self
            }
        }
    });
    quote!(#setter #set)
}

/// Binds an argument in the form that the request-building code expects.
fn given(argument: &Argument) -> TokenStream {
    let Argument { name, .. } = argument;
    let required = if argument.optional {
        TokenStream::new()
    } else {
        let missing = format!("`{name}` is required but was not set");
        quote! {
            let #name = #name.ok_or_else(|| Error::InvalidRequest(#missing.into()))?;
        }
    };
    let passed = match (argument.passed, argument.optional) {
        (Passed::ByValue, _) => TokenStream::new(),
        (Passed::ByReference, true) => quote!(let #name = #name.as_ref();),
        (Passed::ByReference, false) => quote!(let #name = &#name;),
        (Passed::AsStr, true) => quote!(let #name = #name.as_deref();),
        (Passed::AsStr, false) => quote!(let #name = #name.as_str();),
    };
    quote!(#required #passed)
}
