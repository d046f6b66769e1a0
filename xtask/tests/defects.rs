//! The known defects of the upstream documents are gone after normalization.
//!
//! `defects.tsv` lists them by their pointer in the raw document. Each kind has a predicate on
//! documents, not on the normalizer's report. It is applied to the normalized document, and to the
//! raw one to prove that it detects the defect.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test that can't go on says so"
)]

use std::path::PathBuf;
use std::ptr;

use serde_json::{Value, json};
use xtask::normalize::{derive, operations};

const DOCUMENTS: [&str; 2] = [
    "fullscript-2021-12.json",
    "fullscript-2026-reconstructed.json",
];
const OVERLAY: &str = include_str!("../../spec/overlay.yaml");

/// Grade D: no repair is possible without more knowledge.
const NOT_REPAIRED: [&str; 5] = [
    "boolean-declared-string",
    "number-declared-string",
    "array-declared-string",
    "declared-never-shown",
    "untyped-answer",
];

#[test]
fn no_known_defect_survives_the_pipeline() {
    let Some(upstream) = Upstream::read() else {
        return;
    };
    let mut left = Vec::new();
    for (document, row) in upstream.rows() {
        let place = place(&document.raw, &document.normalized, &row.pointer);
        let values = recorded(&document.raw, &row.pointer);
        if let Some(fault) = fault(row, &document.normalized, place, &values) {
            left.push(format!("{row}: {fault}"));
        }
    }
    assert_eq!(left, [""; 0], "{} defects are left", left.len());
}

#[test]
fn every_known_defect_is_found_before_the_pipeline() {
    let Some(upstream) = Upstream::read() else {
        return;
    };
    let mut overlooked = Vec::new();
    let mut found = 0;
    for (document, row) in upstream.rows() {
        let place = document.raw.pointer(&row.pointer);
        assert!(place.is_some(), "no such place: {row}");
        match fault(row, &document.raw, place, &[]) {
            Some(_) => found += 1,
            None => overlooked.push(row.to_string()),
        }
    }
    assert_eq!(overlooked, [""; 0], "a predicate that can't fail");
    assert!(found > 500, "only {found} rows: is defects.tsv whole?");
}

#[test]
fn the_pipeline_is_a_fixed_point() {
    let Some(upstream) = Upstream::read() else {
        return;
    };
    for document in &upstream.documents {
        let again = derive(&document.normalized, OVERLAY).unwrap();
        let mut changed = Vec::new();
        difference(&document.normalized, &again.document, "", &mut changed);
        assert_eq!(changed, [""; 0], "{} derived again", document.name);
    }
}

#[test]
fn derivation_is_deterministic() {
    let Some(upstream) = Upstream::read() else {
        return;
    };
    for document in &upstream.documents {
        let mut sorted = document.raw.clone();
        sorted.sort_all_objects();
        let once = serde_json::to_string(&document.normalized).unwrap();
        for raw in [&document.raw, &sorted] {
            let again = derive(raw, OVERLAY).unwrap().document;
            assert!(
                once == serde_json::to_string(&again).unwrap(),
                "{} comes out differently the second time",
                document.name
            );
        }
    }
}

struct Upstream {
    documents: Vec<Document>,
    rows: Vec<Row>,
}

struct Document {
    name: &'static str,
    raw: Value,
    normalized: Value,
}

/// One line of `defects.tsv`.
struct Row {
    document: String,
    pointer: String,
    kind: String,
    detail: String,
}

impl std::fmt::Display for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} {}", self.document, self.kind, self.pointer)
    }
}

impl Upstream {
    fn read() -> Option<Self> {
        let Some(folder) = upstream_dir() else {
            println!("skipped: FULLSCRIPT_UPSTREAM_DIR is not set");
            return None;
        };
        let text = |name: &str| {
            let path = folder.join(name);
            std::fs::read_to_string(&path)
                .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        };
        let table = text("defects.tsv");
        let rows = table.lines().skip(1).map(|line| {
            let columns: Vec<&str> = line.split('\t').collect();
            let [document, pointer, kind, detail] = columns[..] else {
                panic!("four columns expected: {line}");
            };
            Row {
                document: document.into(),
                pointer: pointer.into(),
                kind: kind.into(),
                detail: detail.into(),
            }
        });
        let rows: Vec<Row> = rows.collect();
        let strange = |row: &&Row| !DOCUMENTS.contains(&row.document.as_str());
        assert!(!rows.iter().any(|row| strange(&row)), "a third document");
        let documents = DOCUMENTS.map(|name| {
            let raw: Value = serde_json::from_str(&text(name)).unwrap();
            let normalized = derive(&raw, OVERLAY).unwrap().document;
            Document {
                name,
                raw,
                normalized,
            }
        });
        Some(Self {
            documents: documents.into(),
            rows,
        })
    }

    /// The rows with repairs, each with its document.
    fn rows(&self) -> impl Iterator<Item = (&Document, &Row)> {
        let repaired = |row: &&Row| !NOT_REPAIRED.contains(&row.kind.as_str());
        self.rows.iter().filter(repaired).filter_map(|row| {
            let mut documents = self.documents.iter();
            Some((
                documents.find(|document| document.name == row.document)?,
                row,
            ))
        })
    }
}

/// Returns the defect at a place, for the kind of defect that was known there; `None` once it is
/// repaired. `values` are the recorded values of the place.
fn fault(row: &Row, document: &Value, place: Option<&Value>, values: &[&Value]) -> Option<String> {
    let gone_for_good = ["invalid-openapi", "localhost-server", "outdated-server"];
    if place.is_none() && !gone_for_good.contains(&row.kind.as_str()) {
        return Some("the place is gone".into());
    }
    let at = place.unwrap_or(&Value::Null);
    let schema = resolve(document, at);
    let found = match row.kind.as_str() {
        "invalid-openapi" => place.is_some() && !at.is_array(),
        "array-without-items" => {
            let typed = schema["items"].is_object();
            let evidence = values
                .iter()
                .any(|value| value.as_array().is_some_and(|list| !list.is_empty()));
            let vague = resolve(document, &schema["items"]) == &json!({});
            (schema["type"] == "array" && (!typed || evidence && vague))
                || !fits(document, at, values)
        }
        "object-query-param" => {
            let schema = resolve(document, at);
            !["string", "integer", "boolean"].contains(&text(&schema["type"]))
        }
        "no-operation-id" => {
            let name = text(&at["operationId"]);
            let same = operations(document).filter(|(_, _, other)| other["operationId"] == name);
            name.is_empty() || same.count() != 1
        }
        "ambiguous-union" => has_union(at) || has_union(&document["components"]["schemas"]),
        "localhost-server" => servers(document).any(|url| url.contains("localhost")),
        "outdated-server" => {
            let (old, rest) = row.detail.split_once("; production answers on ").unwrap();
            let new = rest.split(' ').next().unwrap();
            servers(document).any(|url| url == old) || !servers(document).any(|url| url == new)
        }
        "undeclared-security" => {
            let schemes = document["components"]["securitySchemes"].as_object();
            schemes.is_none_or(serde_json::Map::is_empty)
                || operations(document).any(|(path, _, operation)| {
                    let declared = operation["security"].as_array();
                    let secured = declared.is_some_and(|list| !list.is_empty());
                    declared.is_none() || secured == path.starts_with("/api/oauth/")
                })
        }
        "undeclared-page-params" => ["page[number]", "page[size]"].iter().any(|name| {
            let parameters = at["parameters"].as_array().into_iter().flatten();
            let mut same = parameters.filter(|parameter| parameter["name"] == *name);
            let usable = same.next().is_some_and(|parameter| {
                parameter["in"] == "query"
                    && parameter["required"] != true
                    && parameter["schema"]["type"] == "integer"
            });
            !usable || same.next().is_some()
        }),
        "array-param-declared-string" => {
            let schema = resolve(document, &at["schema"]);
            !text(&at["name"]).ends_with("[]")
                || schema["type"] != "array"
                || !schema["items"].is_object()
        }
        "conflicting-required" => {
            let asks_for = |name: &str| at.as_array().is_some_and(|all| all.contains(&json!(name)));
            asks_for("code") || asks_for("refresh_token")
        }
        // `declared integer; string "19.99" in GET ...`
        "type-contradicts-example" => {
            let kind = row.detail.split_once("; ").unwrap().1;
            let kind = kind.split(' ').next().unwrap();
            !takes(document, at, kind) || !fits(document, at, values)
        }
        "null-undeclared" => !takes(document, at, "null"),
        // `` `scope` (string, "catalog:read") in POST ... ``
        "field-missing-from-schema" => {
            let (name, rest) = row.detail[1..].split_once("` (").unwrap();
            let kind = rest.split(',').next().unwrap();
            let field = &schema["properties"][name];
            let shown: Vec<&Value> = values.iter().filter_map(|value| value.get(name)).collect();
            field.is_null() || !takes(document, field, kind) || !fits(document, field, &shown)
        }
        "request-body-not-required" => at["required"] != true,
        "integer-declared-number" => schema["type"] != "integer",
        "no-error-answer" => {
            let answers = at.as_object().into_iter().flatten();
            !answers
                .filter(|(status, _)| status.starts_with(['4', '5', 'd']))
                .any(|(_, answer)| tells_the_error(document, answer))
        }
        "missing-error-schema" => !tells_the_error(document, at),
        "html-in-description" => has_tag(text(at)) || text(at).is_empty(),
        unknown => panic!("a kind of defect without a predicate: {unknown}"),
    };
    found.then(|| {
        let mut shown = at.to_string();
        shown.truncate(
            shown
                .char_indices()
                .nth(200)
                .map_or(shown.len(), |(i, _)| i),
        );
        shown
    })
}

/// Returns the place in the normalized document for a pointer into the raw one. Schemas are behind
/// references there, parameters and tags have moved, and the items of a list that turned out to be
/// an object are that object.
fn place<'d>(raw: &Value, normalized: &'d Value, pointer: &str) -> Option<&'d Value> {
    let (mut from, mut to, mut parent) = (raw, normalized, "");
    for step in pointer.split('/').skip(1) {
        let key = step.replace("~1", "/").replace("~0", "~");
        if ["properties", "items", "required"].contains(&step) {
            to = resolve(normalized, to);
        }
        let next = from.pointer(&format!("/{step}"))?;
        let named = |name: &str, list: &'d Value| {
            let mut list = list.as_array()?.iter();
            list.find(|other| text(&other["name"]).trim_end_matches("[]") == name)
        };
        to = match parent {
            "parameters" | "tags" => named(text(&next["name"]).trim_end_matches("[]"), to)?,
            "paths" => {
                let paths = to.as_object()?.iter();
                let mut same = paths.filter(|(path, _)| without_names(path) == without_names(&key));
                same.next()?.1
            }
            "servers" => to.as_array()?.iter().find(|s| s["url"] == next["url"])?,
            _ if step == "items" && to["type"] != "array" => to,
            _ => to.get(&key)?,
        };
        (from, parent) = (next, step);
    }
    Some(to)
}

/// The path without the names of its variables, which a fix may change.
fn without_names(path: &str) -> String {
    let parts = path.split('/');
    let parts = parts.map(|part| if part.starts_with('{') { "{}" } else { part });
    parts.collect::<Vec<_>>().join("/")
}

/// Returns all values that the recorded responses have for a schema of the raw document.
fn recorded<'d>(raw: &'d Value, pointer: &str) -> Vec<&'d Value> {
    let mut found = Vec::new();
    let Some(place) = raw.pointer(pointer) else {
        return found;
    };
    for (_, _, operation) in operations(raw) {
        for answer in members(&operation["responses"]) {
            for media in members(&answer["content"]) {
                let many = members(&media["examples"]).filter_map(|example| example.get("value"));
                for value in media.get("example").into_iter().chain(many) {
                    collect(raw, &media["schema"], value, place, &mut found);
                }
            }
        }
    }
    found
}

fn collect<'d>(
    raw: &'d Value,
    schema: &'d Value,
    value: &'d Value,
    place: &Value,
    found: &mut Vec<&'d Value>,
) {
    let inner = resolve(raw, schema);
    if ptr::eq(schema, place) || ptr::eq(inner, place) {
        found.push(value);
    }
    for (name, field) in value.as_object().into_iter().flatten() {
        // Includes an object where a list of objects was declared.
        for properties in [&inner["properties"], &inner["items"]["properties"]] {
            if let Some(property) = properties.get(name) {
                collect(raw, property, field, place, found);
            }
        }
    }
    for item in value.as_array().into_iter().flatten() {
        if let Some(items) = inner.get("items") {
            collect(raw, items, item, place, found);
        }
    }
}

fn fits(document: &Value, schema: &Value, values: &[&Value]) -> bool {
    values.iter().all(|value| holds(document, schema, value))
}

/// Returns whether a schema declares all parts of a value.
fn holds(document: &Value, schema: &Value, value: &Value) -> bool {
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let inner = resolve(document, schema);
    let mut items = value.as_array().into_iter().flatten();
    let mut fields = value.as_object().into_iter().flatten();
    takes(document, schema, kind)
        && items.all(|item| holds(document, &inner["items"], item))
        && fields.all(|(name, field)| {
            let known = inner["properties"].as_object();
            known.is_none_or(|known| {
                let known = known.get(name);
                known.is_some_and(|known| holds(document, known, field))
            })
        })
}

/// Returns whether a schema accepts the type of a value. A schema without a type accepts all.
fn takes(document: &Value, schema: &Value, kind: &str) -> bool {
    let inner = resolve(document, schema);
    if kind == "null" && (schema["nullable"] == true || inner["nullable"] == true) {
        return true;
    }
    if let Some(forms) = inner["oneOf"].as_array() {
        return forms.iter().any(|form| takes(document, form, kind));
    }
    match text(&inner["type"]) {
        "" => true,
        "number" => ["number", "integer"].contains(&kind),
        declared => declared == kind,
    }
}

/// Returns the target of references, bare or as the only one in an `allOf`.
fn resolve<'d>(document: &'d Value, schema: &'d Value) -> &'d Value {
    let only = match schema["allOf"].as_array().map(Vec::as_slice) {
        Some([only]) => only,
        _ => schema,
    };
    match only["$ref"].as_str() {
        Some(target) => resolve(document, document.pointer(&target[1..]).unwrap()),
        None => only,
    }
}

/// Returns whether a response declares its body, including the vendor's `error`.
fn tells_the_error(document: &Value, answer: &Value) -> bool {
    let schema = resolve(document, &answer["content"]["application/json"]["schema"]);
    let error = &schema["properties"]["error"];
    error.is_object() && takes(document, error, "string") && takes(document, error, "array")
}

/// Returns whether a schema contains a union other than in the normalizer's own types.
fn has_union(value: &Value) -> bool {
    let here = ["oneOf", "anyOf"]
        .iter()
        .any(|key| value.get(key).is_some());
    value.get("x-value").is_none() && (here || members(value).any(has_union))
}

/// Returns whether a text has an HTML tag. `<https://...>` and `a < b` are not tags.
fn has_tag(text: &str) -> bool {
    text.split('<').skip(1).any(|after| {
        let (inside, _) = after.split_once('>').unwrap_or_default();
        let name = inside.trim_matches('/').split([' ', '/']).next();
        let name = name.unwrap_or_default();
        !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric())
    })
}

fn servers(document: &Value) -> impl Iterator<Item = &str> {
    members(&document["servers"]).map(|server| text(&server["url"]))
}

fn members(value: &Value) -> impl Iterator<Item = &Value> {
    let fields = value
        .as_object()
        .into_iter()
        .flat_map(|object| object.values());
    fields.chain(value.as_array().into_iter().flatten())
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Returns the deepest places where two documents differ.
fn difference(one: &Value, other: &Value, pointer: &str, found: &mut Vec<String>) {
    match (one, other) {
        (Value::Object(ours), Value::Object(theirs)) => {
            let new = theirs.keys().filter(|key| !ours.contains_key(*key));
            for key in ours.keys().chain(new) {
                difference(&one[key], &other[key], &format!("{pointer}/{key}"), found);
            }
        }
        (Value::Array(ours), Value::Array(theirs)) if ours.len() == theirs.len() => {
            for (index, (one, other)) in ours.iter().zip(theirs).enumerate() {
                difference(one, other, &format!("{pointer}/{index}"), found);
            }
        }
        _ if one == other => {}
        _ => found.push(format!("{pointer}: {one} -> {other}")),
    }
}

fn upstream_dir() -> Option<PathBuf> {
    let folder = std::env::var_os("FULLSCRIPT_UPSTREAM_DIR").map(PathBuf::from)?;
    folder.is_dir().then_some(folder)
}
