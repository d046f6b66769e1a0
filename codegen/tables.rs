//! Tables written next to the client: all operations, and their response types by id.

use quote::quote;
use serde_json::{Value, json};
use syn::{Item, parse_quote};

use super::document::{alternatives, strings};
use super::syntax::unparse;

/// The response type of each operation by its id; `None` if the response is not JSON.
pub(super) type ResponseTypes = Vec<(String, Option<syn::Type>)>;

/// The table behind `fullscript::operations`, sorted by id.
pub(super) fn table(document: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_string();
    let mut rows = Vec::new();
    for (path, item) in document["paths"].as_object().into_iter().flatten() {
        for (method, operation) in item.as_object().into_iter().flatten() {
            let Some(id) = operation["operationId"].as_str() else {
                continue;
            };
            let scopes = alternatives(operation.get("security"));
            let row = format!(
                "Operation {{ id: {id:?}, method: {:?}, path: {path:?}, summary: {:?}, \
                 authenticated: {}, scopes: &{}, scopes_confidence: {:?}, \
                 requires_commercial_approval: {}, paged: {}, sources: &{:?}, \
                 content_type: {:?}, variables: {} }}",
                method.to_uppercase(),
                text(&operation["summary"]),
                operation
                    .get("security")
                    .is_none_or(|security| security != &json!([]))
                    && (operation.get("security").is_some() || document.get("security").is_some()),
                format!("{scopes:?}")
                    .replace('[', "&[")
                    .replacen("&[", "[", 1),
                text(&operation["x-scopes-confidence"]),
                operation["x-requires-commercial-approval"] == true,
                operation["x-paged"] == true,
                strings(&operation["x-source"]),
                operation["x-content-type"].as_str(),
                path.matches('{').count(),
            );
            rows.push((id.to_string(), row));
        }
    }
    rows.sort();
    let rows: Vec<String> = rows.into_iter().map(|(_, row)| row).collect();
    format!(
        "pub(crate) static OPERATIONS: &[Operation] = &[\n{}\n];\n",
        rows.join(",\n")
    )
}

pub(super) fn round_trip(response_types: &ResponseTypes) -> String {
    let arms = response_types.iter().map(|(id, response)| match response {
        Some(response) => quote!(#id => through::<#response>(value),),
        None => quote!(#id => Ok(value.clone()),),
    });
    let function: Item = parse_quote! {
        fn through_answer_type(operation_id: &str, value: &Value) -> Result<Value, RoundTripError> {
            match operation_id {
                #(#arms)*
                _ => Err(RoundTripError::UnknownOperation),
            }
        }
    };
    unparse(vec![function])
}
