//! Every change of a document is reported, and equal documents report nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};
use xtask::normalize::Derived;
use xtask::review::{Level, Side, review, since};

use crate::document::BASE;
use crate::planted::{CASES, Case};

#[test]
fn a_document_is_the_same_as_itself() {
    for Case { planted, old, new } in CASES.iter() {
        for side in [&**old, new] {
            let review = review(side, side);
            assert!(review.is_empty(), "{}\n{review}", planted.name);
            assert_eq!(review.to_string().lines().count(), 1);
        }
    }
}

#[test]
fn a_change_of_the_public_surface_and_its_reversal_are_reported() {
    for Case { planted, old, new } in CASES.iter() {
        for (one, other) in [(&**old, new), (new, &**old)] {
            let review = review(one, other);
            let level = since(&one.surface, &other.surface).level;
            let differs = one.surface != other.surface;
            let name = &planted.name;
            assert_eq!(differs, level > Level::None, "{name}\n{review}");
            assert!(!differs || !review.because.is_empty(), "{name}\n{review}");
            // The version that is required later is the announced one.
            if review.verdict.max(level) > Level::Patch {
                assert_eq!(review.verdict, level, "{name}\n{review}");
            }
        }
    }
}

/// One leaf of each kind of place of the normalized document, changed separately.
#[test]
fn every_changed_leaf_of_a_document_is_reported() {
    let base: &Arc<Side> = &BASE;
    let mut leaves = BTreeMap::new();
    collect(&base.document, &mut String::new(), &mut leaves);
    assert!(leaves.len() > 80, "{} kinds of places", leaves.len());
    let mut unreported = Vec::new();
    for (kind, pointer) in &leaves {
        let mut side = (**base).clone();
        let leaf = side.document.pointer_mut(pointer).unwrap();
        *leaf = match leaf.take() {
            Value::Bool(flag) => json!(!flag),
            Value::String(text) => json!(format!("{text}x")),
            other => json!([other]),
        };
        // Approval, scopes and ids are read from the generated code.
        let reported = !review(base, &side).is_empty() || !review(base, &again(side)).is_empty();
        if !reported && !FIXED.iter().any(|fixed| kind.ends_with(fixed)) {
            unreported.push(pointer.as_str());
        }
    }
    assert!(unreported.is_empty(), "{}", unreported.join("\n"));
}

/// Places that the fixes always overwrite: a body is always required, and `security` is derived
/// from `x-scopes`.
const FIXED: [&str; 2] = ["/requestBody/required", "/x-scopes/*/*"];

/// Generates the code again.
fn again(side: Side) -> Side {
    let derived = Derived {
        document: side.document,
        repairs: side.repairs,
        unmatched: side.unmatched,
    };
    Side::new(side.name, derived).unwrap()
}

/// Returns the first leaf of each kind of place, by the place without names.
fn collect(value: &Value, pointer: &mut String, leaves: &mut BTreeMap<String, String>) {
    let length = pointer.len();
    let inner: Vec<(String, &Value)> = match value {
        Value::Object(object) => object
            .iter()
            .map(|(key, inner)| (key.replace('~', "~0").replace('/', "~1"), inner))
            .collect(),
        Value::Array(list) => {
            let numbered = list.iter().enumerate();
            numbered
                .map(|(index, inner)| (index.to_string(), inner))
                .collect()
        }
        _ => {
            leaves
                .entry(kind(pointer))
                .or_insert_with(|| pointer.clone());
            return;
        }
    };
    for (step, inner) in inner {
        pointer.push('/');
        pointer.push_str(&step);
        collect(inner, pointer, leaves);
        pointer.truncate(length);
    }
}

/// Returns a place without the names that documents choose.
fn kind(pointer: &str) -> String {
    const NAMING: [&str; 6] = [
        "paths",
        "schemas",
        "properties",
        "responses",
        "content",
        "securitySchemes",
    ];
    let mut named = false;
    let steps = pointer.split('/').map(|step| {
        let name = named || step.bytes().all(|byte| byte.is_ascii_digit());
        named = !named && NAMING.contains(&step);
        if name { "*" } else { step }
    });
    steps.collect::<Vec<_>>().join("/")
}
