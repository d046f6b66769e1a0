//! Every construct of OpenAPI that was tried on the generator, each alone:
//! taken or refused by name, and what is taken compiles.
#![allow(
    clippy::unwrap_used,
    reason = "a test that can't go on says so by panicking"
)]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

mod package;

use package::copy_of_package;
use serde_json::{Map, Value, json};
use xtask::codegen::generate;
use xtask::normalize::{Derived, derive, operations};
use xtask::refusal::Refusal;
use xtask::review::{Side, review};

const OVERLAY: &str = "overlay: 1.0.0\ninfo: {title: none, version: 1.0.0}\nactions: []\n";

/// Constructs that no honest description can be made of, and what the refusal
/// says of each. `judge` refuses more (Swagger 2.0, no paths) before a
/// document comes this far.
const REFUSED: &[(&str, &str)] = &[
    ("s_ref_external", "external $ref"),
    ("s_ref_missing", "dangling $ref"),
    ("s_unused_broken", "dangling $ref"),
    ("x_path_ref_dangling", "dangling $ref"),
    ("x_ref_to_text", "dangling $ref"),
];

fn constructs() -> BTreeMap<String, Value> {
    serde_json::from_str(include_str!("constructs.json")).unwrap()
}

fn normalized(document: &Value) -> Result<Derived, Refusal> {
    derive(document, OVERLAY)
}

#[test]
fn each_construct_is_taken_or_refused_by_name() {
    let mut wrong = Vec::new();
    for (name, document) in constructs() {
        let expected = REFUSED.iter().find(|(refused, _)| *refused == name);
        match (normalized(&document), expected) {
            (Ok(_), None) => {}
            (Err(refusal), Some((_, words))) if refusal.came.contains(words) => {}
            (Ok(_), Some(_)) => wrong.push(format!("{name}: taken, should be refused")),
            (Err(refusal), _) => wrong.push(format!("{name}: {refusal}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_operation_is_lost() {
    for (name, document) in constructs() {
        let Ok(derived) = normalized(&document) else {
            continue;
        };
        let names = |document: &Value| -> Vec<String> {
            let kept = operations(document).filter(|(path, _, operation)| {
                path.starts_with('/')
                    && !path.starts_with("/api/dashboard")
                    && operation.is_object()
            });
            kept.map(|(path, method, _)| format!("{method} {path}"))
                .collect()
        };
        let mut whole = document.clone();
        // A path given by reference has its operations elsewhere.
        let paths = whole["paths"].as_object_mut().into_iter().flatten();
        for (_, item) in paths {
            if let Some(target) = item["$ref"].as_str() {
                *item = document.pointer(&target[1..]).unwrap().clone();
            }
        }
        let before = names(&whole);
        assert_eq!(names(&derived.document), before, "{name}");
    }
}

#[test]
fn normalizing_twice_changes_nothing_more() {
    let mut wrong = Vec::new();
    for (name, document) in constructs() {
        let Ok(derived) = normalized(&document) else {
            continue;
        };
        let again = normalized(&derived.document).unwrap();
        if again.document != derived.document {
            let lines: Vec<_> = again.repairs.iter().map(ToString::to_string).collect();
            wrong.push(format!("{name}: {}", lines.join("\n    ")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_generator_takes_each_construct() {
    let mut wrong = Vec::new();
    for (name, document) in constructs() {
        if let Ok(derived) = normalized(&document)
            && let Err(error) = generate(&derived.document.to_string())
        {
            wrong.push(format!("{name}: {error}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn each_construct_can_be_reviewed() {
    let mut last: Option<Side> = None;
    let mut wrong = Vec::new();
    for (name, document) in constructs() {
        let Ok(derived) = normalized(&document) else {
            continue;
        };
        match Side::new(&name, derived) {
            Ok(side) => {
                if let Some(last) = &last {
                    let report = review(last, &side).to_string();
                    assert!(!report.is_empty(), "{name}");
                }
                last = Some(side);
            }
            Err(error) => wrong.push(format!("{name}: {error}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// All constructs beside the real document in one crate, each under names of
/// its own: one build instead of hundreds.
#[test]
fn the_generated_crate_compiles_with_all_constructs() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let real = std::fs::read_to_string(root.join("spec/openapi.normalized.json")).unwrap();
    let mut whole: Value = serde_json::from_str(&real).unwrap();
    let mut number = 0;
    for (_, document) in constructs() {
        if let Ok(derived) = normalized(&document) {
            add(&mut whole, derived.document, number);
            number += 1;
        }
    }
    assert!(number > 250, "{number} constructs were taken");
    let package = copy_of_package(root, "constructs");
    let spec = package.join("spec/openapi.normalized.json");
    std::fs::create_dir_all(spec.parent().unwrap()).unwrap();
    std::fs::write(spec, whole.to_string()).unwrap();
    let output = Command::new(env!("CARGO"))
        .args([
            "check",
            "--offline",
            "--quiet",
            "--features",
            "schemars,testing",
        ])
        .env(
            "CARGO_TARGET_DIR",
            Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap(),
        )
        .current_dir(&package)
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    let errors: String = stderr.lines().take(80).collect::<Vec<_>>().join("\n");
    assert!(output.status.success(), "{errors}");
}

/// Adds a document's operations and schemas to the whole, renamed apart.
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
    let paths: &mut Map<String, Value> = whole["paths"].as_object_mut().unwrap();
    for (path, item) in renamed["paths"].as_object().into_iter().flatten() {
        let mut item = item.clone();
        for operation in item.as_object_mut().unwrap().values_mut() {
            if let Some(id) = operation["operationId"].as_str() {
                operation["operationId"] = json!(format!("c{number}_{id}"));
            }
        }
        paths.insert(format!("/c{number}{path}"), item);
    }
}
