//! What users get, read from the compiled output: a reviewer of a new
//! document reads these snapshots instead of the generated files.

mod coverage;

use std::collections::BTreeMap;

use fullscript::operations::{self, Operation};
use quote::ToTokens;
use serde_json::Value;
use syn::{Attribute, Expr, Field, Fields, ImplItem, Item, Lit, Meta, Type};

const CLIENT: &str = include_str!(concat!(env!("OUT_DIR"), "/client.rs"));
const TYPES: &str = include_str!(concat!(env!("OUT_DIR"), "/types.rs"));

/// What the vendor published, before any repair.
const PUBLISHED: &str = include_str!("../../spec/openapi.json");

/// How the documentation of a marked operation begins.
const MARK: &str = "Requires commercial approval";

#[test]
fn the_operations_are_as_reviewed() {
    let mut builders = builders();
    let lines = operations::all().iter().map(|operation| {
        let builder = builders.remove(operation.id);
        let Builder { arguments, answer } = builder.expect("a builder for each operation");
        let mark = if operation.requires_commercial_approval {
            '!'
        } else {
            ' '
        };
        let Operation {
            id, method, path, ..
        } = operation;
        let path = [path, arguments.join(", ").as_str()].join("  ");
        let path = path.trim_end();
        format!("{mark} {id:<34} {method:<6} {path}  -> {answer}")
    });
    let lines = lines.collect();
    assert_eq!(
        builders.keys().collect::<Vec<_>>(),
        [""; 0],
        "operations that the table lacks"
    );
    check("operations", lines);
}

#[test]
fn the_lists_are_as_reviewed() {
    let mut streamed = lists();
    let mut lines = Vec::new();
    for operation in operations::all() {
        match streamed.remove(operation.id) {
            Some(list) => lines.push(format!("{:<34} {list}", operation.id)),
            None if operation.paged => panic!("{} can't be streamed", operation.id),
            None => {}
        }
    }
    assert_eq!(streamed, BTreeMap::new(), "lists that the table lacks");
    check("lists", lines);
}

#[test]
fn the_types_are_as_reviewed() {
    let items = syn::parse_file(TYPES).unwrap().items;
    check("types", items.iter().flat_map(facts).collect());
}

#[test]
fn the_approval_marks_are_as_reviewed() {
    let marked = operations::all()
        .iter()
        .filter(|operation| operation.requires_commercial_approval);
    let lines = marked.map(
        |Operation {
             id, method, path, ..
         }| format!("{id:<34} {method:<6} {path}"),
    );
    check("approval", lines.collect());
}

#[test]
fn every_published_approval_mark_reaches_the_table_and_the_documentation() {
    let published: Value = serde_json::from_str(PUBLISHED).unwrap();
    let docs = method_docs();
    let mut marks = Vec::new();
    for (path, item) in published["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let mark = &operation["x-requires-commercial-approval"];
            if *mark == true || *mark == "true" || mark.is_object() {
                marks.push((method.to_uppercase(), path.as_str()));
            }
        }
    }
    assert!(
        !marks.is_empty(),
        "the vendor marks operations by another name now"
    );
    let mut in_table: Vec<_> = operations::all()
        .iter()
        .filter(|operation| operation.requires_commercial_approval)
        .map(|operation| (operation.method.to_string(), operation.path))
        .collect();
    marks.sort();
    in_table.sort();
    assert_eq!(in_table, marks);
    for operation in operations::all() {
        let documented = docs[operation.id].trim_start().starts_with(MARK);
        assert_eq!(
            documented, operation.requires_commercial_approval,
            "docs of {}",
            operation.id
        );
    }
}

#[test]
fn every_operation_tells_its_scopes_approval_pages_and_source() {
    let docs = method_docs();
    for operation in operations::all() {
        let Operation {
            id, method, path, ..
        } = operation;
        let docs = &docs[*id];
        let has = |what: &str| assert!(docs.contains(what), "{id}: {what} is not in\n{docs}");
        has(&format!("- Request: `{method} {path}`."));
        has(match operation.requires_commercial_approval {
            true => "- Commercial approval: required; the vendor decides",
            false => "- Commercial approval: not required.",
        });
        has(match operation.paged {
            true => "- Pages: of 100 records at most",
            false => "- Pages: none",
        });
        let scopes = operation.scopes.iter().copied().flatten();
        scopes.for_each(|scope| has(&format!("`{scope}`")));
        has(match operation.scopes_confidence {
            "documented" => "(documented by the vendor).",
            "inferred" => "(inferred, the vendor does not say).",
            "third-party" => "(by third parties' word).",
            "unknown" => "- Scopes: not known.",
            _ => "- Scopes: none, the call carries no token.",
        });
        has("- Source: ");
        operation.sources.iter().for_each(|source| has(source));
        has("```no_run");
    }
}

#[test]
fn every_operation_is_a_method_of_the_client() {
    let methods: Vec<_> = method_docs().into_keys().collect();
    let ids: Vec<_> = operations::all()
        .iter()
        .map(|operation| operation.id)
        .collect();
    assert_eq!(methods, ids);
}

/// Compares with `tests/snapshots/<name>.snap`, one sorted fact a line.
#[track_caller]
fn check(name: &str, mut lines: Vec<String>) {
    lines.sort_by(|a, b| {
        a.trim_start_matches(['!', ' '])
            .cmp(b.trim_start_matches(['!', ' ']))
    });
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, lines.join("\n")));
}

struct Builder {
    arguments: Vec<String>,
    answer: String,
}

/// What each list streams, by the operation's id: the record's type, the
/// field it is in, how records are told apart, and the type of `meta`.
fn lists() -> BTreeMap<String, String> {
    let models = syn::parse_file(TYPES).unwrap().items;
    let meta_of = |answer: &str| {
        let field = models.iter().find_map(|item| match item {
            Item::Struct(model) if model.ident == answer => model
                .fields
                .iter()
                .find(|field| name(field) == "meta")
                .cloned(),
            _ => None,
        });
        field.map_or("any".into(), |field| short(&field.ty))
    };
    let mut lists = BTreeMap::new();
    for item in builder_items() {
        let Item::Impl(block) = item else { continue };
        let method = |wanted: &str| {
            block.items.iter().find_map(|item| match item {
                ImplItem::Fn(method) if method.sig.ident == wanted => Some(method),
                _ => None,
            })
        };
        let (Some(send), Some(pages)) = (method("send"), method("pages")) else {
            continue;
        };
        let syn::ReturnType::Type(_, stream) = &pages.sig.output else {
            panic!("`pages` returns nothing");
        };
        let record = short(only_argument(stream).unwrap());
        let (id, answer) = answer(send);
        let body = pages.block.to_token_stream().to_string().replace(' ', "");
        let field = body.split("Found::new(answer.").nth(1);
        let field = field
            .and_then(|rest| rest.split(',').next())
            .unwrap_or("the one list");
        let known = match body.contains("known(item.id") || body.contains("OneArray(") {
            true => "by id",
            false => "not told apart",
        };
        let paged = if body.contains("in_pages(") {
            ""
        } else {
            ", all at once"
        };
        let meta = meta_of(&answer);
        lists.insert(
            id,
            format!("{record} of {field}, {known}, meta: {meta}{paged}"),
        );
    }
    lists
}

fn builder_items() -> Vec<Item> {
    let file = syn::parse_file(CLIENT).unwrap();
    let module = file.items.into_iter().find_map(|item| match item {
        Item::Mod(module) if module.ident == "builder" => module.content,
        _ => None,
    });
    module.expect("a module of builders").1
}

/// The builder of each operation, by the operation's id.
fn builders() -> BTreeMap<String, Builder> {
    let mut arguments = BTreeMap::new();
    let mut builders = BTreeMap::new();
    for item in builder_items() {
        match item {
            Item::Struct(builder) => {
                let fields = builder
                    .fields
                    .iter()
                    .filter(|field| name(field) != "client");
                arguments.insert(builder.ident.to_string(), fields.map(argument).collect());
            }
            Item::Impl(block) => {
                let answer = block.items.iter().find_map(|item| match item {
                    ImplItem::Fn(send) if send.sig.ident == "send" => Some(answer(send)),
                    _ => None,
                });
                if let Some((id, answer)) = answer {
                    let arguments = arguments.remove(&last_segment(&block.self_ty)).unwrap();
                    builders.insert(id, Builder { arguments, answer });
                }
            }
            _ => {}
        }
    }
    builders
}

/// The id that `send` reads the answer for, and the answer's type: the
/// `T` of `-> Result<Response<T>, Error>`.
fn answer(send: &syn::ImplItemFn) -> (String, String) {
    let syn::ReturnType::Type(_, result) = &send.sig.output else {
        panic!("`send` returns nothing");
    };
    let answer = only_argument(only_argument(result).unwrap()).unwrap();
    let body = send.block.to_token_stream().to_string();
    let id = body.split('"').nth(1).expect("`send` names its operation");
    (id.to_string(), short(answer))
}

/// `page_number?: i64` of `page_number: Result<Option<i64>, String>`.
fn argument(field: &Field) -> String {
    let held = only_argument(&field.ty).expect("a `Result` in a builder");
    match last_segment(held).as_str() {
        "Option" => format!("{}?: {}", name(field), short(only_argument(held).unwrap())),
        _ => format!("{}: {}", name(field), short(held)),
    }
}

/// The documentation of each operation's method.
fn method_docs() -> BTreeMap<String, String> {
    let mut docs = BTreeMap::new();
    for item in syn::parse_file(CLIENT).unwrap().items {
        let Item::Impl(block) = item else { continue };
        for item in block.items {
            if let ImplItem::Fn(method) = item
                && matches!(method.vis, syn::Visibility::Public(_))
            {
                docs.insert(method.sig.ident.to_string(), doc(&method.attrs));
            }
        }
    }
    docs
}

fn doc(attributes: &[Attribute]) -> String {
    let lines = attributes
        .iter()
        .filter_map(|attribute| match &attribute.meta {
            Meta::NameValue(pair) if pair.path.is_ident("doc") => text(&pair.value),
            _ => None,
        });
    lines
        .collect::<Vec<_>>()
        .join("\n")
        .trim_start()
        .to_string()
}

/// The lines about one item of `types.rs`.
fn facts(item: &Item) -> Vec<String> {
    match item {
        Item::Struct(model) => match &model.fields {
            Fields::Named(fields) if fields.named.is_empty() => {
                vec![format!("{} {{}}", model.ident)]
            }
            Fields::Named(fields) => fields
                .named
                .iter()
                .map(|field| format!("{}.{}", model.ident, fact(field)))
                .collect(),
            fields => vec![format!(
                "{}({})",
                model.ident,
                fields.iter().map(|f| short(&f.ty)).collect::<String>()
            )],
        },
        Item::Enum(model) => {
            let variants = model
                .variants
                .iter()
                .map(|v| v.to_token_stream().to_string());
            vec![format!(
                "{} = {} (closed)",
                model.ident,
                variants.collect::<Vec<_>>().join(" | ")
            )]
        }
        Item::Macro(call) if call.mac.path.segments.last().unwrap().ident == "open_enum" => {
            let set: syn::ItemEnum = call.mac.parse_body().unwrap();
            let values = set.variants.iter().map(|variant| {
                text(
                    &variant
                        .discriminant
                        .as_ref()
                        .expect("each variant has its text")
                        .1,
                )
                .unwrap()
            });
            vec![format!(
                "{} = {} | ..",
                set.ident,
                values.collect::<Vec<_>>().join(" | ")
            )]
        }
        Item::Macro(call) if call.mac.path.segments.last().unwrap().ident == "id_type" => {
            let id = call
                .mac
                .parse_body_with(|input: syn::parse::ParseStream<'_>| {
                    let id: syn::ItemStruct = input.parse()?;
                    let _kind: syn::LitStr = input.parse()?;
                    Ok(id.ident)
                });
            vec![format!("{}: id", id.unwrap())]
        }
        Item::Type(alias) => vec![format!("{} = {}", alias.ident, short(&alias.ty))],
        // Builders of the structs above, and the code of both.
        Item::Impl(_) | Item::Mod(_) => vec![],
        other => panic!("an item of a new kind: {}", other.to_token_stream()),
    }
}

/// `created_at: Option<Timestamp>`, with the name on the wire where that is
/// another.
fn fact(field: &Field) -> String {
    let mut renamed = None;
    for attribute in field
        .attrs
        .iter()
        .filter(|attribute| attribute.path().is_ident("serde"))
    {
        attribute
            .parse_nested_meta(|meta| {
                if meta.input.peek(syn::Token![=]) {
                    let value: syn::LitStr = meta.value()?.parse()?;
                    if meta.path.is_ident("rename") {
                        renamed = Some(value.value());
                    }
                }
                Ok(())
            })
            .unwrap();
    }
    let wire = renamed.map(|wire| format!(" ({wire})")).unwrap_or_default();
    format!("{}{wire}: {}", name(field), short(&field.ty))
}

fn name(field: &Field) -> String {
    field
        .ident
        .as_ref()
        .map(ToString::to_string)
        .unwrap_or_default()
}

fn text(expression: &Expr) -> Option<String> {
    match expression {
        Expr::Lit(literal) => match &literal.lit {
            Lit::Str(text) => Some(text.value()),
            _ => None,
        },
        _ => None,
    }
}

fn last_segment(ty: &Type) -> String {
    match ty {
        Type::Path(path) => path.path.segments.last().unwrap().ident.to_string(),
        _ => String::new(),
    }
}

fn arguments(ty: &Type) -> Vec<&Type> {
    let Type::Path(path) = ty else { return vec![] };
    let syn::PathArguments::AngleBracketed(list) = &path.path.segments.last().unwrap().arguments
    else {
        return vec![];
    };
    let types = list.args.iter().filter_map(|argument| match argument {
        syn::GenericArgument::Type(ty) => Some(ty),
        _ => None,
    });
    types.collect()
}

/// The `T` of `Option<T>` and of `Result<T, E>`.
fn only_argument(ty: &Type) -> Option<&Type> {
    arguments(ty).first().copied()
}

/// A type without the paths of its parts.
fn short(ty: &Type) -> String {
    if !matches!(ty, Type::Path(_)) {
        return ty.to_token_stream().to_string();
    }
    match arguments(ty).into_iter().map(short).collect::<Vec<_>>() {
        none if none.is_empty() => last_segment(ty),
        some => format!("{}<{}>", last_segment(ty), some.join(", ")),
    }
}
