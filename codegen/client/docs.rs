//! Documentation of client methods, request builders and setters.
//!
//! progenitor documents arguments only. This module adds scopes, commercial approval, pagination
//! and sources, which come from the document's `x-` extensions.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::{Value, json};

use super::argument::Argument;
use super::operation::Operation;
use crate::codegen::document::{Described, alternatives};
use crate::codegen::syntax::{self, lower_first};

/// First words of the documentation of an operation that requires commercial approval.
const APPROVAL: &str = "Requires commercial approval";

/// An operation to document, and whether `items()` and `pages()` exist for it.
pub(crate) struct Documented<'o> {
    pub(crate) operation: &'o Operation<'o>,
    pub(crate) streams: bool,
}

impl Documented<'_> {
    /// Returns the documentation of the client method.
    ///
    /// Order: commercial approval, what the operation does, facts, arguments, example.
    pub(crate) fn method(&self) -> String {
        of_operation(&self.operation.described, self)
    }

    /// Returns the documentation of the request builder.
    pub(crate) fn builder(&self) -> String {
        let Operation { id, described, .. } = self.operation;
        let what = first_line(described.value);
        let end = if self.streams {
            "[`send`](Self::send) or `.await` returns one page; [`items`](Self::items) and \
             [`pages`](Self::pages) stream the whole list."
        } else {
            "Send it with [`send`](Self::send) or `.await`."
        };
        format!("Request builder for [`{id}`](crate::Client::{id}): {what}\n\n{end}")
    }
}

/// Returns the documentation of a setter.
pub(crate) fn of_setter(argument: &Argument) -> String {
    let need = if argument.optional {
        "Optional."
    } else {
        "Required."
    };
    let Argument { name, .. } = argument;
    format!("Sets `{name}`{}\n\n{need}", what(argument))
}

/// Returns the description of an argument, as the end of a sentence.
fn what(argument: &Argument) -> String {
    match (argument.description.as_str(), own_type(argument)) {
        ("", Some(own)) => format!(": see {own}."),
        ("", None) => ".".into(),
        (known, _) => format!(": {}", lower_first(&sentence(known))),
    }
}

/// Returns the documentation of a setter that takes an `Option`.
pub(crate) fn of_optional_setter(argument: &Argument) -> String {
    let (name, setter) = (&argument.name, argument.setter());
    format!("Sets [`{name}`](Self::{setter}), or removes it if `None`.")
}

fn of_operation(described: &Described<'_>, documented: &Documented<'_>) -> String {
    let value = described.value;
    let Operation {
        builder, arguments, ..
    } = documented.operation;
    let mut parts = vec![first_line(value)];
    if value["deprecated"] == true {
        parts.push("Deprecated by Fullscript.".into());
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
            let what = what(argument);
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
        "required; Fullscript decides which apps may call this, and \
             [`needs_approval`](crate::Error::needs_approval) detects a response that may \
             indicate missing approval"
    } else {
        "not required"
    };
    let streams = format!(
        "[`items`](builder::{builder}::items) and [`pages`](builder::{builder}::pages) stream \
         the whole list"
    );
    let pages = match (value["x-paged"] == true, documented.streams) {
        (true, true) => format!("at most 100 records per page; {streams}"),
        (true, false) => "at most 100 records per page".into(),
        (false, true) => "not paginated; one response has the whole list".into(),
        (false, false) => "not paginated".into(),
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
        format!("Pagination: {pages}"),
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
        return "none; the request is sent without a token".into();
    }
    let alternatives = alternatives(value.get("security"));
    if alternatives.is_empty() {
        return "unknown".into();
    }
    let alternatives = alternatives.iter().map(|scopes| {
        let scopes = scopes.iter().map(|scope| format!("`{scope}`"));
        scopes.collect::<Vec<_>>().join(" and ")
    });
    let alternatives = alternatives.collect::<Vec<_>>().join(" or ");
    match text(value, "x-scopes-confidence") {
        "documented" => format!("{alternatives} (documented by Fullscript)"),
        "inferred" => format!("{alternatives} (inferred; not documented by Fullscript)"),
        "third-party" => format!("{alternatives} (reported by third parties)"),
        "" => alternatives,
        other => format!("{alternatives} ({other})"),
    }
}

/// Returns one line that says what the operation does, after the approval notice if there is one.
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

/// Returns the part of the description that the first line does not already contain.
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

/// Returns whether the first paragraph of `text` contains every significant word of `other`'s.
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

/// Adds a full stop to a text that ends in a word or a parenthesis.
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

/// Returns an example with the required arguments, which rustdoc compiles.
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

/// Returns a link to the argument's type if that is a type of `crate::types`.
fn own_type(argument: &Argument) -> Option<String> {
    let ty = syntax::text(&argument.ty);
    let name = ty.strip_prefix("types::")?;
    let is_name = name.chars().all(char::is_alphanumeric);
    is_name.then(|| format!("[`{name}`](crate::types::{name})"))
}

/// Returns the argument's type as code outside the crate names it.
fn outside(argument: &Argument) -> String {
    let ty = syntax::text(&argument.ty).replace("crate::", "fullscript::");
    match ty.strip_prefix("types::") {
        Some(own) => format!("fullscript::types::{own}"),
        None => ty
            .replace("<types::", "<fullscript::types::")
            .replace("::reqwest::", "fullscript::reqwest::"),
    }
}
