//! Normalized spec in, Rust out: `types.rs`, `client.rs`, `operations.rs` and
//! `round_trip.rs` in `OUT_DIR`.
//!
//! Decisions about the API are in `spec/`; here is only what the generator
//! can't be told by a document: which types of ours stand for which schemas,
//! and that a call fails with our error instead of the generator's, whose
//! `Debug` prints bodies and addresses. `xtask` includes this file, to try a
//! new document before it is taken.

use std::fmt::Write as _;
use std::path::PathBuf;

use heck::{ToPascalCase, ToSnakeCase};
use progenitor::{GenerationSettings, Generator, HooksMode, InterfaceStyle, TypeImpl};
use quote::{ToTokens, quote};
use serde_json::{Map, Value, json};
use syn::visit_mut::VisitMut;
use syn::{Item, ItemMod, ItemStruct, parse_quote};

const SPEC: &str = "spec/openapi.normalized.json";

/// Formats whose values are types of ours, wherever they stand.
const CONVERSIONS: [(&str, Option<&str>, &str, bool); 4] = [
    ("string", Some("date-time"), "crate::value::Timestamp", true),
    ("string", Some("date"), "crate::value::Date", true),
    ("string", Some("password"), "crate::value::Secret", false),
    ("number", None, "crate::value::Decimal", true),
];

/// Native types of fields, and what decodes them leniently.
const LENIENT: [(&str, &str); 4] = [
    (
        "::std::string::String",
        "crate::value::lenient::required_text",
    ),
    (
        "::std::option::Option<::std::string::String>",
        "crate::value::lenient::text",
    ),
    (
        "::std::option::Option<i64>",
        "crate::value::lenient::integer",
    ),
    (
        "::std::option::Option<bool>",
        "crate::value::lenient::boolean",
    ),
];

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

[`operations`](crate::operations) holds what the types don't say: scopes,
restrictions, paging.";

/// The generated files, as text.
#[derive(Debug)]
pub struct Generated {
    /// Models, ids and sets of values.
    pub types: String,
    /// The client and a builder for each operation.
    pub client: String,
    /// The table of operations.
    pub operations: String,
    /// What decodes and encodes the answers of each operation, for tests.
    pub round_trip: String,
}

#[allow(clippy::print_stdout, reason = "how a build script talks to cargo")]
fn main() {
    println!("cargo::rerun-if-changed={SPEC}");
    println!("cargo::rerun-if-changed=build.rs");
    let spec = std::fs::read_to_string(SPEC).unwrap_or_else(|error| panic!("{SPEC}: {error}"));
    let generated = generate(&spec).unwrap_or_else(|error| panic!("{SPEC}: {error}"));
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    for (name, text) in [
        ("types.rs", &generated.types),
        ("client.rs", &generated.client),
        ("operations.rs", &generated.operations),
        ("round_trip.rs", &generated.round_trip),
    ] {
        std::fs::write(out.join(name), text).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

/// Generates everything from the text of a normalized document.
///
/// # Errors
/// Says why the generator does not take the document, or why what it wrote
/// is not Rust.
pub fn generate(spec: &str) -> Result<Generated, String> {
    let document: Value = serde_json::from_str(spec).map_err(|error| error.to_string())?;
    let tokens = std::panic::catch_unwind(|| generator_output(&document))
        .map_err(|_| "the generator panicked; its message stands above".to_string())??;
    let file: syn::File =
        syn::parse2(tokens).map_err(|error| format!("generated code: {error}"))?;
    let mut types = Vec::new();
    let mut client = Vec::new();
    for item in file.items {
        match item {
            Item::Mod(module) if module.ident == "types" => types = members(module),
            Item::Mod(module) if module.ident == "prelude" => {}
            other => client.push(other),
        }
    }
    adapt_types(&mut types);
    let answers = adapt_client(&mut client)?;
    Ok(Generated {
        types: format!("{}\n{}", unparse(types), own_types(&document)),
        client: unparse(client),
        operations: operations(&document),
        round_trip: round_trip(&answers),
    })
}

fn generator_output(document: &Value) -> Result<proc_macro2::TokenStream, String> {
    let mut settings = GenerationSettings::default();
    settings
        .with_interface(InterfaceStyle::Builder)
        .with_hooks(HooksMode::Expected)
        .with_inner_type(quote!(crate::hooks::Context))
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
    for (name, schema) in components(document) {
        let path = match schema["x-value"].as_str() {
            Some(value) => format!("crate::value::{value}"),
            None if is_own(schema) => format!("crate::types::{name}"),
            None => continue,
        };
        let impls = [TypeImpl::Display, TypeImpl::FromStr];
        settings.with_replacement(name, path, impls.into_iter());
    }
    let spec = serde_json::from_value(generator_view(document))
        .map_err(|error| format!("not what the generator reads: {error}"))?;
    Generator::new(&settings)
        .generate_tokens(&spec)
        .map_err(|error| error.to_string())
}

/// What the generator is to know: operations with their successes, and
/// schemas.
///
/// No error answers, of which it would lose status and headers where one is
/// not as declared: they are read in `src/error.rs`.
fn generator_view(document: &Value) -> Value {
    const OPERATION: [&str; 5] = [
        "deprecated",
        "operationId",
        "parameters",
        "requestBody",
        "responses",
    ];
    let mut paths = document["paths"].clone();
    let items = paths.as_object_mut().into_iter().flatten();
    let operations = items.filter_map(|(_, item)| item.as_object_mut());
    for operation in operations
        .flat_map(|item| item.values_mut())
        .filter_map(Value::as_object_mut)
    {
        let documentation = documentation(operation);
        operation.retain(|key, _| OPERATION.contains(&key.as_str()));
        operation.insert("description".into(), json!(documentation));
        let responses = operation
            .get_mut("responses")
            .and_then(Value::as_object_mut);
        if let Some(responses) = responses {
            responses.retain(|status, _| status.starts_with('2'));
            if responses.is_empty() {
                responses.insert("2XX".into(), json!({"description": ""}));
            }
        }
    }
    json!({
        "openapi": "3.0.3",
        "info": {"title": "Fullscript", "version": "v2"},
        "paths": paths,
        "components": {"schemas": document["components"]["schemas"]},
    })
}

/// What rustdoc says of an operation: a restriction first.
fn documentation(operation: &Map<String, Value>) -> String {
    const APPROVAL: &str = "Requires commercial approval";
    let text = |key: &str| {
        operation
            .get(key)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .trim()
    };
    let mut parts = Vec::new();
    if operation.get("x-requires-commercial-approval") == Some(&json!(true)) {
        parts.push(format!(
            "{APPROVAL}: the vendor decides which apps may call this."
        ));
    }
    let description = text("description");
    let description = description
        .strip_prefix(APPROVAL)
        .map_or(description, |rest| rest.trim_start_matches('.').trim());
    if !description.contains(text("summary").trim_end_matches('.')) {
        parts.push(format!("{}.", text("summary").trim_end_matches('.')));
    }
    parts.push(description.to_string());
    let scopes = alternatives(operation.get("security"));
    if !scopes.is_empty() {
        let scopes: Vec<_> = scopes
            .iter()
            .map(|scopes| {
                scopes
                    .iter()
                    .map(|scope| format!("`{scope}`"))
                    .collect::<Vec<_>>()
                    .join(" and ")
            })
            .collect();
        parts.push(format!(
            "Scope: {} ({}).",
            scopes.join(" or "),
            text("x-scopes-confidence")
        ));
    }
    if operation.get("x-paged") == Some(&json!(true)) {
        parts.push("Answers in pages, of 100 records at most.".into());
    }
    parts.retain(|part| !part.is_empty());
    parts.join("\n\n")
}

/// The scopes of an operation: alternatives, each needed together.
fn alternatives(security: Option<&Value>) -> Vec<Vec<String>> {
    let alternatives = security.and_then(Value::as_array).into_iter().flatten();
    let scopes = alternatives.filter_map(|alternative| alternative.as_object()?.values().next());
    scopes
        .map(strings)
        .filter(|scopes| !scopes.is_empty())
        .collect()
}

fn strings(value: &Value) -> Vec<String> {
    let texts = value
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str);
    texts.map(str::to_string).collect()
}

fn components(document: &Value) -> impl Iterator<Item = (&String, &Value)> {
    document["components"]["schemas"]
        .as_object()
        .into_iter()
        .flatten()
}

/// Ids and sets of values are written here and not by the generator: its own
/// would refuse a new value, and mix up ids of different kinds.
fn is_own(schema: &Value) -> bool {
    schema["x-id"].is_string() || schema["type"] == "string" && schema["enum"].is_array()
}

fn own_types(document: &Value) -> String {
    let mut out = String::new();
    for (name, schema) in components(document).filter(|(_, schema)| is_own(schema)) {
        if let Some(kind) = schema["x-id"].as_str() {
            let article = if kind.starts_with(['a', 'e', 'i', 'o']) { "an" } else { "a" };
            let doc = format!("Identifier of {article} {kind}.");
            writeln!(out, "crate::value::id::id_type! {{ #[doc = {doc:?}] pub struct {name}; {kind:?} }}")
        } else {
            let mut taken = Vec::new();
            let values = schema["enum"].as_array().into_iter().flatten().filter_map(Value::as_str);
            let variants: Vec<_> =
                values.map(|value| format!("{} = {value:?}", variant(value, &mut taken))).collect();
            let doc = schema["description"].as_str().unwrap_or("One of a set of values that may grow.");
            writeln!(
                out,
                "crate::value::open_enum::open_enum! {{ #[doc = {doc:?}] pub enum {name} {{ {} }} }}",
                variants.join(", "),
            )
        }
        .expect("writing to a String does not fail");
    }
    out
}

/// A variant's name for a value, unlike all those taken.
fn variant(value: &str, taken: &mut Vec<String>) -> String {
    let words: String = value
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    let mut name = words.to_pascal_case();
    if name.starts_with(|c: char| c.is_ascii_digit()) {
        name.insert(0, 'N');
    }
    if name == "Unknown" || syn::parse_str::<syn::Ident>(&name).is_err() {
        name.push_str("Value");
    }
    let stem = name.clone();
    for number in 2.. {
        if !taken.contains(&name) {
            break;
        }
        name = format!("{stem}{number}");
    }
    taken.push(name.clone());
    name
}

fn members(module: ItemMod) -> Vec<Item> {
    module.content.map(|(_, items)| items).unwrap_or_default()
}

/// Models decode leniently, and give their JSON Schema on request.
fn adapt_types(items: &mut [Item]) {
    for item in items {
        let attributes = match item {
            Item::Struct(model) => {
                lenient_fields(model);
                &mut model.attrs
            }
            Item::Enum(model) => &mut model.attrs,
            _ => continue,
        };
        attributes.push(parse_quote!(
            #[cfg_attr(feature = "schemars", derive(::schemars::JsonSchema))]
        ));
    }
}

fn lenient_fields(model: &mut ItemStruct) {
    for field in &mut model.fields {
        let native = field.ty.to_token_stream().to_string().replace(' ', "");
        if let Some((name, decoder)) = LENIENT.iter().find(|(name, _)| *name == native) {
            field
                .attrs
                .push(parse_quote!(#[serde(deserialize_with = #decoder)]));
            // With a decoder of its own an absent field is no longer `None`.
            if name.starts_with("::std::option") {
                field.attrs.push(parse_quote!(#[serde(default)]));
            }
        }
    }
}

/// The answer of each operation: its id and the type's tokens.
type Answers = Vec<(String, syn::Type)>;

fn adapt_client(items: &mut Vec<Item>) -> Result<Answers, String> {
    let mut answers = Vec::new();
    for item in items.iter_mut() {
        match item {
            // What the generator needs of its runtime is no part of our API.
            Item::Use(import) => import.vis = syn::Visibility::Inherited,
            Item::Struct(client) => {
                without_debug(&mut client.attrs);
                client
                    .attrs
                    .retain(|attribute| !attribute.path().is_ident("doc"));
                client
                    .attrs
                    .extend(CLIENT_DOCS.lines().map(|line| -> syn::Attribute {
                        let line = format!(" {line}");
                        parse_quote!(#[doc = #line])
                    }));
            }
            Item::Impl(block) if block.trait_.is_none() => {
                // The way in is `ClientBuilder`, which knows about tokens.
                block
                    .items
                    .retain(|item| !matches!(item, syn::ImplItem::Fn(f) if f.sig.ident == "new"));
                for item in &mut block.items {
                    if let syn::ImplItem::Fn(function) = item {
                        snippets_are_text(&mut function.attrs);
                        if function.sig.ident == "new_with_client" {
                            function.vis = parse_quote!(pub(crate));
                        }
                    }
                }
            }
            Item::Mod(module) if module.ident == "builder" => {
                if let Some((_, items)) = &mut module.content {
                    answers = adapt_builders(items)?;
                }
            }
            _ => {}
        }
    }
    items.insert(
        0,
        parse_quote!(
            use super::types;
        ),
    );
    Ok(answers)
}

fn adapt_builders(items: &mut Vec<Item>) -> Result<Answers, String> {
    let mut answers = Vec::new();
    let mut added = Vec::new();
    for item in items.iter_mut() {
        match item {
            Item::Struct(builder) => {
                without_debug(&mut builder.attrs);
                let (name, text) = (&builder.ident, builder.ident.to_string());
                added.push(parse_quote! {
                    /// Shows the operation alone: arguments may be health data.
                    impl ::std::fmt::Debug for #name<'_> {
                        fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                            f.debug_struct(#text).finish_non_exhaustive()
                        }
                    }
                });
            }
            Item::Impl(block) => {
                let own = block.self_ty.to_token_stream().to_string();
                let id = own
                    .split('<')
                    .next()
                    .unwrap_or_default()
                    .trim()
                    .to_snake_case();
                let position = block
                    .items
                    .iter()
                    .position(|item| matches!(item, syn::ImplItem::Fn(f) if f.sig.ident == "send"));
                if let Some(position) = position
                    && let syn::ImplItem::Fn(send) = &mut block.items[position]
                {
                    let answer =
                        answer_of(send).ok_or_else(|| format!("{id}: `send` of a new shape"))?;
                    let public = split_send(send, &answer, &id)?;
                    block.items.insert(position, public);
                    answers.push((id, answer));
                }
            }
            _ => {}
        }
    }
    items.extend(added);
    Ok(answers)
}

/// `T` of `-> Result<ResponseValue<T>, Error<()>>`.
fn answer_of(send: &syn::ImplItemFn) -> Option<syn::Type> {
    fn argument(ty: &syn::Type) -> Option<&syn::Type> {
        let syn::Type::Path(path) = ty else {
            return None;
        };
        let syn::PathArguments::AngleBracketed(list) = &path.path.segments.last()?.arguments else {
            return None;
        };
        match list.args.first()? {
            syn::GenericArgument::Type(ty) => Some(ty),
            _ => None,
        }
    }
    let syn::ReturnType::Type(_, result) = &send.sig.output else {
        return None;
    };
    argument(argument(result)?).cloned()
}

/// Leaves the generated `send` to send alone, and returns the public one that
/// reads the answer and turns every failure into `crate::Error`.
fn split_send(
    send: &mut syn::ImplItemFn,
    answer: &syn::Type,
    id: &str,
) -> Result<syn::ImplItem, String> {
    let attributes = std::mem::take(&mut send.attrs);
    let last = send.block.stmts.last_mut();
    let Some(last @ syn::Stmt::Expr(syn::Expr::Match(_), None)) = last else {
        return Err(format!("{id}: `send` does not end in a match"));
    };
    let received = received(last).ok_or_else(|| format!("{id}: `send` matches on no status"))?;
    *last = parse_quote!(return Ok(#received););
    RareMethods.visit_block_mut(&mut send.block);
    send.sig.ident = parse_quote!(send_unread);
    send.sig.output = parse_quote!(-> Result<::reqwest::Response, Error<()>>);
    send.vis = syn::Visibility::Inherited;
    let answer_text = answer.to_token_stream().to_string();
    let (answer, read): (syn::Type, syn::Ident) = match answer_text.as_str() {
        "()" => (answer.clone(), parse_quote!(read_nothing)),
        "ByteStream" => (
            parse_quote!(crate::response::Bytes),
            parse_quote!(read_bytes),
        ),
        _ => (answer.clone(), parse_quote!(read_json)),
    };
    Ok(parse_quote! {
        #(#attributes)*
        ///
        /// # Errors
        /// [`crate::Error`] whatever went wrong: an argument, the connection,
        /// the server's refusal, an answer that does not decode.
        pub async fn send(self) -> Result<crate::Response<#answer>, crate::Error> {
            crate::response::#read(#id, self.send_unread().await).await
        }
    })
}

/// The snippets show how arguments are given; they are no programs, and no
/// tests that someone has to ignore.
fn snippets_are_text(attributes: &mut [syn::Attribute]) {
    for attribute in attributes
        .iter_mut()
        .filter(|attribute| attribute.path().is_ident("doc"))
    {
        if let syn::Meta::NameValue(doc) = &mut attribute.meta
            && let syn::Expr::Lit(syn::ExprLit {
                lit: syn::Lit::Str(text),
                ..
            }) = &mut doc.value
        {
            let plain = text.value().replace("```ignore", "\n```text");
            *text = syn::LitStr::new(&plain, text.span());
        }
    }
}

/// The variable that holds the answer: `response` unless an argument is
/// called so.
fn received(last: &syn::Stmt) -> Option<syn::Ident> {
    let syn::Stmt::Expr(syn::Expr::Match(status), _) = last else {
        return None;
    };
    let syn::Expr::MethodCall(as_u16) = &*status.expr else {
        return None;
    };
    let syn::Expr::MethodCall(status) = &*as_u16.receiver else {
        return None;
    };
    let syn::Expr::Path(variable) = &*status.receiver else {
        return None;
    };
    variable.path.get_ident().cloned()
}

/// Methods for which reqwest has no function, and the generator thinks it has.
struct RareMethods;

impl VisitMut for RareMethods {
    fn visit_expr_method_call_mut(&mut self, call: &mut syn::ExprMethodCall) {
        let method = call.method.to_string();
        if ["options", "trace"].contains(&method.as_str()) && call.args.len() == 1 {
            let method = quote::format_ident!("{}", method.to_uppercase());
            call.method = parse_quote!(request);
            call.args
                .insert(0, parse_quote!(::reqwest::Method::#method));
        }
        syn::visit_mut::visit_expr_method_call_mut(self, call);
    }
}

fn without_debug(attributes: &mut Vec<syn::Attribute>) {
    let clones =
        |attribute: &syn::Attribute| attribute.to_token_stream().to_string().contains("Clone");
    attributes.retain(|attribute| !attribute.path().is_ident("derive") || clones(attribute));
    for attribute in attributes
        .iter_mut()
        .filter(|attribute| attribute.path().is_ident("derive"))
    {
        *attribute = parse_quote!(#[derive(Clone)]);
    }
}

fn unparse(items: Vec<Item>) -> String {
    prettyplease::unparse(&syn::File {
        shebang: None,
        frontmatter: None,
        attrs: vec![],
        items,
    })
}

/// The table behind `fullscript::operations`, sorted by id.
fn operations(document: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_string();
    let mut rows = Vec::new();
    for (path, item) in document["paths"].as_object().into_iter().flatten() {
        for (method, operation) in item.as_object().into_iter().flatten() {
            let Some(id) = operation["operationId"].as_str() else {
                continue;
            };
            let scopes = alternatives(operation.get("security"));
            let answers_json = operation["responses"]
                .as_object()
                .into_iter()
                .flatten()
                .any(|(status, answer)| {
                    status.starts_with('2') && answer["content"].get("application/json").is_some()
                });
            let row = format!(
                "Operation {{ id: {id:?}, method: {:?}, path: {path:?}, summary: {:?}, \
                 authenticated: {}, scopes: &{}, scopes_confidence: {:?}, \
                 requires_commercial_approval: {}, paged: {}, sources: &{:?}, \
                 content_type: {:?}, answers_json: {answers_json} }}",
                method.to_uppercase(),
                text(&operation["summary"]),
                operation
                    .get("security")
                    .is_none_or(|security| security != &json!([]))
                    && (operation.get("security").is_some() || document.get("security").is_some()),
                format!("{scopes:?}")
                    .replace('[', "&[")
                    .replacen("&[", "[", 1),
                text(&operation["x-scopes-confidence"]),
                operation["x-requires-commercial-approval"] == true,
                operation["x-paged"] == true,
                strings(&operation["x-source"]),
                operation["x-content-type"].as_str(),
            );
            rows.push((id.to_string(), row));
        }
    }
    rows.sort();
    let rows: Vec<String> = rows.into_iter().map(|(_, row)| row).collect();
    format!(
        "static OPERATIONS: &[Operation] = &[\n{}\n];\n",
        rows.join(",\n")
    )
}

fn round_trip(answers: &Answers) -> String {
    let arms =
        answers.iter().map(
            |(id, answer)| match answer.to_token_stream().to_string().as_str() {
                "()" | "ByteStream" => quote!(#id => Ok(value.clone()),),
                _ => quote!(#id => through::<#answer>(value),),
            },
        );
    let function: Item = parse_quote! {
        fn through_answer_type(operation_id: &str, value: &Value) -> Result<Value, RoundTripError> {
            match operation_id {
                #(#arms)*
                _ => Err(RoundTripError::UnknownOperation),
            }
        }
    };
    unparse(vec![function])
}
