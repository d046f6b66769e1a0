//! The examples that the vendor's document records.

use std::collections::HashMap;
use std::sync::LazyLock;

use serde_json::{Value, json};

use super::script::Script;
use crate::operations;

/// The normalized document, whose recorded examples are the answers.
const DOCUMENT: &str = include_str!("../../spec/openapi.normalized.json");

/// What each operation answers, from the examples of the document: read once
/// for all fakes of the process, for it is large.
pub(super) static RECORDED: LazyLock<HashMap<&'static str, Script>> = LazyLock::new(|| {
    let document: Value =
        serde_json::from_str(DOCUMENT).expect("the document that built this crate");
    let answers = operations::all().iter().map(|operation| {
        let method = operation.method.to_lowercase();
        let responses = &document["paths"][operation.path][method]["responses"];
        let success = responses
            .as_object()
            .into_iter()
            .flatten()
            .find(|(status, _)| status.starts_with('2'));
        let script = success.map(|(status, answer)| {
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

/// The example of an answer, or the first of several.
fn recorded(media: &Value) -> Option<&Value> {
    let several = media["examples"]
        .as_object()
        .and_then(|examples| examples.values().next());
    media.get("example").or_else(|| several?.get("value"))
}
