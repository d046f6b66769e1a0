//! Strings that are times or dates declare their format.
//!
//! They are identified by the vendor's naming convention: `created_at`, `date_of_birth`. Only
//! bodies and responses are changed: in a query the same names accept a range such as
//! `>2026-01-31`.

use serde_json::{Value, json};

use crate::normalize::report::Report;
use crate::normalize::tree::walk::each_schema;
use crate::refusal::Refusal;

pub(crate) fn apply(document: &mut Value, report: &mut Report<'_>) -> Result<(), Refusal> {
    each_schema(document, &mut |pointer, schema| {
        let properties = schema.get_mut("properties").and_then(Value::as_object_mut);
        for (name, property) in properties.into_iter().flatten() {
            let plain = property["type"] == "string"
                && ["format", "enum", "x-name"]
                    .iter()
                    .all(|key| property.get(key).is_none());
            let format = match name.as_str() {
                "date_of_birth" => "date",
                _ if name.ends_with("_date") => "date",
                _ if name.ends_with("_at") => "date-time",
                _ => continue,
            };
            if plain {
                property["format"] = json!(format);
                report.note(format!("{pointer}/properties/{name}"), "string", format);
            }
        }
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::normalize::report::check;

    #[test]
    fn times_and_days_are_known_by_name() {
        let field =
            |schema: Value| json!({"components": {"schemas": {"A": {"properties": schema}}}});
        let (document, repairs) = check(
            apply,
            field(
                json!({"created_at": {"type": "string"}, "date_of_birth": {"type": "string", "nullable": true},
                "format": {"type": "string"}, "expires_at": {"type": "integer"}}),
            ),
        );
        assert_eq!(
            document,
            field(
                json!({"created_at": {"type": "string", "format": "date-time"},
                "date_of_birth": {"type": "string", "nullable": true, "format": "date"},
                "format": {"type": "string"}, "expires_at": {"type": "integer"}})
            ),
        );
        assert_eq!(repairs.len(), 2);
    }
}
