//! A restricted operation says so in the first words of its description.

use serde_json::{Value, json};

use super::walk::each_operation;
use super::{Refusal, Report};

/// The vendor's mark.
const MARK: &str = "x-requires-commercial-approval";

/// What the mark means to a caller.
const WORDS: &str = "Requires commercial approval";

pub(super) fn apply(document: &mut Value, report: &mut Report) -> Result<(), Refusal> {
    each_operation(document, |pointer, _, _, operation| {
        let Some(mark) = operation.get(MARK).cloned() else {
            return;
        };
        let marked = match &mark {
            Value::Bool(marked) => *marked,
            Value::String(text) => {
                !["", "false", "no", "0"].contains(&text.trim().to_lowercase().as_str())
            }
            Value::Null => false,
            // An object or a number says more than a bare mark, not less.
            _ => true,
        };
        if mark != json!(marked) {
            report.note(format!("{pointer}/{MARK}"), &mark, marked);
            operation.insert(MARK.into(), json!(marked));
        }
        let description = operation
            .get("description")
            .and_then(Value::as_str)
            .unwrap_or_default();
        if marked && !description.starts_with(WORDS) {
            let description = format!("{WORDS}.\n\n{description}");
            operation.insert("description".into(), json!(description.trim_end()));
            report.note(
                format!("{pointer}/description"),
                "silent on approval",
                WORDS,
            );
        }
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::normalize::check;

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
    fn a_mark_that_denies_marks_nothing() {
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
