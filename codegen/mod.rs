//! Generates `types.rs`, `client.rs`, `operations.rs`, `index.md`, `fields.rs` and `round_trip.rs` from
//! the normalized OpenAPI document.
//!
//! Decisions about the API belong in `spec/`. This module contains only what a document cannot
//! express: which Rust types stand for which schemas, and that calls return this crate's error type
//! instead of progenitor's, whose `Debug` prints bodies and addresses. `xtask` includes this file
//! to try a new document before it is accepted.

use progenitor::{GenerationSettings, Generator, InterfaceStyle, TypeImpl};
use serde_json::{Value, json};

use self::client::lists::Known;
use self::types::docs::Used;

mod client;
mod document;
mod generator_view;
mod shapes;
mod sound;
mod syntax;
mod tables;
mod types;

/// String and number formats that map to types of `crate::value` wherever they occur.
const CONVERSIONS: [(&str, Option<&str>, &str, bool); 4] = [
    ("string", Some("date-time"), "crate::value::Timestamp", true),
    ("string", Some("date"), "crate::value::Date", true),
    ("string", Some("password"), "crate::value::Secret", false),
    ("number", None, "crate::value::Decimal", true),
];

/// The generated files, as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generated {
    /// Models, id types and open enums.
    pub types: String,
    /// The client and a builder for each operation.
    pub client: String,
    /// The table of operations.
    pub operations: String,
    /// The table of operations by topic, for the documentation of the client.
    pub index: String,
    /// The names of the fields of all models, and the shapes of responses.
    pub fields: String,
    /// A function that decodes and re-encodes the response of each operation, for tests.
    pub round_trip: String,
}

/// The generated code as syntax trees, before it is written as text.
pub struct Code {
    /// Models.
    pub types: Vec<syn::Item>,
    /// Id types and open enums.
    pub own_types: String,
    /// The client and a builder for each operation.
    pub client: Vec<syn::Item>,
    /// The table of operations.
    pub operations: String,
    index: String,
    fields: String,
    round_trip: String,
}

impl std::fmt::Debug for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // `syn` items implement `Debug` only with the `extra-traits` feature.
        f.debug_struct("Code").finish_non_exhaustive()
    }
}

/// Generates everything from the text of a normalized document.
///
/// # Errors
/// Returns a message if progenitor rejects the document, or if the generated code is not valid
/// Rust.
pub fn generate(spec: &str) -> Result<Generated, String> {
    Ok(code(spec)?.into_text())
}

/// Generates everything as syntax trees.
///
/// # Errors
/// Returns the errors of [`generate`].
pub fn code(spec: &str) -> Result<Code, String> {
    let document: Value = serde_json::from_str(spec).map_err(|error| error.to_string())?;
    code_of(&document)
}

/// Generates everything as syntax trees, from a document that was parsed.
///
/// # Errors
/// Returns the errors of [`generate`].
pub fn code_of(document: &Value) -> Result<Code, String> {
    let tokens = std::panic::catch_unwind(|| generator_output(document))
        .map_err(|panic| format!("the generator panicked: {}", panic_message(&*panic)))??;
    let fault = |error: syn::Error| format!("generated code: {error}");
    let table = document::operations(document);
    let mut types = Vec::new();
    let mut operations = Vec::new();
    for item in syntax::items(tokens) {
        let (names, block) = syntax::block(item);
        match names.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            ["pub", "mod", "types"] => {
                for item in syntax::items(block) {
                    types.push(syn::parse2(item.into_iter().collect()).map_err(fault)?);
                }
            }
            ["impl", "Client"] => {
                let methods = syntax::items(block);
                let methods =
                    methods.map(|own| syn::parse2(own.into_iter().collect()).map_err(fault));
                operations.extend(client::operation::operations(methods, &table)?);
            }
            _ => {}
        }
    }
    let known = Known::of(&types, document);
    let client = client::builder::client(&operations, &known);
    let used = Used::by(&types, &operations);
    types::docs::write(&mut types, &used);
    types::extra::add(&mut types, document);
    types::setters::let_updates_clear(&mut types, &operations);
    types::setters::add(&mut types, document);
    types::models::adapt_types(&mut types, document);
    sound::check(&types, "types::")?;
    sound::check(&client, "")?;
    sound::no_foreign_types(&types, "types::")?;
    sound::no_foreign_types(&client, "")?;
    Ok(Code {
        fields: tables::fields(&types) + &shapes::shapes(document, &table),
        types,
        own_types: types::own_types::own_types(document, &used),
        client,
        operations: tables::table(document, &table),
        index: client::index::index(&operations, document),
        round_trip: tables::round_trip(&operations),
    })
}

impl Code {
    /// Formats the code as text.
    pub fn into_text(self) -> Generated {
        Generated {
            // One by one, because a large document has hundreds of megabytes of items.
            types: {
                let types = self.types.into_iter();
                let types: String = types.map(|item| syntax::unparse(vec![item])).collect();
                format!("{types}\n{}", self.own_types)
            },
            client: syntax::unparse(self.client),
            operations: self.operations,
            index: self.index,
            fields: self.fields,
            round_trip: self.round_trip,
        }
    }
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no panic message")
}

fn generator_output(document: &Value) -> Result<proc_macro2::TokenStream, String> {
    let mut settings = GenerationSettings::default();
    settings
        .with_interface(InterfaceStyle::Positional)
        .with_derive("PartialEq")
        .with_map_type("::std::collections::BTreeMap");
    for (name, format, path, shown) in CONVERSIONS {
        let schema = match format {
            Some(format) => json!({"type": name, "format": format}),
            None => json!({ "type": name }),
        };
        let schema = serde_json::from_value(schema).map_err(|error| error.to_string())?;
        let impls = if shown {
            vec![TypeImpl::Display, TypeImpl::FromStr]
        } else {
            vec![]
        };
        settings.with_conversion(schema, path, impls.into_iter());
    }
    for (name, schema) in types::own_types::components(document) {
        let path = match schema["x-value"].as_str() {
            Some(value) => format!("crate::value::{value}"),
            None if types::own_types::is_own(schema) => format!("crate::types::{name}"),
            None => continue,
        };
        let impls = [TypeImpl::Display, TypeImpl::FromStr];
        settings.with_replacement(name, path, impls.into_iter());
    }
    let spec = serde_json::from_value(generator_view::generator_view(document)?)
        .map_err(|error| format!("the generator cannot read the document: {error}"))?;
    Generator::new(&settings)
        .generate_tokens(&spec)
        .map_err(|error| error.to_string())
}
