//! Tables written next to the client: all operations, and their response types by id.

use quote::quote;
use serde_json::{Value, json};
use syn::{Item, parse_quote};

use super::client::operation::{Operation, ResponseBody};
use super::document::{Described, alternatives, strings};
use super::syntax::unparse;

/// The table behind `fullscript::operations`, in the order of `operations`.
pub(super) fn table(document: &Value, operations: &[Described<'_>]) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_string();
    let rows = operations.iter().map(|operation| {
        let Described {
            id,
            path,
            method,
            value,
        } = operation;
        let scopes = alternatives(value.get("security"));
        format!(
            "Operation {{ id: {id:?}, method: {:?}, path: {path:?}, summary: {:?}, \
             authenticated: {}, scopes: &{}, scopes_confidence: {:?}, \
             requires_commercial_approval: {}, paged: {}, sources: &{:?}, \
             content_type: {:?}, variables: {} }}",
            method.to_uppercase(),
            text(&value["summary"]),
            value
                .get("security")
                .is_none_or(|security| security != &json!([]))
                && (value.get("security").is_some() || document.get("security").is_some()),
            format!("{scopes:?}")
                .replace('[', "&[")
                .replacen("&[", "[", 1),
            text(&value["x-scopes-confidence"]),
            value["x-requires-commercial-approval"] == true,
            value["x-paged"] == true,
            strings(&value["x-source"]),
            value["x-content-type"].as_str(),
            path.matches('{').count(),
        )
    });
    let rows: Vec<String> = rows.collect();
    format!(
        "pub(crate) static OPERATIONS: &[Operation] = &[\n{}\n];\n",
        rows.join(",\n")
    )
}

pub(super) fn round_trip(operations: &[Operation<'_>]) -> String {
    let arms = operations
        .iter()
        .map(|Operation { id, response, .. }| match response {
            ResponseBody::Json(response) => quote!(#id => through::<#response>(value),),
            ResponseBody::Nothing | ResponseBody::Bytes => quote!(#id => Ok(value.clone()),),
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
