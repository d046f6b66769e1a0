//! The description of a restricted operation starts with the restriction.

use serde_json::{Value, json};

use crate::normalize::report::Report;
use crate::normalize::tree::walk::{METHODS, each_operation, escape, object_mut, text};
use crate::refusal::Refusal;

/// The vendor's mark.
const MARK: &str = "x-requires-commercial-approval";

/// The text that explains the mark.
const WORDS: &str = "Requires commercial approval";

pub(crate) fn apply(document: &mut Value, report: &mut Report<'_>) -> Result<(), Refusal> {
    marks_of_paths(document, report);
    each_operation(document, |pointer, _, _, operation| {
        let is_described = text(operation, "description").starts_with(WORDS);
        if is_described && !operation.contains_key(MARK) {
            report.note(format!("{pointer}/{MARK}"), "said in the description", true);
            operation.insert(MARK.into(), json!(true));
        }
        let Some(mark) = operation.get(MARK).cloned() else {
            return;
        };
        let marked = match &mark {
            Value::Bool(marked) => *marked,
            Value::String(text) => {
                !["", "false", "no", "0"].contains(&text.trim().to_lowercase().as_str())
            }
            Value::Null => false,
            Value::Number(number) => number.as_f64() != Some(0.0),
            // An object is a mark with details.
            _ => true,
        };
        if mark != json!(marked) {
            report.note(format!("{pointer}/{MARK}"), &mark, marked);
            operation.insert(MARK.into(), json!(marked));
        }
        let description = text(operation, "description");
        if marked && !description.starts_with(WORDS) {
            let description = format!("{WORDS}.\n\n{description}");
            operation.insert("description".into(), json!(description.trim_end()));
            let place = format!("{pointer}/description");
            report.note(place, "silent on approval", WORDS);
        }
    });
    Ok(())
}

/// Copies a mark on a path to each of its operations.
fn marks_of_paths(document: &mut Value, report: &mut Report<'_>) {
    let paths = document.get_mut("paths").and_then(Value::as_object_mut);
    for (path, item) in paths.into_iter().flatten() {
        let Some(item) = item.as_object_mut() else {
            continue;
        };
        let Some(mark) = item.remove(MARK) else {
            continue;
        };
        let place = format!("/paths/{}/{MARK}", escape(path));
        report.note(place, &mark, "on each operation");
        for method in METHODS {
            if let Some(operation) = object_mut(item, method) {
                operation.entry(MARK).or_insert_with(|| mark.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::normalize::report::check;

    #[test]
    fn any_spelling_of_the_mark_counts() {
        for mark in [json!(true), json!("true"), json!({"contact": "us"})] {
            let (document, _) = check(
                apply,
                json!({"paths": {"/a": {"get": {MARK: mark, "description": "Lists."}}}}),
            );
            let get = &document["paths"]["/a"]["get"];
            assert_eq!(get[MARK], true);
            assert_eq!(
                get["description"],
                "Requires commercial approval.\n\nLists."
            );
        }
    }

    #[test]
    fn a_mark_on_the_path_or_in_words_counts_too() {
        let (document, repairs) = check(
            apply,
            json!({"paths": {
                "/a": {MARK: true, "get": {}, "put": {}},
                "/b": {"get": {"description": "Requires commercial approval. Lists."}}}}),
        );
        for (path, method) in [("/a", "get"), ("/a", "put"), ("/b", "get")] {
            assert_eq!(
                document["paths"][path][method][MARK], true,
                "{method} {path}"
            );
        }
        assert_eq!(repairs.len(), 4);
    }

    #[test]
    fn a_negative_mark_marks_nothing() {
        let (document, _) = check(
            apply,
            json!({"paths": {"/a": {"get": {MARK: "false", "description": "Lists."}}}}),
        );
        assert_eq!(
            document["paths"]["/a"]["get"],
            json!({MARK: false, "description": "Lists."})
        );
    }
}
