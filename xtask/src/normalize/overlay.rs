//! Applies `spec/overlay.yaml`: what we know and the document does not say.

use roas_overlay::apply::Apply;
use roas_overlay::v1_0::Overlay;
use serde_json::Value;

use crate::refusal::{Refusal, refuse};

/// Reads an overlay (OpenAPI Overlay 1.0, YAML).
///
/// # Errors
/// A [`Refusal`] naming the place where the text is not an overlay.
pub(crate) fn parse(yaml: &str) -> Result<Overlay, Refusal> {
    serde_norway::from_str(yaml).map_err(|error| {
        refuse(
            format!("spec/overlay.yaml that does not parse: {error}"),
            "an OpenAPI Overlay 1.0 document in YAML",
            "mend the named place; https://spec.openapis.org/overlay/v1.0.0.html",
        )
    })
}

/// Applies the actions in order and returns those that found no place.
///
/// An action that can't be applied is reported and the others still count,
/// since a document that changed in one place should not lose what we know
/// of all the others.
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
            // Nothing was applied: again without the one that can't be.
            Err(error) => {
                failed.push(error.to_string());
                overlay.actions.remove(error.action_index);
            }
        }
    }
}

/// An overlay can only append to a list; what the document says already is
/// not said twice. Recorded examples may well repeat themselves.
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

/// Equal, or parameters of one name: then the vendor's, which came first.
fn same(known: &Value, item: &Value) -> bool {
    let parameter = |value: &Value| value["name"].is_string() && value["in"].is_string();
    let name = |value: &Value| value["name"].as_str().unwrap_or_default().to_lowercase();
    known == item || parameter(item) && name(known) == name(item) && known["in"] == item["in"]
}
