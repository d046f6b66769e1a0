//! `docs/coverage.md`: each endpoint of the vendor's document with the method that calls it, and
//! each event with its payload.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use proc_macro2::{Delimiter, TokenTree};
use serde_json::Value;

use crate::normalize::{METHODS, anonymous, operations};
use crate::review::Side;
use crate::surface::Type;

/// The levels of confidence in the scopes of an operation, in the order of the table.
const CONFIDENCE: [&str; 4] = ["documented", "inferred", "third-party", "unknown"];

/// The type whose values are the names of events.
const EVENTS: &str = "EventType";

/// Returns the text of the file. `published` is the document as received.
///
/// # Errors
/// Returns a message if the declaration of the payloads of events cannot be read.
pub(crate) fn table(published: &Value, side: &Side) -> Result<String, String> {
    let bound: Vec<Bound<'_>> = operations(&side.document)
        .filter_map(|(path, method, value)| Bound::new(path, method, value, side))
        .collect();
    let sections = sections(published, &bound);
    let mut out = head(&sections, &bound)?;
    for (section, endpoints) in &sections {
        let columns = "| Endpoint | Method | List | Scopes | Sure | Restricted | Page |";
        put(&mut out, format_args!("\n## {section}\n\n{columns}"))?;
        put(&mut out, format_args!("|---|---|---|---|---|---|---|"))?;
        for endpoint in endpoints {
            put(&mut out, format_args!("{}", endpoint.row()))?;
        }
    }
    events(&mut out, side)?;
    Ok(out)
}

fn put(out: &mut String, line: std::fmt::Arguments<'_>) -> Result<(), String> {
    writeln!(out, "{line}").map_err(|error| error.to_string())
}

/// An operation of the client.
struct Bound<'s> {
    id: &'s str,
    method: String,
    path: &'s str,
    value: &'s Value,
    /// The type of the records that the operation streams.
    record: Option<&'s str>,
    /// Alternatives, each a list of scopes that are needed together.
    scopes: &'s [Vec<String>],
}

impl<'s> Bound<'s> {
    fn new(path: &'s str, method: &str, value: &'s Value, side: &'s Side) -> Option<Self> {
        let id = value["operationId"].as_str()?;
        let known = side.surface.operations.get(id)?;
        Some(Self {
            id,
            method: method.to_uppercase(),
            path,
            value,
            record: known.list.as_ref().map(|list| list.record.as_str()),
            scopes: &known.scopes,
        })
    }

    fn confidence(&self) -> &str {
        self.value["x-scopes-confidence"]
            .as_str()
            .unwrap_or_default()
    }

    fn is_restricted(&self) -> bool {
        self.value["x-requires-commercial-approval"] == true
    }

    fn is_paged(&self) -> bool {
        self.value["x-paged"] == true
    }
}

/// An endpoint of the vendor's document, and its operation.
struct Endpoint<'s> {
    method: String,
    path: &'s str,
    operation: Option<&'s Bound<'s>>,
}

impl Endpoint<'_> {
    fn row(&self) -> String {
        let Self { method, path, .. } = self;
        let Some(own) = self.operation else {
            return format!("| `{method} {path}` | none; `Client::request` | | | | | |");
        };
        let list = own.record.map(|record| {
            let how = if own.is_paged() {
                "in pages"
            } else {
                "at once"
            };
            format!("`{record}`, {how}")
        });
        let scopes = own.scopes.iter().map(|together| {
            let scopes = together.iter().map(|scope| format!("`{scope}`"));
            scopes.collect::<Vec<_>>().join(" and ")
        });
        let sources = own.value["x-source"].as_array().into_iter().flatten();
        let mut sources = sources.filter_map(Value::as_str);
        let page = sources.find_map(|source| {
            let (_, name) = source.strip_prefix("https://")?.rsplit_once('/')?;
            Some(format!("[{name}]({source})"))
        });
        let restricted = if own.is_restricted() { "yes" } else { "" };
        let cells = [
            format!("`{method} {path}`"),
            format!("`{}`", own.id),
            list.unwrap_or_default(),
            scopes.collect::<Vec<_>>().join(" or "),
            own.confidence().to_string(),
            restricted.to_string(),
            page.unwrap_or_default(),
        ];
        let cells = cells.map(|cell| {
            if cell.is_empty() {
                cell
            } else {
                format!(" {cell}")
            }
        });
        format!("|{} |", cells.join(" |"))
    }
}

/// Returns the endpoints of the vendor's document by section, and those known from other sources.
fn sections<'s>(
    published: &'s Value,
    bound: &'s [Bound<'s>],
) -> BTreeMap<String, Vec<Endpoint<'s>>> {
    let mut sections: BTreeMap<String, Vec<Endpoint<'_>>> = BTreeMap::new();
    let mut found = BTreeSet::new();
    for (path, item) in published["paths"].as_object().into_iter().flatten() {
        let described = item.as_object().into_iter().flatten();
        let described = described.filter(|(method, _)| METHODS.contains(&method.as_str()));
        for (method, described) in described {
            let method = method.to_uppercase();
            // The derived document may name variables differently.
            let is_same =
                |own: &&Bound<'_>| own.method == method && anonymous(own.path) == anonymous(path);
            let operation = bound.iter().find(is_same);
            found.extend(operation.map(|operation| operation.id));
            let section = described["tags"][0].as_str();
            let section = section.unwrap_or("Without a section").to_string();
            sections.entry(section).or_default().push(Endpoint {
                method,
                path,
                operation,
            });
        }
    }
    let mut others: Vec<_> = bound.iter().filter(|own| !found.contains(own.id)).collect();
    others.sort_by_key(|own| own.id);
    let others = others.into_iter().map(|own| Endpoint {
        method: own.method.clone(),
        path: own.path,
        operation: Some(own),
    });
    let others: Vec<_> = others.collect();
    if !others.is_empty() {
        sections.insert("Known from elsewhere".into(), others);
    }
    sections
}

fn head(
    sections: &BTreeMap<String, Vec<Endpoint<'_>>>,
    bound: &[Bound<'_>],
) -> Result<String, String> {
    let endpoints = || sections.values().flatten();
    let count = |is: &dyn Fn(&Bound<'_>) -> bool| bound.iter().filter(|own| is(own)).count();
    let mut out = String::from(
        "# Coverage of the vendor's reference\n\n\
         Each endpoint of the reference, and the method of `Client` that calls it.\n\
         The reference is `spec/openapi.json`; `spec/source.toml` says where that is from.\n\
         `cargo xtask snapshots` writes this file.\n\n\
         | | |\n|---|---|\n",
    );
    let with_method = endpoints().filter(|endpoint| endpoint.operation.is_some());
    let mut counts = vec![
        (
            "Endpoints of the reference".to_string(),
            endpoints().count(),
        ),
        ("of which have a method".into(), with_method.count()),
        (
            "Restricted to approved partners".into(),
            count(&|own| own.is_restricted()),
        ),
        (
            "Lists that are streams of records".into(),
            count(&|own| own.record.is_some()),
        ),
        (
            "of which come in pages".into(),
            count(&|own| own.is_paged()),
        ),
    ];
    for level in CONFIDENCE {
        let known = count(&|own| own.confidence() == level);
        counts.push((format!("Scopes {level}"), known));
    }
    counts.push((
        "No token needed".into(),
        count(&|own| own.confidence().is_empty()),
    ));
    for (what, count) in counts {
        put(&mut out, format_args!("| {what} | {count} |"))?;
    }
    out.push_str(
        "\n\"Restricted\" means that the vendor lets approved partners alone call it.\n\
         \"List\" names the record of `items()`: \"in pages\" over all pages, or \"at once\".\n\
         \"Sure\" says how sure the scopes are.\n\
         \"Page\" is the vendor's; the documentation of the method names all sources.\n",
    );
    Ok(out)
}

/// Writes the event types: how the receiver decodes each one, and the list that contains it later.
fn events(out: &mut String, side: &Side) -> Result<(), String> {
    let Some(Type::Values { values, .. }) = side.surface.types.get(EVENTS) else {
        return Ok(());
    };
    let typed = typed_events()?;
    let mut lists: Vec<_> = operations(&side.document)
        .map(|(_, _, value)| value)
        .collect();
    lists.sort_by(|a, b| a["operationId"].as_str().cmp(&b["operationId"].as_str()));
    out.push_str(
        "\n## Events\n\n\
         Delivered by webhooks, and listed for thirty days.\n\n\
         | Event | Read as | List |\n|---|---|---|\n",
    );
    for value in values {
        let is_typed = typed.contains(&value.name);
        let read = if is_typed {
            value.name.as_str()
        } else {
            "Unknown"
        };
        let named = format!("`{}`", value.text);
        let list = lists.iter().find(|own| {
            let texts = ["description", "x-note"].iter();
            let mut texts = texts.filter_map(|key| own[*key].as_str());
            texts.any(|text| text.contains(&named))
        });
        let list = list.and_then(|own| own["operationId"].as_str());
        let list = list.map(|id| format!(" `{id}`")).unwrap_or_default();
        put(
            out,
            format_args!("| {named} | `EventData::{read}` |{list} |"),
        )?;
    }
    Ok(())
}

/// Returns the events whose payload has a type, as `src/webhook/data.rs` declares them:
/// `OrderPlaced(OrderData) in "order",`.
fn typed_events() -> Result<BTreeSet<String>, String> {
    const PLACE: &str = "src/webhook/data.rs";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(PLACE);
    let text = fs::read_to_string(path).map_err(|error| format!("{PLACE}: {error}"))?;
    let file = syn::parse_file(&text).map_err(|error| format!("{PLACE}: {error}"))?;
    let declared = file.items.into_iter().find_map(|item| match item {
        syn::Item::Macro(item) if item.mac.path.is_ident("events") => Some(item.mac.tokens),
        _ => None,
    });
    let declared = declared.ok_or_else(|| format!("{PLACE}: no `events!`"))?;
    let tokens: Vec<TokenTree> = declared.into_iter().collect();
    let named = tokens.windows(2).filter_map(|pair| match pair {
        [TokenTree::Ident(name), TokenTree::Group(payload)]
            if payload.delimiter() == Delimiter::Parenthesis =>
        {
            Some(name.to_string())
        }
        _ => None,
    });
    Ok(named.collect())
}
