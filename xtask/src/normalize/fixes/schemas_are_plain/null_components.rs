//! Component schemas are not nullable; the references to them are.

use serde_json::{Value, json};

use crate::normalize::report::Report;
use crate::normalize::tree::walk::{each_schema, referenced_through, schemas_mut};

/// Moves `nullable` from a component to its references, because a model is not an `Option`.
pub(crate) fn null_where_referred(document: &mut Value, report: &mut Report<'_>) {
    let mut nullable = Vec::new();
    for (name, schema) in schemas_mut(document) {
        let Some(schema) = schema.as_object_mut().filter(|schema| schema.len() > 1) else {
            continue;
        };
        if schema.remove("nullable") == Some(json!(true)) {
            let place = format!("/components/schemas/{name}");
            report.note(place, "nullable", "nullable where referred to");
            nullable.push(name.clone());
        }
    }
    each_schema(document, &mut |pointer, schema| {
        let (parent, last) = pointer.rsplit_once('/').unwrap_or_default();
        let member = parent.ends_with("/properties") || last == "items";
        let refers = referenced_through(schema)
            .is_some_and(|name| nullable.iter().any(|known| known == name));
        if member && refers {
            if let Some(target) = schema.get("$ref").cloned() {
                *schema = json!({"allOf": [{ "$ref": target }]});
            }
            schema["nullable"] = json!(true);
        }
    });
}
