//! Every operation has a unique name that is a Rust function name.

use std::collections::BTreeSet;

use heck::ToPascalCase;
use serde_json::{Value, json};

use crate::normalize::report::Report;
use crate::normalize::tree::names::{is_taken_type, snake, unique};
use crate::normalize::tree::walk::{each_operation, operations};
use crate::refusal::Refusal;

/// Names that the generated client uses itself, and a keyword of the 2024 edition.
const TAKEN: &str = "api_version baseurl builder client download events exec gen inner new \
    new_with_client operation post pre request types with with_options";

pub(crate) fn apply(document: &mut Value, report: &mut Report) -> Result<(), Refusal> {
    let mut given = BTreeSet::new();
    for (_, _, operation) in operations(document) {
        if let Some(id) = operation["operationId"].as_str() {
            given.insert(snake(id));
        }
    }
    // Names from the overlay take precedence over the vendor's.
    let ours: BTreeSet<String> = operations(document)
        .filter(|(_, _, operation)| operation.get("x-source").is_some())
        .filter_map(|(_, _, operation)| operation["operationId"].as_str().map(snake))
        .collect();
    let mut used = BTreeSet::new();
    each_operation(document, |pointer, path, method, operation| {
        let before = operation.get("operationId").and_then(Value::as_str);
        let before = before.map(str::to_string);
        let wanted = match before.as_deref().map(snake) {
            Some(name) if name != "unnamed" => name,
            _ => {
                let name = from_path(method, path);
                unique(&name, |name| given.contains(name) || used.contains(name))
            }
        };
        let is_keyword = syn::parse_str::<syn::Ident>(&wanted).is_err();
        let is_taken = TAKEN.split_whitespace().any(|taken| taken == wanted)
            // The request builder of `send` would be called `Send`.
            || is_taken_type(&wanted.to_pascal_case());
        let wanted = if is_keyword || is_taken {
            format!("{wanted}_operation")
        } else {
            wanted
        };
        let not_ours = ours.contains(&wanted) && !operation.contains_key("x-source");
        let name = if used.contains(&wanted) || not_ours {
            let longer = format!("{wanted}_{}", from_path(method, path));
            unique(&longer, |name| given.contains(name) || used.contains(name))
        } else {
            wanted
        };
        used.insert(name.clone());
        if before.as_deref() != Some(name.as_str()) {
            let before = before.unwrap_or_else(|| "no operationId".into());
            report.note(pointer, before, &name);
            operation.insert("operationId".into(), json!(name));
        }
    });
    Ok(())
}

/// Returns `get_clinic_patients_by_id` for `GET /api/clinic/patients/{id}`. The name depends on
/// this operation only, so that a new operation does not change it.
fn from_path(method: &str, path: &str) -> String {
    let path = path.strip_prefix("/api").unwrap_or(path);
    let path = path.replace('{', "by-").replace('}', "");
    snake(&format!("{method}-{path}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::normalize::report::check;

    fn names(paths: Value) -> Vec<String> {
        let (document, _) = check(apply, json!({ "paths": paths }));
        let name = |(_, _, operation): (&str, &str, &Value)| {
            operation["operationId"].as_str().unwrap().to_string()
        };
        operations(&document).map(name).collect()
    }

    #[test]
    fn a_name_is_derived_from_method_and_path() {
        assert_eq!(
            names(json!({"/api/clinic/patients/{id}": {"get": {}}})),
            ["get_clinic_patients_by_id"]
        );
    }

    #[test]
    fn a_new_neighbour_changes_no_name() {
        let alone = names(json!({"/a/{id}": {"get": {}}}));
        let together = names(
            json!({"/a/{id}": {"get": {}}, "/a": {"get": {}, "post": {}}, "/a/": {"get": {"operationId": "listA"}}}),
        );
        assert!(together.contains(&alone[0]));
    }

    #[test]
    fn names_are_unique_and_not_reserved() {
        assert_eq!(
            names(
                json!({"/a": {"get": {"operationId": "getIt"}}, "/b": {"get": {"operationId": "get_it"}}, "/c": {"get": {"operationId": "exec"}}})
            ),
            ["get_it", "get_it_get_b", "exec_operation"],
        );
    }
}
