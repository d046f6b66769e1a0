//! What rustdoc says of the client: the generator knows types and arguments,
//! and nothing of scopes, restrictions, pages and where a fact is from.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::{Value, json};
use syn::{ImplItem, Item};

use super::calls::{Argument, Call};
use crate::codegen::document::{Described, alternatives, described};
use crate::codegen::syntax::{documentation, is_named, set};

/// How the documentation of a restricted operation begins.
const APPROVAL: &str = "Requires commercial approval";

/// Documents the client's methods, the builders and their setters.
pub(crate) fn write(client: &mut [Item], calls: &[Call], document: &Value) {
    for item in client {
        match item {
            Item::Impl(block) if block.trait_.is_none() => {
                for method in &mut block.items {
                    if let ImplItem::Fn(method) = method
                        && let Some(call) = calls.iter().find(|call| method.sig.ident == call.id)
                        && let Some(operation) = described(document, &call.id)
                    {
                        set(&mut method.attrs, &of_operation(&operation, call));
                    }
                }
            }
            Item::Mod(module) if module.ident == "builder" => {
                set(
                    &mut module.attrs,
                    "Calls to be made: what the methods of [`Client`](crate::Client) return.",
                );
                if let Some((_, items)) = &mut module.content {
                    of_builders(items, calls, document);
                }
            }
            _ => {}
        }
    }
}

fn of_builders(items: &mut [Item], calls: &[Call], document: &Value) {
    for item in items {
        match item {
            Item::Struct(builder) => {
                let call = calls.iter().find(|call| builder.ident == call.builder);
                if let Some(Call { id, streams, .. }) = call {
                    let what = described(document, id)
                        .map(|operation| format!(": {}", first_line(operation.value)));
                    let what = what.unwrap_or_default();
                    let link = format!("[`{id}`](crate::Client::{id})");
                    let end = if *streams {
                        "[`items`](Self::items) or [`pages`](Self::pages), or for one page \
                             [`send`](Self::send)"
                    } else {
                        "[`send`](Self::send)"
                    };
                    let text = format!("A call of {link}{what}\n\nIt is made by {end}.");
                    set(&mut builder.attrs, &text);
                }
            }
            Item::Impl(block) if block.trait_.is_none() => {
                let call = calls
                    .iter()
                    .find(|call| is_named(&block.self_ty, call.builder.as_str()));
                let Some(call) = call else { continue };
                for member in &mut block.items {
                    if let ImplItem::Fn(setter) = member
                        && documentation(&setter.attrs).is_empty()
                    {
                        let name = setter.sig.ident.to_string();
                        set(&mut setter.attrs, &of_setter(&name, call));
                    }
                }
            }
            _ => {}
        }
    }
}

fn of_setter(name: &str, call: &Call) -> String {
    let argument = call.arguments.iter().find(|argument| argument.name == name);
    match (name, argument) {
        (_, Some(argument)) => {
            let what = match (argument.description.as_str(), own_type(&argument.ty)) {
                ("", Some(own)) => format!("Of type {own}; its builder will do."),
                ("", None) => String::new(),
                (known, _) => sentence(known),
            };
            let need = if argument.optional {
                "May be left out."
            } else {
                "Must be given."
            };
            format!("{what}\n\n{need}").trim_start().into()
        }
        ("new", None) => {
            let Call { id, .. } = call;
            format!("Starts the call, as [`{id}`](crate::Client::{id}) does.")
        }
        ("body_map", None) => "Changes the builder of what to send.".into(),
        _ => String::new(),
    }
}

/// What rustdoc says of an operation: a restriction first, then what it does,
/// then the facts, the arguments, and a call.
fn of_operation(operation: &Described<'_>, call: &Call) -> String {
    let value = operation.value;
    let mut parts = vec![first_line(value)];
    if value["deprecated"] == true {
        parts.push("Deprecated by the vendor.".into());
    }
    parts.extend(more(value));
    let note = text(value, "x-note");
    if !note.is_empty() {
        parts.push(format!("Note: {}", sentence(note)));
    }
    parts.push(facts(operation, call));
    if !call.arguments.is_empty() {
        let Call { builder, .. } = call;
        let mut list = String::from("Arguments:\n");
        for Argument {
            name,
            ty,
            optional,
            description,
        } in &call.arguments
        {
            let need = if *optional { "" } else { ", required" };
            let what = match (description.as_str(), own_type(ty)) {
                ("", Some(own)) => format!(", of type {own}."),
                ("", None) => ".".into(),
                (known, _) => format!(": {}", sentence(known)),
            };
            let _ = write!(
                list,
                "\n- [`{name}`](builder::{builder}::{name}){need}{what}"
            );
        }
        parts.push(list);
    }
    parts.push(example(call));
    parts.retain(|part| !part.is_empty());
    parts.join("\n\n")
}

fn facts(operation: &Described<'_>, call: &Call) -> String {
    let (value, Call { builder, .. }) = (operation.value, call);
    let approval = if is_marked(value) {
        "required; the vendor decides which apps may call this, and \
             [`needs_approval`](crate::Error::needs_approval) tells a refusal that may come of it"
    } else {
        "not required"
    };
    let streams = format!(
        "[`items`](builder::{builder}::items) and [`pages`](builder::{builder}::pages) read \
         the whole list"
    );
    let pages = match (value["x-paged"] == true, call.streams) {
        (true, true) => format!("of 100 records at most; {streams}"),
        (true, false) => "of 100 records at most".into(),
        (false, true) => "none, the list comes at once".into(),
        (false, false) => "none".into(),
    };
    let sources = value["x-source"].as_array().into_iter().flatten();
    let sources = sources.filter_map(Value::as_str).map(|source| {
        if source.starts_with("https://") {
            format!("<{source}>")
        } else {
            source.into()
        }
    });
    let sources = sources.collect::<Vec<_>>().join("; ");
    let mut facts = vec![
        format!(
            "Request: `{} {}`",
            operation.method.to_uppercase(),
            operation.path
        ),
        format!("Scopes: {}", scopes(value)),
        format!("Commercial approval: {approval}"),
        format!("Pages: {pages}"),
    ];
    if !sources.is_empty() {
        facts.push(format!("Source: {sources}"));
    }
    facts
        .iter()
        .map(|fact| format!("- {fact}."))
        .collect::<Vec<_>>()
        .join("\n")
}

fn scopes(value: &Value) -> String {
    if value["security"] == json!([]) {
        return "none, the call carries no token".into();
    }
    let alternatives = alternatives(value.get("security"));
    if alternatives.is_empty() {
        return "not known".into();
    }
    let alternatives = alternatives.iter().map(|scopes| {
        let scopes = scopes.iter().map(|scope| format!("`{scope}`"));
        scopes.collect::<Vec<_>>().join(" and ")
    });
    let alternatives = alternatives.collect::<Vec<_>>().join(" or ");
    match text(value, "x-scopes-confidence") {
        "documented" => format!("{alternatives} (documented by the vendor)"),
        "inferred" => format!("{alternatives} (inferred, the vendor does not say)"),
        "third-party" => format!("{alternatives} (by third parties' word)"),
        "" => alternatives,
        other => format!("{alternatives} ({other})"),
    }
}

/// What the operation does, in a line; a restriction goes before it.
fn first_line(value: &Value) -> String {
    let (description, summary) = (description(value), text(value, "summary"));
    let says_more = says_all(description, summary) && !says_all(summary, description);
    let what = if says_more {
        first_paragraph(description)
    } else {
        summary
    };
    let what = sentence(what);
    if is_marked(value) {
        format!("{APPROVAL}. {what}").trim_end().into()
    } else {
        what
    }
}

/// What the description says beyond the first line.
fn more(value: &Value) -> Option<String> {
    let (description, summary) = (description(value), text(value, "summary"));
    let first = first_paragraph(description);
    let rest = description[first.len()..].trim();
    let more = if says_all(description, summary) || says_all(summary, first) {
        rest
    } else {
        description
    };
    (!more.is_empty()).then(|| sentence(more))
}

fn description(value: &Value) -> &str {
    let description = text(value, "description");
    let rest = description.strip_prefix(APPROVAL);
    rest.filter(|_| is_marked(value))
        .map_or(description, |rest| rest.trim_start_matches('.').trim())
}

fn first_paragraph(text: &str) -> &str {
    text.split("\n\n").next().unwrap_or_default()
}

/// Whether a text's first paragraph has all words of the other's that count.
fn says_all(text: &str, other: &str) -> bool {
    let words = |text: &str| -> BTreeSet<String> {
        const EMPTY: [&str; 8] = ["", "a", "all", "an", "every", "of", "one", "the"];
        let words = text.split(|c: char| c.is_whitespace() || c == '.');
        words
            .map(|word| word.trim_end_matches("'s").to_lowercase())
            .filter(|word| !EMPTY.contains(&word.as_str()))
            .collect()
    };
    words(first_paragraph(other)).is_subset(&words(first_paragraph(text)))
}

/// The text with a full stop where it ends in a word.
fn sentence(text: &str) -> String {
    let ends = text
        .trim_end()
        .ends_with(|c: char| c.is_alphanumeric() || c == ')');
    let in_list = text
        .lines()
        .last()
        .is_some_and(|line| line.starts_with(['*', '-']));
    if ends && !in_list {
        format!("{}.", text.trim_end())
    } else {
        text.trim_end().into()
    }
}

fn is_marked(value: &Value) -> bool {
    value["x-requires-commercial-approval"] == true
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value[key].as_str().unwrap_or_default().trim()
}

/// The call with what it must be given, as a program that compiles.
fn example(call: &Call) -> String {
    let Call { id, .. } = call;
    let required = call.arguments.iter().filter(|argument| !argument.optional);
    let (mut parameters, mut given) = (String::new(), Vec::new());
    for Argument { name, ty, .. } in required {
        if name == "client" {
            return String::new();
        }
        let _ = write!(parameters, ", {name}: {}", outside(ty));
        given.push(format!(".{name}({name})"));
    }
    given.extend(if call.streams {
        vec![".items()".to_string()]
    } else {
        vec![".send()".to_string(), ".await?".to_string()]
    });
    let line = format!("client.{id}(){}", given.concat());
    let chain = if line.len() <= 70 {
        line
    } else {
        format!("client\n    .{id}()\n    {}", given.join("\n    "))
    };
    let (shown, rest) = if call.streams {
        (
            format!("let mut records = {chain};"),
            "\nwhile let Some(record) = records.next().await {\n    let record = record?;\n}",
        )
    } else {
        (format!("let answer = {chain};"), "")
    };
    format!(
        "```no_run\n# async fn example(client: fullscript::Client{parameters}) -> \
         Result<(), fullscript::Error> {{\n{shown}{rest}\n# Ok(())\n# }}\n```"
    )
}

/// A link to a model, if the type is one.
fn own_type(ty: &str) -> Option<String> {
    let name = ty.strip_prefix("types::")?;
    let is_name = name.chars().all(char::is_alphanumeric);
    is_name.then(|| format!("[`{name}`](crate::types::{name})"))
}

/// A type as it is called outside of the crate.
fn outside(ty: &str) -> String {
    let ty = ty.replace("crate::", "fullscript::");
    match ty.strip_prefix("types::") {
        Some(own) => format!("fullscript::types::{own}"),
        None => ty.replace("<types::", "<fullscript::types::"),
    }
}
