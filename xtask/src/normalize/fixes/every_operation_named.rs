//! Every operation has a unique name that is a Rust function name.

use std::collections::BTreeSet;

use heck::ToPascalCase;
use serde_json::{Value, json};

use crate::normalize::report::Report;
use crate::normalize::tree::names::{is_taken_type, snake, unique};
use crate::normalize::tree::walk::{each_operation, operations};
use crate::refusal::Refusal;

/// Names that the client and the generated code use themselves, methods of common traits, and a
/// keyword of the 2024 edition.
const TAKEN: &str = "\
    api_version as_mut as_ref baseurl borrow borrow_mut builder client clone clone_from clone_into \
    context default download drop eq events exec fmt from gen hash inner into invoke ne new \
    new_with_client operation post pre request shutdown to_owned to_string try_from try_into \
    type_id types with with_options";

pub(crate) fn apply(document: &mut Value, report: &mut Report<'_>) -> Result<(), Refusal> {
    // The name of the request builder tells names apart: `get_covid19` and `get_covid_19` have the
    // same one.
    let builder = |name: &str| name.to_pascal_case();
    let mut given = BTreeSet::new();
    for (_, _, operation) in operations(document) {
        if let Some(id) = operation["operationId"].as_str() {
            given.insert(builder(&snake(id)));
        }
    }
    // Names from the overlay take precedence over the vendor's.
    let ours: BTreeSet<String> = operations(document)
        .filter(|(_, _, operation)| operation.get("x-source").is_some())
        .filter_map(|(_, _, operation)| operation["operationId"].as_str())
        .map(|id| builder(&snake(id)))
        .collect();
    let mut used = BTreeSet::new();
    let is_given = |name: &str, used: &BTreeSet<String>| {
        let name = builder(name);
        given.contains(&name) || used.contains(&name)
    };
    each_operation(document, |pointer, path, method, operation| {
        let before = operation.get("operationId").and_then(Value::as_str);
        let before = before.map(str::to_string);
        let wanted = match before.as_deref().map(snake) {
            Some(name) if name != "unnamed" => name,
            _ => {
                let name = from_path(method, path);
                unique(&name, |name| is_given(name, &used))
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
        let not_ours = ours.contains(&builder(&wanted)) && !operation.contains_key("x-source");
        let name = if used.contains(&builder(&wanted)) || not_ours {
            let longer = format!("{wanted}_{}", from_path(method, path));
            unique(&longer, |name| is_given(name, &used))
        } else {
            wanted
        };
        used.insert(builder(&name));
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
    fn no_operation_has_the_name_of_a_method_of_the_client() {
        fn methods(directory: &std::path::Path, found: &mut Vec<String>) {
            for entry in std::fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    methods(&path, found);
                } else if path.extension().is_some_and(|own| own == "rs") {
                    let file = syn::parse_file(&std::fs::read_to_string(&path).unwrap()).unwrap();
                    found.extend(file.items.iter().flat_map(of_client));
                }
            }
        }
        fn of_client(item: &syn::Item) -> Vec<String> {
            let syn::Item::Impl(block) = item else {
                return vec![];
            };
            let is_client = matches!(&*block.self_ty, syn::Type::Path(path)
                if path.path.segments.last().is_some_and(|last| last.ident == "Client"));
            let functions =
                block
                    .items
                    .iter()
                    .filter(|_| is_client)
                    .filter_map(|item| match item {
                        syn::ImplItem::Fn(own) => Some(own.sig.ident.to_string()),
                        _ => None,
                    });
            functions.collect()
        }
        let mut found = Vec::new();
        let src = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../src");
        methods(&src, &mut found);
        assert!(found.len() > 4, "{found:?}");
        for name in found {
            let taken = names(json!({"/a": {"get": {"operationId": name}}}));
            assert_eq!(taken, [format!("{name}_operation")]);
        }
    }

    #[test]
    fn names_are_unique_and_not_reserved() {
        assert_eq!(
            names(
                json!({"/a": {"get": {"operationId": "getIt"}}, "/b": {"get": {"operationId": "get_it"}}, "/c": {"get": {"operationId": "exec"}}})
            ),
            ["get_it", "get_it_get_b", "exec_operation"],
        );
        assert_eq!(
            names(
                json!({"/a": {"get": {"operationId": "get_covid19"}}, "/b": {"get": {"operationId": "get_covid_19"}}})
            ),
            ["get_covid19", "get_covid_19_get_b"],
        );
    }
}
