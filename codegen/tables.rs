//! Tables written next to the client: all operations, their response types by id, and the names of
//! fields.

use std::collections::BTreeSet;

use quote::{ToTokens, quote};
use serde_json::{Value, json};
use syn::{Field, Item, LitStr, parse_quote};

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

/// A constant with the names of the fields of all models, sorted, as they are on the wire.
pub(super) fn fields(types: &[Item]) -> String {
    let structs = types.iter().filter_map(|item| match item {
        Item::Struct(item) => Some(&item.fields),
        _ => None,
    });
    let declared = structs.flatten().filter(|field| !is_flattened(field));
    let names: BTreeSet<String> = declared.filter_map(wire_name).collect();
    let names: Vec<String> = names
        .iter()
        .map(|name| format!("    {name:?},\n"))
        .collect();
    format!("const FIELDS: &[&str] = &[\n{}];\n", names.concat())
}

/// Returns whether a field holds the fields that are not declared.
fn is_flattened(field: &Field) -> bool {
    let mut attributes = field.attrs.iter().filter(|at| at.path().is_ident("serde"));
    attributes.any(|at| at.to_token_stream().to_string().contains("flatten"))
}

/// Returns the name that `#[serde(rename)]` gives a field, or else its own.
pub(super) fn wire_name(field: &Field) -> Option<String> {
    let mut renamed = None;
    for attribute in field.attrs.iter().filter(|at| at.path().is_ident("serde")) {
        // Arguments that are not names end the reading; `rename` is the first one.
        let _rest = attribute.parse_nested_meta(|meta| {
            let value: LitStr = meta.value()?.parse()?;
            if meta.path.is_ident("rename") {
                renamed = Some(value.value());
            }
            Ok(())
        });
    }
    let own = field.ident.as_ref()?.to_string();
    Some(renamed.unwrap_or_else(|| own.trim_start_matches("r#").into()))
}

pub(super) fn round_trip(operations: &[Operation<'_>]) -> String {
    let arms = operations
        .iter()
        .map(|Operation { id, response, .. }| match response {
            ResponseBody::Json(response) => quote!(#id => through::<#response>(text, strict),),
            ResponseBody::Nothing | ResponseBody::Bytes => {
                quote!(#id => through::<Value>(text, strict),)
            }
        });
    let function: Item = parse_quote! {
        fn through_answer_type(
            operation_id: &str,
            text: &[u8],
            strict: bool,
        ) -> Result<DecodedResponse, RoundTripError> {
            match operation_id {
                #(#arms)*
                _ => Err(RoundTripError::UnknownOperation),
            }
        }
    };
    unparse(vec![function])
}
