//! Each operation has one type of success response.

use serde_json::{Map, Value, json};

use super::bodies_are_sendable::{is_json, with_schema};
use crate::normalize::report::Report;
use crate::normalize::tree::walk::{distinct, each_operation, object_mut, take};
use crate::refusal::Refusal;

/// Statuses without a body (RFC 9110 15.3.5, 15.3.6).
const BODILESS: [&str; 2] = ["204", "205"];

pub(crate) fn apply(document: &mut Value, report: &mut Report<'_>) -> Result<(), Refusal> {
    each_operation(document, |pointer, _, method, operation| {
        let pointer = format!("{pointer}/responses");
        let Some(responses) = object_mut(operation, "responses") else {
            return;
        };
        for (status, response) in responses.iter_mut() {
            let response = response.as_object_mut().expect("a well-formed answer");
            response.retain(|key, _| {
                ["description", "content"].contains(&key.as_str()) || key.starts_with("x-")
            });
            if !response.contains_key("description") {
                response.insert("description".into(), json!(""));
                let place = format!("{pointer}/{status}");
                report.note(place, "no description", "an empty one");
            }
        }
        upper_case_ranges(responses);
        success_is_named(responses, &pointer, report);
        let bodiless = method == "head";
        for (status, response) in successes(responses) {
            one_media_type(
                response,
                status,
                bodiless,
                &format!("{pointer}/{status}"),
                report,
            );
        }
        one_shape(responses, &pointer, report);
    });
    Ok(())
}

/// Marks a response without a declared body until the others are known.
const UNDECLARED: &str = "x-undeclared";

fn upper_case_ranges(responses: &mut Map<String, Value>) {
    let odd: Vec<_> = responses
        .keys()
        .filter(|status| status.ends_with("xx"))
        .cloned()
        .collect();
    for status in odd {
        let response = responses.remove(&status).expect("just listed");
        responses.entry(status.to_uppercase()).or_insert(response);
    }
}

fn success_is_named(responses: &mut Map<String, Value>, pointer: &str, report: &mut Report<'_>) {
    if responses.keys().any(|status| status.starts_with('2')) {
        return;
    }
    let redirects = responses.keys().any(|status| status.starts_with('3'));
    // Next to a redirect, which is a response too, `default` is the error.
    if redirects {
        return;
    }
    match responses.remove("default") {
        Some(response) => {
            report.note(pointer, "default alone", "2XX");
            responses.insert("2XX".into(), response);
        }
        None => {
            report.note(pointer, "no success", "2XX, any JSON");
            responses.insert("2XX".into(), json!({"description": ""}));
        }
    }
}

fn successes(responses: &mut Map<String, Value>) -> impl Iterator<Item = (&String, &mut Value)> {
    responses
        .iter_mut()
        .filter(|(status, _)| status.starts_with('2'))
}

fn one_media_type(
    response: &mut Value,
    status: &str,
    bodiless: bool,
    pointer: &str,
    report: &mut Report<'_>,
) {
    let object = response.as_object_mut().expect("a well-formed answer");
    if bodiless || BODILESS.contains(&status) {
        if object.remove("content").is_some() {
            report.note(pointer, "a body", "none, this answer has none");
        }
        return;
    }
    let content = object.get("content").and_then(Value::as_object);
    let names: Vec<String> = content
        .into_iter()
        .flatten()
        .map(|(name, _)| name.clone())
        .collect();
    let before = if names.is_empty() {
        "no body declared".to_string()
    } else {
        names.join(", ")
    };
    let json = content
        .into_iter()
        .flatten()
        .find(|(name, _)| is_json(name));
    let (name, media) = match json {
        Some((_, media)) => ("application/json".to_string(), with_schema(media)),
        None => match names.first() {
            Some(first) => (
                first.clone(),
                json!({"schema": {"type": "string", "format": "binary"}}),
            ),
            None => ("application/json".into(), json!({"schema": {}})),
        },
    };
    if names.is_empty() {
        object.insert(UNDECLARED.into(), json!(true));
    }
    let after = json!({ name.clone(): media });
    if object.get("content") != Some(&after) {
        if before != name {
            let shape = if after[&name]["schema"] == json!({}) {
                "any JSON"
            } else {
                &name
            };
            report.note(pointer, before, shape);
        } else {
            report.note(
                pointer,
                "a body that is not ours to type",
                "typed from what is known",
            );
        }
        object.insert("content".into(), after);
    }
}

/// Chooses the type that all different success responses match.
fn one_shape(responses: &mut Map<String, Value>, pointer: &str, report: &mut Report<'_>) {
    let shape = |response: &Value| match response["content"].as_object() {
        None => "nothing".to_string(),
        Some(content) => {
            let (name, media) = content.iter().next().expect("one media type");
            if is_json(name) {
                media["schema"].to_string()
            } else {
                "bytes".into()
            }
        }
    };
    // A response without a declared body is assumed to be like the declared ones.
    let declared = successes(responses)
        .filter(|(_, response)| response.get(UNDECLARED).is_none())
        .find_map(|(_, response)| response.get("content").cloned());
    for (status, response) in successes(responses) {
        if let (Some(_), Some(declared)) = (take(response, UNDECLARED), &declared) {
            response["content"] = declared.clone();
            let place = format!("{pointer}/{status}");
            report.note(place, "no body declared", "as the other success");
        }
    }
    let shapes = distinct(successes(responses).map(|(_, response)| shape(response)));
    if shapes.len() < 2 {
        return;
    }
    let bytes = shapes.iter().any(|shape| shape == "bytes");
    let (name, schema, word) = if bytes {
        (
            "application/octet-stream",
            json!({"type": "string", "format": "binary"}),
            "bytes",
        )
    } else {
        ("application/json", json!({}), "any JSON")
    };
    let statuses: Vec<String> = successes(responses)
        .map(|(status, _)| status.clone())
        .collect();
    report.note(pointer, format!("{} differ", statuses.join(", ")), word);
    for (status, response) in successes(responses) {
        if BODILESS.contains(&status.as_str()) {
            continue;
        }
        let example = response["content"].as_object().and_then(|content| {
            let media = content.values().next()?;
            media.get("example").cloned()
        });
        let mut media = json!({ "schema": schema });
        if let (Some(example), false) = (example, bytes) {
            media["example"] = example;
        }
        response["content"] = json!({ name: media });
    }
    let statuses = statuses
        .iter()
        .filter(|status| BODILESS.contains(&status.as_str()));
    for status in statuses {
        responses.remove(status);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::normalize::report::check;

    fn answers(responses: Value) -> Value {
        let (document, _) = check(
            apply,
            json!({"paths": {"/a": {"get": {"responses": responses}}}}),
        );
        document["paths"]["/a"]["get"]["responses"].clone()
    }

    fn schema(responses: &Value, status: &str) -> Value {
        responses[status]["content"]["application/json"]["schema"].clone()
    }

    #[test]
    fn json_by_any_name_is_json() {
        for name in [
            "application/json; charset=utf-8",
            "*/*",
            "application/vnd.api+json",
        ] {
            let after = answers(
                json!({"200": {"description": "", "content": {name: {"schema": {"type": "string"}}, "text/csv": {}}}}),
            );
            assert_eq!(schema(&after, "200"), json!({"type": "string"}), "{name}");
        }
    }

    #[test]
    fn two_shapes_become_any_json() {
        let after = answers(json!({
            "200": {"content": {"application/json": {"schema": {"type": "string"}}}},
            "201": {"content": {"application/json": {"schema": {"type": "integer"}}}},
            "204": {"description": "none"},
        }));
        assert_eq!(schema(&after, "200"), json!({}));
        assert_eq!(schema(&after, "201"), json!({}));
        assert_eq!(after["204"], Value::Null);
    }

    #[test]
    fn a_response_without_schema_is_typed_by_its_example_or_open() {
        let after =
            answers(json!({"200": {"content": {"application/json": {"example": {"a": true}}}}}));
        assert_eq!(schema(&after, "200")["properties"]["a"]["type"], "boolean");
        assert_eq!(
            schema(&answers(json!({"200": {"description": "d"}})), "200"),
            json!({})
        );
    }

    #[test]
    fn other_media_are_bytes_and_no_content_has_none() {
        let after = answers(json!({"200": {"content": {"application/pdf": {}}}}));
        assert_eq!(
            after["200"]["content"]["application/pdf"]["schema"]["format"],
            "binary"
        );
        let after =
            answers(json!({"204": {"description": "", "content": {"application/json": {}}}}));
        assert_eq!(after["204"], json!({"description": ""}));
    }

    #[test]
    fn a_success_without_a_body_is_like_the_declared_one() {
        let after = answers(json!({
            "200": {"content": {"application/json": {"schema": {"type": "string"}}}},
            "202": {"description": "accepted"},
        }));
        assert_eq!(schema(&after, "202"), json!({"type": "string"}));
        assert_eq!(after["202"].get("x-undeclared"), None);
    }

    #[test]
    fn default_alone_is_the_success() {
        let after = answers(
            json!({"default": {"content": {"application/json": {"schema": {"type": "string"}}}}}),
        );
        assert_eq!(schema(&after, "2XX"), json!({"type": "string"}));
    }
}
