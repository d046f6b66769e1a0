//! Every OpenAPI construct that was tested with the generator, separately: each one is accepted or
//! rejected as listed, and the accepted ones compile.
#![allow(
    clippy::unwrap_used,
    reason = "a test that can't go on says so by panicking"
)]

mod bodies;
#[path = "../cases/mod.rs"]
mod cases;
mod construct;
mod lists;
mod outcomes;
#[path = "../package/mod.rs"]
mod package;

use std::collections::HashSet;

use construct::{OVERLAY, constructs};
use package::{cargo_check, copy_of_package, root};
use serde_json::{Map, Value, json};
use xtask::codegen::generate;
use xtask::normalize::{Derived, derive, operations};
use xtask::refusal::Refusal;
use xtask::review::{Side, review};

fn normalized(document: &Value) -> Result<Derived, Refusal> {
    derive(document, OVERLAY)
}

/// The accepted constructs and what is derived from them.
fn taken() -> impl Iterator<Item = (String, Value, Derived)> {
    constructs().into_iter().filter_map(|(name, construct)| {
        let document = construct.document();
        let derived = normalized(&document).ok()?;
        Some((name, document, derived))
    })
}

/// Panics with all failures, one per line.
#[track_caller]
fn none(wrong: impl Iterator<Item = String>) {
    let wrong: Vec<_> = wrong.collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn each_construct_is_accepted_or_rejected_as_listed() {
    none(constructs().into_iter().filter_map(|(name, construct)| {
        match (normalized(&construct.document()), construct.refused) {
            (Ok(_), None) => None,
            (Err(refusal), Some(words)) if refusal.problem.contains(&words) => None,
            (Ok(_), Some(_)) => Some(format!("{name}: taken, should be refused")),
            (Err(refusal), _) => Some(format!("{name}: {refusal}")),
        }
    }));
}

#[test]
fn no_operation_is_lost() {
    for (name, document, derived) in taken() {
        let names = |document: &Value| -> Vec<String> {
            let kept = operations(document).filter(|(path, _, operation)| {
                path.starts_with('/')
                    && !path.starts_with("/api/dashboard")
                    && operation.is_object()
            });
            // A brace that belongs to no variable is encoded, and a query is not sent.
            let literal = |path: &str| {
                let path = path.split('?').next().unwrap_or_default();
                path.replace("%7B", "{").replace("%7D", "}")
            };
            kept.map(|(path, method, _)| format!("{method} {}", literal(path)))
                .collect()
        };
        let mut whole = document.clone();
        // The operations of a path that is a reference are at its target.
        let paths = whole["paths"].as_object_mut().into_iter().flatten();
        for (_, item) in paths {
            if let Some(target) = item["$ref"].as_str() {
                // A reference to nothing costs the operations of its path.
                let found = document.pointer(&target[1..]);
                *item = found.cloned().unwrap_or_default();
            }
        }
        let before = names(&whole);
        assert_eq!(names(&derived.document), before, "{name}");
    }
}

#[test]
fn normalizing_twice_changes_nothing_more() {
    none(taken().filter_map(|(name, _, derived)| {
        let again = normalized(&derived.document).unwrap();
        let lines: Vec<_> = again.repairs.iter().map(ToString::to_string).collect();
        (again.document != derived.document).then(|| format!("{name}: {}", lines.join("\n    ")))
    }));
}

#[test]
fn the_generator_accepts_each_construct() {
    none(taken().filter_map(|(name, _, derived)| {
        let error = generate(&derived.document.to_string()).err()?;
        Some(format!("{name}: {error}"))
    }));
}

#[test]
fn each_construct_can_be_reviewed() {
    let mut last: Option<Side> = None;
    none(taken().filter_map(|(name, _, derived)| {
        let side = match Side::new(&name, derived) {
            Ok(side) => side,
            Err(error) => return Some(format!("{name}: {error}")),
        };
        if let Some(last) = &last {
            let report = review(last, &side).to_string();
            let is_same = last.generated == side.generated;
            assert!(is_same || report.starts_with("# "), "{name}: {report}");
        }
        last = Some(side);
        None
    }));
}

/// Combines all constructs with the real document in one crate, under unique names: one build
/// instead of hundreds. The first operation with an id keeps it, because the id may be reserved.
#[test]
fn the_generated_crate_compiles_with_all_constructs() {
    let real = std::fs::read_to_string(root().join("spec/openapi.normalized.json")).unwrap();
    let mut whole: Value = serde_json::from_str(&real).unwrap();
    let mut count = 0;
    for (number, (_, _, derived)) in taken().enumerate() {
        add(&mut whole, derived.document, number);
        count = number + 1;
    }
    assert!(count > 250, "{count} constructs were taken");
    let package = copy_of_package("constructs", &whole);
    let output = cargo_check(&package, &["--quiet", "--features", "schemars,testing"]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    let errors: String = stderr.lines().take(80).collect::<Vec<_>>().join("\n");
    assert!(output.status.success(), "{errors}");
}

/// Adds a document's renamed operations and schemas to the combined one.
fn add(whole: &mut Value, document: Value, number: usize) {
    let mut text = document.to_string();
    let schemas = document["components"]["schemas"]
        .as_object()
        .cloned()
        .unwrap_or_default();
    for (name, schema) in &schemas {
        if schema.get("x-value").is_none() {
            let reference = |name: &str| format!("\"#/components/schemas/{name}\"");
            text = text.replace(&reference(name), &reference(&format!("C{number}{name}")));
        }
    }
    let renamed: Value = serde_json::from_str(&text).unwrap();
    let all = whole["components"]["schemas"].as_object_mut().unwrap();
    for (name, schema) in renamed["components"]["schemas"]
        .as_object()
        .into_iter()
        .flatten()
    {
        match schema.get("x-value") {
            None => all.insert(format!("C{number}{name}"), schema.clone()),
            Some(_) => all.insert(name.clone(), schema.clone()),
        };
    }
    let ids = |document: &Value| -> HashSet<String> {
        let ids = operations(document).filter_map(|(_, _, own)| own["operationId"].as_str());
        ids.map(str::to_string).collect()
    };
    let used = ids(whole);
    let paths: &mut Map<String, Value> = whole["paths"].as_object_mut().unwrap();
    for (path, item) in renamed["paths"].as_object().into_iter().flatten() {
        let mut item = item.clone();
        for operation in item.as_object_mut().unwrap().values_mut() {
            if let Some(id) = operation["operationId"].as_str()
                && used.contains(id)
            {
                operation["operationId"] = json!(format!("c{number}_{id}"));
            }
        }
        paths.insert(format!("/c{number}{path}"), item);
    }
}
