//! The part of the document that progenitor sees.

use serde_json::{Value, json};

/// Reduces the document to operations with successful responses, and schemas.
///
/// Error responses are left out: progenitor would lose status and headers of a response that
/// differs from its declaration. `src/error/` reads them instead.
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
        operation.retain(|key, _| OPERATION.contains(&key.as_str()));
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
