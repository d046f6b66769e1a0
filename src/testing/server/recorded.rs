//! The examples that the vendor's document records.

use std::collections::HashMap;
use std::sync::LazyLock;

use serde_json::{Value, json};

use crate::operations::{self, Operation};
use crate::testing::server::script::Script;

/// The normalized document, whose examples are the recorded responses. It is large, so it is parsed
/// once for all fakes of the process.
pub(in crate::testing) static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    let text = include_str!("../../../spec/openapi.normalized.json");
    serde_json::from_str(text).expect("the document that built this crate")
});

/// The recorded response of each operation.
pub(in crate::testing) static RECORDED: LazyLock<HashMap<&'static str, Script>> =
    LazyLock::new(|| {
        let answers = operations::all().iter().map(|operation| {
            let script = success(operation).map(|(status, answer)| {
                let status = status.parse().unwrap_or(200);
                match answer["content"].get("application/json") {
                    Some(media) => Script::json(status, recorded(media).unwrap_or(&json!({}))),
                    None => Script::new(status, "application/octet-stream", ""),
                }
            });
            let script = script.unwrap_or_else(|| Script::json(200, &json!({})));
            (operation.id, script)
        });
        answers.collect()
    });

/// Returns the recorded response body of an operation, or null if the document has none.
pub(in crate::testing) fn example(operation_id: &str) -> &'static Value {
    operations::find(operation_id)
        .and_then(success)
        .and_then(|(_, answer)| recorded(&answer["content"]["application/json"]))
        .unwrap_or(&Value::Null)
}

/// Returns the operation in the document.
pub(in crate::testing) fn described(operation: &Operation) -> &'static Value {
    &DOCUMENT["paths"][operation.path][operation.method.to_lowercase()]
}

/// Returns the status and description of an operation's success response.
pub(in crate::testing) fn success(
    operation: &Operation,
) -> Option<(&'static String, &'static Value)> {
    let responses = described(operation)["responses"].as_object()?;
    responses.iter().find(|(status, _)| status.starts_with('2'))
}

/// Returns the example of a media type, or the first of several.
fn recorded(media: &Value) -> Option<&Value> {
    let several = media["examples"]
        .as_object()
        .and_then(|examples| examples.values().next());
    media.get("example").or_else(|| several?.get("value"))
}
