//! The table of operations by topic, shown in the documentation of the client.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value;

use super::operation::Operation;

/// Writes one row per tag, in the order of the document's tags.
pub(crate) fn index(operations: &[Operation<'_>], document: &Value) -> String {
    let tags = document["tags"].as_array().into_iter().flatten();
    let order: Vec<&str> = tags.filter_map(|tag| tag["name"].as_str()).collect();
    let mut topics: BTreeMap<(usize, &str), Vec<String>> = BTreeMap::new();
    for Operation { id, described, .. } in operations {
        let topic = described.value["tags"][0].as_str().unwrap_or("Other");
        let position = order.iter().position(|tag| *tag == topic);
        let link = format!("[`{id}`](Client::{id})");
        let position = position.unwrap_or(order.len());
        topics.entry((position, topic)).or_default().push(link);
    }
    let mut table = String::from("| Topic | Methods |\n|---|---|\n");
    for ((_, topic), links) in topics {
        let _ = writeln!(
            table,
            "| {} | {} |",
            topic.replace('|', "\\|"),
            links.join(", ")
        );
    }
    table
}
