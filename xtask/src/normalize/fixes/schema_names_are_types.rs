//! The names of components are unique Rust type names.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::normalize::report::Report;
use crate::normalize::tree::names::{pascal, unique};
use crate::normalize::tree::walk::{each_schema, escape, schemas_mut};
use crate::refusal::Refusal;

pub(crate) fn apply(document: &mut Value, report: &mut Report<'_>) -> Result<(), Refusal> {
    let schemas = schemas_mut(document);
    let mut renamed = BTreeMap::new();
    let mut kept = Map::new();
    let (right, wrong): (Vec<_>, Vec<_>) = std::mem::take(schemas)
        .into_iter()
        .partition(|(name, _)| pascal(name) == *name);
    for (name, schema) in right.into_iter().chain(wrong) {
        let new = unique(&pascal(&name), |name| kept.contains_key(name));
        if new != name {
            let place = format!("/components/schemas/{}", escape(&name));
            report.note(place, &name, &new);
            renamed.insert(
                format!("#/components/schemas/{}", escape(&name)),
                new.clone(),
            );
        }
        kept.insert(new, schema);
    }
    *schemas = kept;
    if !renamed.is_empty() {
        each_schema(document, &mut |_, schema| {
            let new = schema["$ref"]
                .as_str()
                .and_then(|target| renamed.get(target));
            if let Some(new) = new {
                schema["$ref"] = json!(format!("#/components/schemas/{new}"));
            }
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::normalize::report::check;

    #[test]
    fn colliding_names_get_numbers_and_references_follow() {
        let (document, repairs) = check(
            apply,
            json!({"components": {"schemas": {"my-thing": {"type": "string"}, "MyThing": {"$ref": "#/components/schemas/my-thing"}, "Option": {}}}}),
        );
        assert_eq!(
            document["components"]["schemas"],
            json!({"MyThing": {"$ref": "#/components/schemas/MyThing2"}, "MyThing2": {"type": "string"}, "OptionObject": {}}),
        );
        assert_eq!(repairs.len(), 2);
    }
}
