//! The part of the document that the generator is to know.

use serde_json::{Map, Value, json};

use super::operations::alternatives;

/// What the generator is to know: operations with their successes, and
/// schemas.
///
/// No error answers, of which it would lose status and headers where one is
/// not as declared: they are read in `src/error.rs`.
pub(super) fn generator_view(document: &Value) -> Value {
    const OPERATION: [&str; 5] = [
        "deprecated",
        "operationId",
        "parameters",
        "requestBody",
        "responses",
    ];
    let mut paths = document["paths"].clone();
    let items = paths.as_object_mut().into_iter().flatten();
    let operations = items.filter_map(|(_, item)| item.as_object_mut());
    for operation in operations
        .flat_map(|item| item.values_mut())
        .filter_map(Value::as_object_mut)
    {
        let documentation = documentation(operation);
        operation.retain(|key, _| OPERATION.contains(&key.as_str()));
        operation.insert("description".into(), json!(documentation));
        let responses = operation
            .get_mut("responses")
            .and_then(Value::as_object_mut);
        if let Some(responses) = responses {
            responses.retain(|status, _| status.starts_with('2'));
            if responses.is_empty() {
                responses.insert("2XX".into(), json!({"description": ""}));
            }
        }
    }
    json!({
        "openapi": "3.0.3",
        "info": {"title": "Fullscript", "version": "v2"},
        "paths": paths,
        "components": {"schemas": document["components"]["schemas"]},
    })
}

/// What rustdoc says of an operation: a restriction first.
fn documentation(operation: &Map<String, Value>) -> String {
    const APPROVAL: &str = "Requires commercial approval";
    let text = |key: &str| {
        operation
            .get(key)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .trim()
    };
    let mut parts = Vec::new();
    let marked = operation.get("x-requires-commercial-approval") == Some(&json!(true));
    if marked {
        parts.push(format!(
            "{APPROVAL}: the vendor decides which apps may call this."
        ));
    }
    if operation.get("deprecated") == Some(&json!(true)) {
        parts.push("Deprecated by the vendor.".into());
    }
    let description = text("description");
    let description = description
        .strip_prefix(APPROVAL)
        .filter(|_| marked)
        .map_or(description, |rest| rest.trim_start_matches('.').trim());
    if !description.contains(text("summary").trim_end_matches('.')) {
        parts.push(format!("{}.", text("summary").trim_end_matches('.')));
    }
    parts.push(description.to_string());
    let scopes = alternatives(operation.get("security"));
    if !scopes.is_empty() {
        let scopes: Vec<_> = scopes
            .iter()
            .map(|scopes| {
                scopes
                    .iter()
                    .map(|scope| format!("`{scope}`"))
                    .collect::<Vec<_>>()
                    .join(" and ")
            })
            .collect();
        parts.push(format!(
            "Scope: {} ({}).",
            scopes.join(" or "),
            text("x-scopes-confidence")
        ));
    }
    if operation.get("x-paged") == Some(&json!(true)) {
        parts.push("Answers in pages, of 100 records at most.".into());
    }
    if !text("x-note").is_empty() {
        parts.push(format!("Note: {}", text("x-note")));
    }
    parts.retain(|part| !part.is_empty());
    parts.join("\n\n")
}
