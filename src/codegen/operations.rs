//! The tables beside the client: the operations, and their answers by name.

use heck::ToSnakeCase;
use quote::{ToTokens, quote};
use serde_json::{Value, json};
use syn::{Item, parse_quote};

use super::client::Answers;
use super::docs::Described;
use super::unparse;

/// The ids of all operations, in the order of the table.
pub(super) fn ids(document: &Value) -> Vec<String> {
    let items = document["paths"].as_object().into_iter().flatten();
    let operations = items.flat_map(|(_, item)| item.as_object().into_iter().flatten());
    let mut ids: Vec<String> = operations
        .filter_map(|(_, operation)| operation["operationId"].as_str().map(str::to_string))
        .collect();
    ids.sort();
    ids
}

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

/// What the document says of an operation, by the name of its method.
pub(super) fn described<'d>(document: &'d Value, id: &str) -> Option<Described<'d>> {
    let items = document["paths"].as_object().into_iter().flatten();
    let mut operations = items.flat_map(|(path, item)| {
        let operations = item.as_object().into_iter().flatten();
        operations.map(move |(method, value)| Described {
            path,
            method,
            value,
        })
    });
    operations.find(|operation| {
        let own = operation.value["operationId"].as_str();
        own.is_some_and(|own| own == id || own.to_snake_case() == id)
    })
}

/// The scopes of an operation: alternatives, each needed together.
pub(super) fn alternatives(security: Option<&Value>) -> Vec<Vec<String>> {
    let alternatives = security.and_then(Value::as_array).into_iter().flatten();
    let scopes = alternatives.filter_map(|alternative| alternative.as_object());
    scopes
        .map(|schemes| schemes.values().flat_map(strings).collect::<Vec<_>>())
        .filter(|scopes| !scopes.is_empty())
        .collect()
}

fn strings(value: &Value) -> Vec<String> {
    let texts = value
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str);
    texts.map(str::to_string).collect()
}

pub(super) fn round_trip(answers: &Answers) -> String {
    let arms =
        answers.iter().map(
            |(id, answer)| match answer.to_token_stream().to_string().as_str() {
                "()" | "ByteStream" => quote!(#id => Ok(value.clone()),),
                _ => quote!(#id => through::<#answer>(value),),
            },
        );
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
