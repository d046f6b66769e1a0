//! Results conform to the schema of their tool, whatever the server sends.

use std::collections::BTreeSet;

use fullscript::testing::{FakeFullscript, Script};
use fullscript::tools;
use serde_json::{Value, json};

use super::{compiled, example, walk};

#[tokio::test]
async fn a_scalar_of_another_type_is_converted_or_null() {
    let fake = FakeFullscript::start().await.unwrap();
    let client = fake.client();
    let sent = json!({"patients": [{
        "id": 7,
        "first_name": true,
        "is_dependent": "1",
        "archived": 0,
        "last_name": ["x"],
        "email": {"x": 1},
        "new_field": [1],
    }], "meta": {"total_count": "12", "current_page": "one", "total_pages": {}}});
    fake.answer("list_patients", Script::json(200, &sent));
    let page = client.invoke("list_patients", json!({})).await.unwrap();
    let patient = &page["patients"][0];
    assert_eq!(patient["id"], "7");
    assert_eq!(patient["first_name"], "true");
    assert_eq!(patient["last_name"], Value::Null);
    assert_eq!(patient["email"], Value::Null);
    assert_eq!(patient["new_field"], json!([1]));
    assert_eq!(
        page["meta"],
        json!({"total_count": 12, "current_page": null, "total_pages": null})
    );
}

#[tokio::test]
async fn a_result_that_is_no_object_is_a_decode_error() {
    let fake = FakeFullscript::start().await.unwrap();
    for body in [json!([]), json!("text"), json!(7)] {
        fake.answer("get_clinic", Script::json(200, &body));
        let result = fake.client().invoke("get_clinic", json!({})).await;
        assert!(result.unwrap_err().is_decode(), "{body}");
    }
    for empty in [Script::json(200, &json!(null)), Script::html(200, "")] {
        fake.answer("get_clinic", empty);
        let result = fake.client().invoke("get_clinic", json!({})).await;
        assert!(result.unwrap_err().is_empty_success());
    }
}

/// Replaces each value of a full result of each tool by values of other types.
#[tokio::test]
async fn each_changed_result_conforms_to_its_schema() {
    let fake = FakeFullscript::builder().stateless().start().await.unwrap();
    let client = fake.client();
    let set = super::all_tools();
    let mut seen = BTreeSet::new();
    for tool in tools::all() {
        let Some(schema) = tool.output_schema() else {
            continue;
        };
        if !seen.insert(schema.to_string()) {
            continue;
        }
        let (schemas, index) = compiled(schema);
        let arguments = example(tool.input_schema(), false);
        for value in [json!("x"), json!(7), json!([{}])] {
            // One change for each depth, from the outside to the inside.
            for depth in 0..3 {
                let mut sent = example(schema, true);
                replace(&mut sent, depth, &value);
                fake.answer(tool.name(), Script::json(200, &sent));
                let result = set.invoke(&client, tool.name(), arguments.clone()).await;
                let result = result.unwrap().into_inner();
                let judged = schemas
                    .validate(&result, index)
                    .map_err(|error| error.to_string());
                assert_eq!(judged, Ok(()), "{}: {sent}", tool.name());
            }
        }
    }
}

/// Replaces all values below `depth` objects.
fn replace(value: &mut Value, depth: usize, by: &Value) {
    match value {
        Value::Object(fields) => {
            for value in fields.values_mut() {
                if depth == 0 {
                    *value = by.clone();
                } else {
                    replace(value, depth - 1, by);
                }
            }
        }
        Value::Array(values) => values
            .iter_mut()
            .for_each(|value| replace(value, depth, by)),
        _ => {}
    }
}

#[test]
fn each_field_of_a_result_may_be_null_and_new_fields_are_allowed() {
    for schema in tools::all().iter().filter_map(tools::Tool::output_schema) {
        walk(schema, 1, &mut |schema, _| {
            assert_ne!(schema["additionalProperties"], false);
            assert!(schema.get("required").or(schema.get("enum")).is_none());
            for (name, property) in schema["properties"].as_object().into_iter().flatten() {
                assert_eq!(super::mismatch(&Value::Null, property), None, "{name}");
            }
        });
    }
}
