//! Arguments are validated before anything is sent, as an independent validator does.

use std::collections::BTreeSet;
use std::time::Duration;

use boon::{SchemaIndex, Schemas};
use fullscript::testing::FakeFullscript;
use fullscript::tools::{self, ToolSet};
use fullscript::{CallOptions, Client};
use serde_json::{Value, json};

use super::{all_tools, compiled, example};

/// A text that no schema contains.
const VALUE: &str = "Zq9 Jane";

/// A client whose calls end before they are sent, if their arguments are valid.
async fn unsent() -> (FakeFullscript, Client) {
    let fake = FakeFullscript::start().await.unwrap();
    let expired = CallOptions::new().timeout(Duration::ZERO);
    let client = fake.client().with_options(expired);
    (fake, client)
}

/// Returns what is wrong with the arguments of a tool.
async fn fault(client: &Client, name: &str, arguments: Value) -> Option<String> {
    let result = all_tools().invoke(client, name, arguments).await;
    let error = result.unwrap_err();
    error.is_invalid_request().then(|| {
        let text = error.to_string();
        text.strip_prefix(&format!("{name}: not sent: "))
            .unwrap()
            .to_string()
    })
}

#[tokio::test]
async fn a_message_names_what_to_change_and_contains_no_value() {
    let (fake, client) = unsent().await;
    let plan = |plan: Value| json!({"patient_id": "1", "body": plan});
    let recommendation = json!({"variant_id": "1", "units_to_purchase": 1});
    for (name, arguments, expected) in [
        ("get_patient", json!({}), "`id` is missing"),
        ("get_patient", json!({"id": null}), "`id` must be a string"),
        ("get_patient", json!({"id": 7}), "`id` must be a string"),
        (
            "get_patient",
            json!({"id": ""}),
            "`id` must not be empty or dots",
        ),
        (
            "get_patient",
            json!({"id": ".."}),
            "`id` must not be empty or dots",
        ),
        (
            "get_patient",
            json!({"id": "1", VALUE: VALUE}),
            "the object of arguments has a field that is unknown; its fields: id",
        ),
        (
            "get_patient",
            json!(VALUE),
            "the object of arguments must be an object",
        ),
        (
            "get_clinic",
            json!({"id": "1"}),
            "the object of arguments accepts no field",
        ),
        (
            "list_patients",
            json!({"page_size": VALUE}),
            "`page_size` must be an integer",
        ),
        (
            "list_patients",
            json!({"page_size": 1.5}),
            "`page_size` must be an integer",
        ),
        (
            "list_patients",
            json!({"patient_type": VALUE}),
            "`patient_type` must be one of all, dependent, guardian",
        ),
        (
            "search_products",
            json!({"allergen_ids": ["1", 2]}),
            "`allergen_ids[1]` must be a string",
        ),
        (
            "create_treatment_plan",
            plan(json!({"state": "sent", "recommendations": [{"variant_id": VALUE}]})),
            "`body.recommendations[0].units_to_purchase` is missing; `body.state` must be one of \
             draft, active",
        ),
        (
            "create_treatment_plan",
            plan(
                json!({"state": "draft", "recommendations": [recommendation], "personal_message": [VALUE]}),
            ),
            "`body.personal_message` must be a string",
        ),
        (
            "update_patient",
            json!({"id": "1", "body": {"date_of_birth": "12.01.1977"}}),
            "`body.date_of_birth` must be a date such as 1977-01-12",
        ),
    ] {
        let found = fault(&client, name, arguments).await;
        assert_eq!(found.as_deref(), Some(expected), "{name}");
    }
    assert!(fake.requests().is_empty());
}

#[tokio::test]
async fn an_id_that_leads_to_another_operation_is_not_sent() {
    let (fake, client) = unsent().await;
    let found = fault(&client, "get_event", json!({"id": "orders"})).await;
    let expected = "an id in the path is empty or leads to another operation";
    assert!(found.unwrap().contains(expected));
    // A slash, a backslash and a percent sign stay within their segment.
    for id in ["1/../2", "1\\..\\2", "%2e%2e", "{id}", "1?x=1#y", "é"] {
        assert_eq!(
            fault(&client, "get_patient", json!({ "id": id })).await,
            None,
            "{id}"
        );
    }
    assert!(fake.requests().is_empty());
}

/// Changes each place of valid arguments in several ways, and compares the result with boon.
#[tokio::test]
async fn each_change_of_valid_arguments_is_judged_as_by_boon() {
    let (_fake, client) = unsent().await;
    let set = all_tools();
    let (mut valid, mut invalid) = (0, 0);
    let mut seen = BTreeSet::new();
    for tool in tools::all() {
        if !seen.insert(tool.input_schema().to_string()) {
            continue;
        }
        let (schemas, index) = compiled(tool.input_schema());
        let mut check = async |arguments: Value| {
            let is_valid = judge(&set, &client, tool.name(), arguments, (&schemas, index)).await;
            if is_valid {
                valid += 1;
            } else {
                invalid += 1;
            }
        };
        for with_all in [false, true] {
            let arguments = example(tool.input_schema(), with_all);
            check(arguments.clone()).await;
            let mut places = vec![];
            pointers(&arguments, "", &mut places);
            for place in &places {
                for value in [
                    json!(true),
                    json!(7),
                    json!(1.5),
                    json!(2.0),
                    json!(VALUE),
                    json!([]),
                    json!([[VALUE]]),
                    json!({}),
                    json!({VALUE: VALUE}),
                ] {
                    let mut changed = arguments.clone();
                    *changed.pointer_mut(place).unwrap() = value;
                    check(changed).await;
                }
                let mut changed = arguments.clone();
                let (parent, name) = place.rsplit_once('/').unwrap_or_default();
                if let Some(parent) = changed.pointer_mut(parent).and_then(Value::as_object_mut) {
                    parent.remove(name);
                    parent.insert(VALUE.into(), VALUE.into());
                    check(changed).await;
                }
            }
        }
    }
    assert!(valid > 300 && invalid > 2_000, "{valid} {invalid}");
}

/// Returns whether arguments are valid, after comparing with boon.
async fn judge(
    set: &ToolSet,
    client: &Client,
    name: &str,
    arguments: Value,
    (schemas, index): (&Schemas, SchemaIndex),
) -> bool {
    let expected = schemas.validate(&arguments, index).is_ok();
    let error = set
        .invoke(client, name, arguments.clone())
        .await
        .unwrap_err();
    let found = !error.is_invalid_request();
    assert_eq!(found, expected, "{name}: {error}: {arguments}");
    for shown in [error.to_string(), format!("{error:?}")] {
        assert!(!shown.contains(VALUE), "{shown}");
    }
    found
}

fn pointers(value: &Value, at: &str, found: &mut Vec<String>) {
    if !at.is_empty() {
        found.push(at.into());
    }
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                pointers(value, &format!("{at}/{name}"), found);
            }
        }
        Value::Array(values) => {
            for (index, value) in values.iter().enumerate() {
                pointers(value, &format!("{at}/{index}"), found);
            }
        }
        _ => {}
    }
}
