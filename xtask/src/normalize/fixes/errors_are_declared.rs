//! Every operation declares the common error response.
//!
//! The schema is as wide as the observed errors: `error` is a string, a list or an object. The
//! generator does not see it (see `build.rs`): errors are decoded in one place, which also accepts
//! HTML and empty bodies.

use serde_json::{Value, json};

use crate::normalize::report::Report;
use crate::normalize::tree::names::unique;
use crate::normalize::tree::walk::{each_operation, each_schema, reference, schemas_mut};
use crate::refusal::Refusal;

const NAME: &str = "ErrorResponse";

pub(crate) fn apply(document: &mut Value, report: &mut Report<'_>) -> Result<(), Refusal> {
    let schemas = schemas_mut(document);
    let ours = schema();
    match schemas.get_mut(NAME) {
        None => {
            report.note(format!("/components/schemas/{NAME}"), "absent", "added");
            schemas.insert(NAME.into(), ours);
        }
        // A schema of the vendor with this name keeps its fields and gets the fields that errors
        // are decoded from.
        Some(theirs) if theirs["properties"].is_object() => {
            for (name, field) in ours["properties"].as_object().into_iter().flatten() {
                if theirs["properties"].get(name).is_none() {
                    let place = format!("/components/schemas/{NAME}/properties/{name}");
                    report.note(place, "absent", "added");
                    theirs["properties"][name] = field.clone();
                }
            }
        }
        Some(theirs) => {
            let theirs = std::mem::replace(theirs, ours);
            let free = unique(NAME, |name| schemas.contains_key(name));
            report.note(format!("/components/schemas/{NAME}"), "no object", &free);
            schemas.insert(free.clone(), theirs);
            let (taken, free) = (reference(NAME), reference(&free));
            each_schema(document, &mut |_, schema| {
                if schema["$ref"] == taken["$ref"] {
                    *schema = free.clone();
                }
            });
        }
    }
    each_operation(document, |pointer, _, _, operation| {
        let responses = operation.entry("responses").or_insert_with(|| json!({}));
        let responses = responses.as_object_mut().expect("well-formed answers");
        let is_error = |status: &str| !status.starts_with(['1', '2', '3']);
        for (status, response) in responses.iter_mut() {
            let typed = response["content"]["application/json"]["schema"].is_object();
            if is_error(status) && !typed {
                response["content"] = json!({"application/json": {"schema": reference(NAME)}});
                report.note(format!("{pointer}/responses/{status}"), "no schema", NAME);
            }
        }
        if !responses.keys().any(|status| is_error(status)) {
            responses.insert(
                "default".into(),
                json!({
                    "description": "Any other answer.",
                    "content": {"application/json": {"schema": reference(NAME)}},
                }),
            );
            let place = format!("{pointer}/responses/default");
            report.note(place, "no error answer", NAME);
        }
    });
    Ok(())
}

fn schema() -> Value {
    json!({
        "type": "object",
        "description": "What the vendor says of a call that failed. Every field may be absent.",
        "properties": {
            "error": {"description": "A message, a list of messages, a list inside a text, or an object."},
            "error_description": {"type": "string", "description": "The OAuth operations' explanation (RFC 6749 5.2)."},
            "errors": {"description": "A list of messages or of objects."},
            "message": {"type": "string"},
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::normalize::report::check;

    #[test]
    fn errors_are_typed_and_never_missing() {
        let (document, repairs) = check(
            apply,
            json!({"paths": {"/a": {"get": {"responses": {"200": {}, "403": {"description": "Forbidden"}}}, "put": {"responses": {"200": {}}}}}}),
        );
        let schema = |method: &str, status: &str| {
            document["paths"]["/a"][method]["responses"][status]["content"]["application/json"]["schema"]["$ref"].clone()
        };
        assert_eq!(schema("get", "403"), "#/components/schemas/ErrorResponse");
        assert_eq!(
            schema("put", "default"),
            "#/components/schemas/ErrorResponse"
        );
        assert_eq!(repairs.len(), 3);
    }
}
