//! The endpoints of the vendor's reference and the matching operations of this crate.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use fullscript::operations::{self, Operation};
use fullscript::types::EventType;
use fullscript::webhook::Event;
use serde_json::{Value, json};

use super::surface::{PUBLISHED, method_docs, surface, without_names};

const PLACE: &str = "docs/coverage.md";

/// The command that writes the file, as for snapshots.
const UPDATE: &str = "INSTA_UPDATE=always cargo test -p tests --test it coverage";

#[test]
fn the_table_of_coverage_is_as_generated() {
    let path = Path::new(super::ROOT).join(PLACE);
    let table = coverage();
    if std::env::var("INSTA_UPDATE").is_ok_and(|update| update == "always") {
        std::fs::write(&path, &table).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    let first = committed
        .lines()
        .zip(table.lines())
        .find(|(committed, generated)| committed != generated);
    assert!(
        committed == table,
        "{PLACE} is not as generated, first at {first:?}; write it again: {UPDATE}"
    );
}

#[test]
fn the_readme_counts_the_operations_and_names_the_restricted_ones() {
    const README: &str = include_str!("../../../README.md");
    let count = format!("each of its {} operations", operations::all().len());
    assert!(README.contains(&count), "README.md: {count}");
    let section = README
        .split("\n## ")
        .find(|section| section.starts_with("Operations that require commercial approval\n"));
    let named: BTreeSet<&str> = section
        .expect("a section on approval")
        .split('`')
        .filter(|word| operations::find(word).is_some())
        .collect();
    let restricted = operations::all()
        .iter()
        .filter(|operation| operation.requires_commercial_approval);
    assert_eq!(named, restricted.map(|operation| operation.id).collect());
}

/// An endpoint of the reference and its operation.
struct Endpoint {
    method: String,
    path: String,
    operation: Option<&'static Operation>,
}

/// The endpoints of the vendor's document by section, and those known from other sources.
fn sections() -> BTreeMap<String, Vec<Endpoint>> {
    let published: Value = serde_json::from_str(PUBLISHED).unwrap();
    let mut sections: BTreeMap<String, Vec<Endpoint>> = BTreeMap::new();
    let mut found = BTreeSet::new();
    for (path, item) in published["paths"].as_object().unwrap() {
        for (method, described) in item.as_object().unwrap() {
            let method = method.to_uppercase();
            let operation = operations::all()
                .iter()
                .find(|own| own.method == method && without_names(own.path) == without_names(path));
            found.extend(operation.map(|operation| operation.id));
            let section = described["tags"][0].as_str();
            let section = section.unwrap_or("Without a section").to_string();
            sections.entry(section).or_default().push(Endpoint {
                method,
                path: path.clone(),
                operation,
            });
        }
    }
    let others = operations::all()
        .iter()
        .filter(|operation| !found.contains(operation.id))
        .map(|operation| Endpoint {
            method: operation.method.into(),
            path: operation.path.into(),
            operation: Some(operation),
        });
    let others: Vec<_> = others.collect();
    if !others.is_empty() {
        sections.insert("Known from elsewhere".into(), others);
    }
    sections
}

fn coverage() -> String {
    let sections = sections();
    let endpoints = || sections.values().flatten();
    let all = endpoints().count();
    let bound = endpoints().filter(|endpoint| endpoint.operation.is_some());
    let bound = bound.count();
    let of_all =
        |is: fn(&Operation) -> bool| operations::all().iter().filter(|own| is(own)).count();
    let lists = records();
    let mut out = format!(
        "# Coverage of the vendor's reference\n\n\
         Each endpoint of the reference, and the method of `Client` that calls it.\n\
         The reference is `spec/openapi.json`; `spec/source.toml` says where that is from.\n\
         This file is written by a test: `{UPDATE}`.\n\n\
         | | |\n|---|---|\n\
         | Endpoints of the reference | {all} |\n\
         | of which have a method | {bound} |\n\
         | Restricted to approved partners | {} |\n\
         | Lists that are streams of records | {} |\n\
         | of which come in pages | {} |\n",
        of_all(|own| own.requires_commercial_approval),
        lists.len(),
        of_all(|own| own.paged),
    );
    for confidence in ["documented", "inferred", "third-party", "unknown", ""] {
        let count = operations::all()
            .iter()
            .filter(|own| own.scopes_confidence == confidence)
            .count();
        let what = match confidence {
            "" => "No token needed".into(),
            known => format!("Scopes {known}"),
        };
        writeln!(out, "| {what} | {count} |").unwrap();
    }
    out.push_str(
        "\n\"Restricted\" means that the vendor lets approved partners alone call it.\n\
         \"List\" names the record of `items()`: \"in pages\" over all pages, or \"at once\".\n\
         \"Sure\" says how sure the scopes are.\n\
         \"Page\" is the vendor's; the documentation of the method names all sources.\n",
    );
    for (section, endpoints) in &sections {
        write!(
            out,
            "\n## {section}\n\n\
             | Endpoint | Method | List | Scopes | Sure | Restricted | Page |\n\
             |---|---|---|---|---|---|---|\n"
        )
        .unwrap();
        for endpoint in endpoints {
            out.push_str(&row(endpoint, &lists));
        }
    }
    out.push_str(&events());
    out
}

/// The record type of each list stream.
fn records() -> BTreeMap<String, String> {
    let operations = surface().operations.into_iter();
    operations
        .filter_map(|(id, operation)| Some((id, operation.list?.record)))
        .collect()
}

fn row(endpoint: &Endpoint, lists: &BTreeMap<String, String>) -> String {
    let Endpoint { method, path, .. } = endpoint;
    let Some(operation) = endpoint.operation else {
        return format!("| `{method} {path}` | none; `Client::request` | | | | | |\n");
    };
    let list = lists.get(operation.id).map(|list| {
        let how = if operation.paged {
            "in pages"
        } else {
            "at once"
        };
        format!("`{list}`, {how}")
    });
    let scopes = operation.scopes.iter().map(|together| {
        let scopes = together.iter().map(|scope| format!("`{scope}`"));
        scopes.collect::<Vec<_>>().join(" and ")
    });
    let page = operation.sources.iter().find_map(|source| {
        let (_, name) = source.strip_prefix("https://")?.rsplit_once('/')?;
        Some(format!("[{name}]({source})"))
    });
    let cells = [
        format!("`{method} {path}`"),
        format!("`{}`", operation.id),
        list.unwrap_or_default(),
        scopes.collect::<Vec<_>>().join(" or "),
        operation.scopes_confidence.to_string(),
        if operation.requires_commercial_approval {
            "yes"
        } else {
            ""
        }
        .to_string(),
        page.unwrap_or_default(),
    ];
    let cells = cells.map(|cell| format!(" {cell}")).join(" |");
    format!("|{cells} |\n")
        .replace("|  |", "| |")
        .replace("|  |", "| |")
}

/// The event types: how the receiver decodes each one, and the list that contains it later.
fn events() -> String {
    let docs = method_docs();
    let mut out = String::from(
        "\n## Events\n\n\
         Delivered by webhooks, and listed for thirty days.\n\n\
         | Event | Read as | List |\n|---|---|---|\n",
    );
    for type_ in EventType::ALL {
        let event = Event::from_json(json!({"id": "1", "type": type_, "data": {}}));
        let read = format!("{:?}", event.data);
        let read = read.split(['(', ' ']).next().unwrap_or_default();
        let list = docs
            .iter()
            .find(|(_, docs)| docs.contains(&format!("`{type_}`")))
            .map(|(method, _)| format!("`{method}`"));
        writeln!(
            out,
            "| `{type_}` | `EventData::{read}` | {} |",
            list.unwrap_or_default()
        )
        .unwrap();
    }
    out
}
