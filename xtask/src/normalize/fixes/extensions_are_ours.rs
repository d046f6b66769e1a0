//! The extensions with a meaning in this project are its own: a vendor's `x-id` or `x-value` is
//! removed, because it means something else.

use serde_json::{Map, Value};

use crate::normalize::MARK;
use crate::normalize::report::Report;
use crate::normalize::tree::walk::escape;
use crate::refusal::Refusal;

/// Extensions that the overlay and the fixes set, and those that the generator interprets.
///
/// `x-paged` is not among them: a vendor who writes it means the same.
const OURS: &str = "\
    x-base x-content-type x-deep-object x-id x-name x-not-sent x-open x-rust-name \
    x-rust-type x-scopes x-scopes-confidence x-source x-uncertain x-undeclared x-value \
    x-webhook-names";

/// Objects whose keys are names that the vendor chose.
const NAMES: &str = "\
    $defs callbacks content definitions dependentSchemas encoding headers links mapping \
    parameters pathItems paths patternProperties properties requestBodies responses schemas scopes \
    securitySchemes variables webhooks";

/// Values that are not part of the description.
const VALUES: [&str; 6] = ["const", "default", "enum", "example", "examples", "value"];

pub(crate) fn apply(document: &mut Value, report: &mut Report<'_>) -> Result<(), Refusal> {
    let Some(root) = document.as_object_mut() else {
        return Ok(());
    };
    // A document that was derived before has these extensions from the overlay and the fixes.
    if root.remove(MARK).is_none() {
        strip(root, "", report);
    }
    Ok(())
}

fn strip(object: &mut Map<String, Value>, pointer: &str, report: &mut Report<'_>) {
    object.retain(|key, value| {
        let ours = key.starts_with("x-") && OURS.split_whitespace().any(|own| own == key);
        if ours {
            let place = format!("{pointer}/{}", escape(key));
            report.note(place, &value, "dropped, it has another meaning here");
        }
        !ours
    });
    for (key, value) in object {
        if key.starts_with("x-") || VALUES.contains(&key.as_str()) {
            continue;
        }
        let below = format!("{pointer}/{}", escape(key));
        let are_names = NAMES.split_whitespace().any(|own| own == key);
        match value {
            Value::Object(named) if are_names => {
                for (name, value) in named {
                    each(value, &format!("{below}/{}", escape(name)), report);
                }
            }
            value => each(value, &below, report),
        }
    }
}

fn each(value: &mut Value, pointer: &str, report: &mut Report<'_>) {
    match value {
        Value::Object(object) => strip(object, pointer, report),
        Value::Array(list) => {
            for (index, element) in list.iter_mut().enumerate() {
                each(element, &format!("{pointer}/{index}"), report);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::normalize::report::check;

    #[test]
    fn an_extension_of_the_vendor_is_removed_and_a_name_is_kept() {
        let field = |schema: Value| json!({"type": "object", "properties": {"x-id": schema}});
        let document =
            |schema: Value| json!({"components": {"schemas": {"x-name": field(schema)}}});
        let (after, repairs) = check(
            apply,
            document(json!({"type": "string", "x-id": "db", "x-note": 1, "example": {"x-id": 1}})),
        );
        let kept = json!({"type": "string", "x-note": 1, "example": {"x-id": 1}});
        assert_eq!(after, document(kept));
        let pointer = "/components/schemas/x-name/properties/x-id/x-id";
        assert_eq!(repairs[0].pointer, pointer);
        assert_eq!(repairs.len(), 1);
    }

    #[test]
    fn a_derived_document_keeps_its_extensions() {
        let schema = json!({"components": {"schemas": {"A": {"x-id": "a"}}}});
        let mut document = schema.clone();
        document[MARK] = true.into();
        apply(&mut document, &mut Report::default()).unwrap();
        assert_eq!(document, schema);
    }
}
