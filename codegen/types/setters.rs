//! Writes the constructor and the setters of each model.

use proc_macro2::TokenStream;
use quote::{ToTokens, format_ident, quote};
use serde_json::Value;
use syn::{Field, Ident, Item, ItemStruct, Type, parse_quote};

use crate::codegen::client::operation::Operation;
use crate::codegen::document::described;
use crate::codegen::syntax::{
    argument, documentation, is_named, lines_of_docs, lower_first, taken,
};

/// Methods that derived and generated code calls on models. A field with one of these names has no
/// setter; assign the field instead.
const TAKEN: [&str; 8] = ["clone", "default", "eq", "fmt", "from", "into", "ne", "new"];

/// Changes the optional fields of PATCH bodies to `Update`, so that they can be sent as an explicit
/// `null`.
pub(crate) fn let_updates_clear(types: &mut [Item], operations: &[Operation], document: &Value) {
    for item in types {
        if let Item::Struct(model) = item
            && is_body_of(document, operations, "patch", &model.ident)
        {
            for field in &mut model.fields {
                clearable(field);
            }
        }
    }
}

fn clearable(field: &mut Field) {
    let Some((wrapper, inner)) = argument(&field.ty) else {
        return;
    };
    if wrapper != "Option" {
        return;
    }
    field.ty = parse_quote!(crate::value::Update<#inner>);
    for attribute in &mut field.attrs {
        if attribute
            .to_token_stream()
            .to_string()
            .contains("Option::is_none")
        {
            *attribute = parse_quote!(
                #[serde(default, skip_serializing_if = "crate::value::Update::is_unchanged")]
            );
        }
    }
}

/// Adds `new` and the setters to each model.
pub(crate) fn add(types: &mut Vec<Item>, document: &Value) {
    let mut added = Vec::new();
    for item in types.iter() {
        if let Item::Struct(model) = item
            && matches!(model.fields, syn::Fields::Named(_))
        {
            added.push(methods(model, document));
        }
    }
    types.extend(added);
}

fn methods(model: &ItemStruct, document: &Value) -> Item {
    let name = &model.ident;
    let mut required: Vec<&Field> = model
        .fields
        .iter()
        .filter(|field| is_required(field))
        .collect();
    let order = document["components"]["schemas"][name.to_string()]["required"].as_array();
    let position = |field: &Field| {
        let wire = wire_name(field);
        let mut order = order.into_iter().flatten();
        order.position(|name| *name == wire.as_str())
    };
    required.sort_by_key(|field| position(field).unwrap_or(usize::MAX));
    let parameters = required.iter().map(|field| {
        let ident = field.ident.as_ref().expect("the fields are named");
        taken(ident, &field.ty)
    });
    let (parameters, values): (Vec<_>, Vec<_>) = parameters.unzip();
    let fields = model.fields.iter().map(|field| {
        let ident = field.ident.as_ref();
        let index = required.iter().position(|own| own.ident == field.ident);
        match index.map(|index| &values[index]) {
            Some(value) => quote!(#ident: #value),
            None => quote!(#ident: ::std::default::Default::default()),
        }
    });
    let docs = lines_of_docs(if required.is_empty() {
        "Creates a value with no fields set; set them with the setters."
    } else {
        "Creates a value from its required fields; set optional fields with the setters."
    });
    let has_new = model
        .fields
        .iter()
        .any(|field| field.ident.as_ref().is_some_and(|own| own == "new"));
    let new = (!has_new).then(|| {
        quote! {
            #docs
            pub fn new(#(#parameters),*) -> Self {
                Self { #(#fields),* }
            }
        }
    });
    let names: Vec<String> = model
        .fields
        .iter()
        .flat_map(|field| &field.ident)
        .map(Ident::to_string)
        .collect();
    let setters = model.fields.iter().map(|field| setters(field, &names));
    parse_quote! {
        impl #name {
            #new
            #(#setters)*
        }
    }
}

/// Returns whether decoding and the constructor need the field.
fn is_required(field: &Field) -> bool {
    let is_optional = is_named(&field.ty, "Option") || is_named(&field.ty, "Update");
    let has_default = field.attrs.iter().any(|attribute| {
        let text = attribute.to_token_stream().to_string();
        text.contains("default")
    });
    !is_optional && !has_default
}

fn wire_name(field: &Field) -> String {
    let renamed = field.attrs.iter().find_map(|attribute| {
        let text = attribute.to_token_stream().to_string();
        let (_, after) = text.split_once("rename = \"")?;
        Some(after.split('"').next()?.to_string())
    });
    let own = || field.ident.as_ref().map(ToString::to_string);
    renamed.or_else(own).unwrap_or_default()
}

fn setters(field: &Field, names: &[String]) -> TokenStream {
    let name = field.ident.as_ref().expect("the fields are named");
    let text = name.to_string();
    if TAKEN.contains(&text.as_str()) {
        return TokenStream::new();
    }
    let inner = |wrapper: &str| {
        let (own, inner) = argument(&field.ty)?;
        (own == wrapper).then_some(inner)
    };
    let optional = inner("Option");
    let update = inner("Update");
    let ty: &Type = optional.or(update).unwrap_or(&field.ty);
    let (parameter, value) = taken(name, ty);
    let value = if optional.is_some() {
        quote!(::std::option::Option::Some(#value))
    } else if update.is_some() {
        quote!(crate::value::Update::Set(#value))
    } else {
        value
    };
    let described = documentation(&field.attrs);
    let described = described.trim();
    let docs = lines_of_docs(&match described {
        "" => format!("Sets `{text}`."),
        described => format!("Sets `{text}`: {}", lower_first(described)),
    });
    let setter = quote! {
        #docs
        #[must_use]
        pub fn #name(mut self, #parameter) -> Self {
            self.#name = #value;
            self
        }
    };
    let stem = text.trim_start_matches("r#");
    let free = |method: &String| !names.contains(method);
    let set = Some(format!("set_{stem}"))
        .filter(free)
        .filter(|_| optional.is_some() || update.is_some());
    let set = set.map(|set| {
        let set = format_ident!("{set}");
        let (docs, value) = if optional.is_some() {
            (
                format!("Sets [`{text}`](Self::{text}), or removes it if `None`."),
                quote!(#name),
            )
        } else {
            (
                format!("Sets [`{text}`](Self::{text}), or leaves it unchanged if `None`."),
                quote!(#name.map_or(crate::value::Update::Unchanged, crate::value::Update::Set)),
            )
        };
        let docs = lines_of_docs(&docs);
        quote! {
            #docs
            #[must_use]
            pub fn #set(mut self, #name: ::std::option::Option<#ty>) -> Self {
                self.#name = #value;
                self
            }
        }
    });
    let clear = Some(format!("clear_{stem}"))
        .filter(free)
        .filter(|_| update.is_some());
    let clear = clear.map(|clear| {
        let clear = format_ident!("{clear}");
        let docs = lines_of_docs(&format!("Clears `{text}` by sending an explicit `null`."));
        quote! {
            #docs
            #[must_use]
            pub fn #clear(mut self) -> Self {
                self.#name = crate::value::Update::Clear;
                self
            }
        }
    });
    quote!(#setter #set #clear)
}

/// Returns whether a model is the body of an operation with this HTTP method.
fn is_body_of(document: &Value, operations: &[Operation], method: &str, model: &Ident) -> bool {
    operations.iter().any(|operation| {
        let is_method = described(document, &operation.id).is_some_and(|own| own.method == method);
        let mut arguments = operation.arguments.iter();
        is_method
            && arguments.any(|argument| argument.name == "body" && is_named(&argument.ty, model))
    })
}
