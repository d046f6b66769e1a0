//! Operations whose responses are any JSON, although they were typed before or are new.

use std::collections::BTreeSet;

use super::renames::Renames;
use crate::surface::Surface;

/// Returns the operations whose responses became any JSON, with the type.
pub(super) fn between(old: &Surface, new: &Surface, renames: &Renames) -> Vec<String> {
    let known = old.operations.iter();
    let known = known.filter(|(_, operation)| is_untyped(&operation.answer));
    let known: BTreeSet<String> = known.map(|(id, _)| renames.new_id(id)).collect();
    let untyped = new
        .operations
        .iter()
        .filter(|(id, operation)| is_untyped(&operation.answer) && !known.contains(*id));
    untyped
        .map(|(id, operation)| format!("`{id}` ({})", operation.answer))
        .collect()
}

fn is_untyped(answer: &str) -> bool {
    let answer = answer.replace("serde_json::", "").replace("::", "");
    answer == "Value" || answer.starts_with("Map<")
}
