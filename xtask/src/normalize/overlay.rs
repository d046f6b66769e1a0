//! Applies `spec/overlay.yaml`, which contains facts that the document lacks.

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
            let mut kept: Vec<Value> = Vec::new();
            for mut item in list.drain(..) {
                once_each(&mut item);
                if !kept.iter().any(|known| same(known, &item)) {
                    kept.push(item);
                }
            }
            *list = kept;
        }
        _ => {}
    }
}

/// Returns whether two values are equal, or are parameters with the same name. The vendor's is
/// kept, because it is first.
fn same(known: &Value, item: &Value) -> bool {
    let parameter = |value: &Value| value["name"].is_string() && value["in"].is_string();
    let name = |value: &Value| value["name"].as_str().unwrap_or_default().to_lowercase();
    known == item || parameter(item) && name(known) == name(item) && known["in"] == item["in"]
}
