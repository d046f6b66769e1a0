//! Writes the constructor and the setters of each model.

use proc_macro2::TokenStream;
use quote::{ToTokens, format_ident, quote};
use serde_json::Value;
use syn::{Attribute, Field, Ident, Item, ItemStruct, Type, parse_quote};

use crate::codegen::client::operation::Operation;
use crate::codegen::document::Described;
use crate::codegen::syntax::{
    argument, documentation, is_named, lines_of_docs, lower_first, taken,
};

/// Methods that derived and generated code calls on models. A field with one of these names has no
/// setter; assign the field instead.
const TAKEN: [&str; 8] = ["clone", "default", "eq", "fmt", "from", "into", "ne", "new"];

/// Changes the optional fields of PATCH bodies to `Update`, so that they can be sent as an explicit
/// `null`.
///
/// A form has no `null`, so the bodies of forms are not changed.
pub(crate) fn let_updates_clear(types: &mut [Item], operations: &[Operation<'_>]) {
    let updates: Vec<&Type> = operations
        .iter()
        .filter(|operation| is_json_patch(&operation.described))
        .flat_map(|operation| &operation.arguments)
        .filter(|argument| argument.name == "body")
        .map(|argument| &argument.ty)
        .collect();
    for item in types {
        if let Item::Struct(model) = item
            && updates.iter().any(|body| is_named(body, &model.ident))
        {
            for field in &mut model.fields {
                clearable(field);
            }
        }
    }
}

fn is_json_patch(operation: &Described<'_>) -> bool {
    let content = &operation.value["requestBody"]["content"];
    operation.method == "patch" && content.get("application/json").is_some()
}

/// Changes a field that can be left out. A required field that may be `null` remains an `Option`.
fn clearable(field: &mut Field) {
    let mut attributes = field.attrs.iter_mut();
    let Some(attribute) = attributes.find(|own| serde_says(own, "Option::is_none")) else {
        return;
    };
    let Some((_, inner)) = argument(&field.ty) else {
        return;
    };
    *attribute = parse_quote!(
        #[serde(default, skip_serializing_if = "crate::value::Update::is_unchanged")]
    );
    field.ty = parse_quote!(crate::value::Update<#inner>);
}

/// Returns whether an attribute is one of serde that contains the text. Other attributes are ignored,
/// because a description may contain any text.
fn serde_says(attribute: &Attribute, text: &str) -> bool {
    attribute.path().is_ident("serde") && attribute.to_token_stream().to_string().contains(text)
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
    let names: Vec<String> = model
        .fields
        .iter()
        .flat_map(|field| &field.ident)
        .map(Ident::to_string)
        .collect();
    let setters = model.fields.iter().map(|field| setters(field, &names));
    parse_quote! {
        impl #name {
            #docs
            pub fn new(#(#parameters),*) -> Self {
                Self { #(#fields),* }
            }

            #(#setters)*
        }
    }
}

/// Returns whether the constructor takes the field: it cannot be left out of the JSON.
fn is_required(field: &Field) -> bool {
    let mut attributes = field.attrs.iter();
    let optional = ["Option::is_none", "default", "flatten"];
    !attributes.any(|own| optional.iter().any(|text| serde_says(own, text)))
}

fn wire_name(field: &Field) -> String {
    let serde = |own: &&Attribute| own.path().is_ident("serde");
    let renamed = field.attrs.iter().filter(serde).find_map(|attribute| {
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
