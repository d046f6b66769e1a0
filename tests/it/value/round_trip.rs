//! Every recorded response is decoded and encoded again without loss.

use fullscript::operations;
use fullscript::testing::round_trip;
use serde_json::{Map, Value};

use crate::support::{shape, upstream};

const METHODS: [&str; 5] = ["get", "put", "post", "delete", "patch"];

#[test]
fn every_response_of_the_committed_document_round_trips() {
    let text = include_str!("../../../spec/openapi.normalized.json");
    // An update may bring more of them, or fewer.
    assert!(check(&serde_json::from_str(text).unwrap()) > 0);
}

#[test]
fn every_response_of_the_document_of_2021_round_trips() {
    if let Some(document) = upstream("fullscript-2021-12.json") {
        assert_eq!(check(&document), 61);
    }
}

#[test]
fn every_response_of_the_reconstruction_round_trips() {
    if let Some(document) = upstream("fullscript-2026-reconstructed.json") {
        assert_eq!(check(&document), 65);
    }
}

#[test]
fn a_lost_or_changed_field_does_not_go_unseen() {
    let sent = serde_json::json!({"a": [{"b": 1}], "c": "1.50", "d": null});
    for (back, expected) in [
        (serde_json::json!({"a": [{"b": "1"}], "c": 1.5}), None),
        (serde_json::json!({"a": [{}], "c": "1.50"}), Some("/a/0/b")),
        (serde_json::json!({"a": [], "c": "1.50"}), Some("/a")),
        (
            serde_json::json!({"a": [{"b": 2}], "c": "1.50"}),
            Some("/a/0/b"),
        ),
        (serde_json::json!({"a": [{"b": 1}], "c": "1.5"}), Some("/c")),
        (
            serde_json::json!({"a": [{"b": 1}], "c": "1.50", "d": 0}),
            Some("/d"),
        ),
    ] {
        let mut found = Vec::new();
        difference(&sent, &back, "", &mut found);
        let places: Vec<_> = found
            .iter()
            .map(|line| line.split(':').next().unwrap())
            .collect();
        assert_eq!(places, Vec::from_iter(expected), "{back}");
    }
}

/// Decodes and encodes every recorded response, and returns their number.
fn check(document: &Value) -> usize {
    let mut checked = 0;
    let mut failures = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in METHODS {
            let answers = item[method]["responses"].as_object();
            for (status, answer) in answers.into_iter().flatten() {
                for example in recorded(&answer["content"]["application/json"]) {
                    checked += 1;
                    let place = format!("{} {path} {status}", method.to_uppercase());
                    let mut found = Vec::new();
                    there_and_back(method, path, status, example, &mut found);
                    failures.extend(found.iter().map(|line| format!("{place} {line}")));
                }
            }
        }
    }
    assert_eq!(failures, [""; 0], "{} differences", failures.len());
    checked
}

fn recorded(media: &Value) -> impl Iterator<Item = &Value> {
    let many = media["examples"].as_object().into_iter().flatten();
    let many = many.filter_map(|(_, example)| example.get("value"));
    media.get("example").into_iter().chain(many)
}

fn there_and_back(
    method: &str,
    path: &str,
    status: &str,
    example: &Value,
    found: &mut Vec<String>,
) {
    let operation = operations::all().iter().find(|known| {
        known.method.eq_ignore_ascii_case(method) && shape(known.path) == shape(path)
    });
    let Some(operation) = operation else {
        return found.push(": no such operation".into());
    };
    match round_trip(operation.id, status.parse().unwrap(), example) {
        Ok(back) => difference(example, &back, "", found),
        Err(error) => found.push(format!(": {error}")),
    }
}

/// Returns the first difference. Null equals absent, and a number equals its text.
pub(crate) fn difference(sent: &Value, back: &Value, pointer: &str, found: &mut Vec<String>) {
    match (sent, back) {
        (Value::Object(ours), Value::Object(theirs)) => {
            for key in names(ours, theirs) {
                difference(&sent[key], &back[key], &format!("{pointer}/{key}"), found);
            }
        }
        (Value::Array(ours), Value::Array(theirs)) if ours.len() == theirs.len() => {
            for (index, (one, other)) in ours.iter().zip(theirs).enumerate() {
                difference(one, other, &format!("{pointer}/{index}"), found);
            }
        }
        _ if sent == back => {}
        (Value::Number(_), Value::Number(_) | Value::String(_))
        | (Value::String(_), Value::Number(_))
            if number(sent).is_some() && number(sent) == number(back) => {}
        _ => found.push(format!("{pointer}: sent {sent}, came back {back}")),
    }
}

fn names<'v>(one: &'v Map<String, Value>, other: &'v Map<String, Value>) -> Vec<&'v String> {
    let new = other.keys().filter(|key| !one.contains_key(*key));
    one.keys().chain(new).collect()
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::String(text) => text.parse().ok(),
        _ => value.as_f64(),
    }
}
