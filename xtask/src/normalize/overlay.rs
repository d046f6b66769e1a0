//! Applies `spec/overlay.yaml`, which contains facts that the document lacks.

use std::collections::BTreeSet;

use roas_overlay::apply::Apply;
use roas_overlay::v1_0::Overlay;
use serde_json::Value;

use crate::refusal::{Refusal, refuse};

/// Parses an overlay (OpenAPI Overlay 1.0, YAML).
///
/// # Errors
/// Returns a [`Refusal`] that names the place of a syntax error.
pub(crate) fn parse(yaml: &str) -> Result<Overlay, Refusal> {
    serde_norway::from_str(yaml).map_err(|error| {
        refuse(
            format!("cannot parse spec/overlay.yaml: {error}"),
            "an OpenAPI Overlay 1.0 document in YAML",
            "fix the place named above; see https://spec.openapis.org/overlay/v1.0.0.html",
        )
    })
}

/// Applies the actions in order and returns the targets that matched nothing.
///
/// An action that cannot be applied is reported and skipped, so that a change in one place of the
/// document does not lose the facts about all others.
pub(crate) fn apply(overlay: &Overlay, document: &mut Value) -> Vec<String> {
    let mut overlay = overlay.clone();
    let mut failed = Vec::new();
    loop {
        match overlay.apply(document, Default::default()) {
            Ok(report) => {
                once_each(document);
                let idle = report.actions.iter().filter(|action| action.matched == 0);
                let idle = idle.map(|action| action.target.clone());
                return failed.into_iter().chain(idle).collect();
            }
            // Nothing was applied, so the overlay is applied again without the failed action.
            Err(error) => {
                failed.push(error.to_string());
                overlay.actions.remove(error.action_index);
            }
        }
    }
}

/// Removes list entries that the document already has, because an overlay can only append. Recorded
/// examples are exempt: they may contain duplicates.
fn once_each(value: &mut Value) {
    match value {
        Value::Object(object) => {
            for (key, inner) in object {
                if !["example", "examples"].contains(&key.as_str()) {
                    once_each(inner);
                }
            }
        }
        Value::Array(list) => {
            let mut seen = BTreeSet::new();
            list.retain_mut(|item| {
                once_each(item);
                seen.insert(identity(item))
            });
        }
        _ => {}
    }
}

/// Returns what two equal entries have in common: for a parameter its name and place, for anything
/// else the whole value. The vendor's parameter is kept, because it is first.
fn identity(item: &Value) -> String {
    match (item["name"].as_str(), item["in"].as_str()) {
        (Some(name), Some("header")) => format!("header {}", name.to_lowercase()),
        // One name may be sent as text and as an object.
        (Some(name), Some(place)) if item["style"] == "deepObject" => {
            format!("{place} {name} deep")
        }
        (Some(name), Some(place)) => format!("{place} {name}"),
        _ => item.to_string(),
    }
}
