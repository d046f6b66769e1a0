//! The documentation of the client's methods, the builders and their setters: the generator
//! knows types and arguments, but nothing of scopes, restrictions, pages and sources.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::{Value, json};

use super::operation::{Argument, Operation};
use crate::codegen::document::{Described, alternatives};
use crate::codegen::syntax;

/// How the documentation of a restricted operation begins.
const APPROVAL: &str = "Requires commercial approval";

/// What is documented: the generated operation, the document's, and whether it can be streamed.
pub(crate) struct Documented<'o> {
    pub(crate) operation: &'o Operation,
    pub(crate) described: Option<Described<'o>>,
    pub(crate) streams: bool,
}

impl Documented<'_> {
    /// The documentation of the client's method: the restriction, what the operation does, the
    /// facts, the arguments, an example.
    pub(crate) fn method(&self) -> String {
        match &self.described {
            Some(described) => of_operation(described, self),
            None => String::new(),
        }
    }

    /// The documentation of the builder.
    pub(crate) fn builder(&self) -> String {
        let Operation { id, .. } = self.operation;
        let what = self.described.as_ref();
        let what = what.map(|described| format!(": {}", first_line(described.value)));
        let end = if self.streams {
            "Send it for one page with [`send`](Self::send) or `.await`, or stream the whole list \
             with [`items`](Self::items) or [`pages`](Self::pages)."
        } else {
            "Send it with [`send`](Self::send) or `.await`."
        };
        let what = what.unwrap_or_default();
        format!("A request of [`{id}`](crate::Client::{id}){what}\n\n{end}")
    }
}

/// The documentation of a setter.
pub(crate) fn of_setter(argument: &Argument) -> String {
    let need = if argument.optional {
        "Optional."
    } else {
        "Required."
    };
    let Argument { name, .. } = argument;
    match (argument.description.as_str(), own_type(argument)) {
        ("", Some(own)) => format!("Sets the {name}, a {own}.\n\n{need}"),
        ("", None) => format!("Sets `{name}`.\n\n{need}"),
        (known, _) => format!("Sets `{name}`: {}\n\n{need}", sentence(known)),
    }
}

/// The documentation of a setter that takes an option.
pub(crate) fn of_optional_setter(argument: &Argument) -> String {
    let (name, setter) = (&argument.name, argument.setter());
    format!("Sets or unsets [`{name}`](Self::{setter}).")
}

fn of_operation(described: &Described<'_>, documented: &Documented<'_>) -> String {
    let value = described.value;
    let Operation {
        builder, arguments, ..
    } = documented.operation;
    let mut parts = vec![first_line(value)];
    if value["deprecated"] == true {
        parts.push("Deprecated by the vendor.".into());
    }
    parts.extend(more(value));
    let note = text(value, "x-note");
    if !note.is_empty() {
        parts.push(format!("Note: {}", sentence(note)));
    }
    parts.push(facts(described, documented));
    if !arguments.is_empty() {
        let mut list = String::from("Arguments:\n");
        for argument in arguments {
            let (name, setter) = (&argument.name, argument.setter());
            let need = if argument.optional { "" } else { ", required" };
            let what = match (argument.description.as_str(), own_type(argument)) {
                ("", Some(own)) => format!(", of type {own}."),
                ("", None) => ".".into(),
                (known, _) => format!(": {}", sentence(known)),
            };
            let _ = write!(
                list,
                "\n- [`{name}`](builder::{builder}::{setter}){need}{what}"
            );
        }
        parts.push(list);
    }
    parts.push(example(documented));
    parts.retain(|part| !part.is_empty());
    parts.join("\n\n")
}

fn facts(described: &Described<'_>, documented: &Documented<'_>) -> String {
    let (value, Operation { builder, .. }) = (described.value, documented.operation);
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
    let pages = match (value["x-paged"] == true, documented.streams) {
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
            described.method.to_uppercase(),
            described.path
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

/// A request with its required arguments, as a program that compiles.
fn example(documented: &Documented<'_>) -> String {
    let Operation { id, arguments, .. } = documented.operation;
    let (mut parameters, mut given) = (String::new(), Vec::new());
    for argument in arguments.iter().filter(|argument| !argument.optional) {
        let Argument { name, .. } = argument;
        if name == "client" {
            return String::new();
        }
        let _ = write!(parameters, ", {name}: {}", outside(argument));
        given.push(format!(".{}({name})", argument.setter()));
    }
    given.push(if documented.streams {
        ".items()".into()
    } else {
        ".await?".into()
    });
    let line = format!("client.{id}(){}", given.concat());
    let chain = if line.len() <= 70 {
        line
    } else {
        format!("client\n    .{id}()\n    {}", given.join("\n    "))
    };
    let (shown, rest) = if documented.streams {
        (
            format!("let mut records = {chain};"),
            "\nwhile let Some(record) = records.next().await {\n    let record = record?;\n}",
        )
    } else {
        (format!("let response = {chain};"), "")
    };
    format!(
        "```no_run\n# async fn example(client: fullscript::Client{parameters}) -> \
         Result<(), fullscript::Error> {{\n{shown}{rest}\n# Ok(())\n# }}\n```"
    )
}

/// A link to a model, if the argument is one.
fn own_type(argument: &Argument) -> Option<String> {
    let ty = syntax::text(&argument.ty);
    let name = ty.strip_prefix("types::")?;
    let is_name = name.chars().all(char::is_alphanumeric);
    is_name.then(|| format!("[`{name}`](crate::types::{name})"))
}

/// The argument's type as it is named outside of the crate.
fn outside(argument: &Argument) -> String {
    let ty = syntax::text(&argument.ty).replace("crate::", "fullscript::");
    match ty.strip_prefix("types::") {
        Some(own) => format!("fullscript::types::{own}"),
        None => ty
            .replace("<types::", "<fullscript::types::")
            .replace("::reqwest::", "fullscript::reqwest::"),
    }
}
