//! A call by name is the typed call.

use std::collections::BTreeMap;

use fullscript::testing::{FakeFullscript, FakeRequest};
use fullscript::tools::{self, ToolSet};
use fullscript::types::{CreatePatientRequest, CreateTreatmentPlanRequest, RecommendationInput};
use fullscript::{CallOptions, ErrorKind};
use serde_json::{Value, json};

use super::{all_tools, example};

async fn stateless() -> FakeFullscript {
    let fake = FakeFullscript::builder().stateless();
    fake.start().await.unwrap()
}

/// The parts of a request that a server sees, without what differs in each call.
fn seen(request: &FakeRequest) -> Value {
    let headers = request.headers.iter().cloned();
    let headers = headers.filter(|(name, _)| name != "content-length");
    json!({
        "method": request.method,
        "target": request.target,
        "body": request.body,
        "headers": headers.collect::<BTreeMap<_, _>>(),
    })
}

#[tokio::test]
async fn a_call_by_name_sends_what_the_typed_call_sends() {
    let fake = stateless().await;
    let client = fake.client();
    let set = all_tools();
    let plan = CreateTreatmentPlanRequest::draft([RecommendationInput::new("v-1", 2)]);
    let patient = CreatePatientRequest::new("a@example.com", "A", "B")
        .send_welcome_email(false)
        .discount(12);
    client.get_clinic().await.unwrap();
    client.get_patient().id("a/b c").await.unwrap();
    client
        .list_patients()
        .page_size(5)
        .page_number(2)
        .await
        .unwrap();
    client
        .search_products()
        .allergen_ids(["1", "2"])
        .await
        .unwrap();
    client.create_patient().body(patient).await.unwrap();
    client
        .create_treatment_plan()
        .patient_id("1")
        .body(plan)
        .await
        .unwrap();
    client.cancel_treatment_plan().id("1").await.unwrap();
    let removed = client.delete_practitioner_resource();
    removed.practitioner_id("1").id("2").await.unwrap();
    let typed: Vec<Value> = fake.requests().iter().map(seen).collect();
    for (name, arguments) in [
        ("get_clinic", json!(null)),
        ("get_patient", json!({"id": "a/b c"})),
        (
            "list_patients",
            json!({"page_size": 5.0, "page_number": 2, "patient_type": null}),
        ),
        ("search_products", json!({"allergen_ids": ["1", "2"]})),
        (
            "create_patient",
            json!({"body": {
                "email": "a@example.com", "first_name": "A", "last_name": "B",
                "send_welcome_email": false, "discount": 12, "gender": null,
            }}),
        ),
        (
            "create_treatment_plan",
            json!({"patient_id": "1", "body": {"state": "draft", "recommendations": [
                {"variant_id": "v-1", "units_to_purchase": 2},
            ]}}),
        ),
        ("cancel_treatment_plan", json!({"id": "1"})),
        (
            "delete_practitioner_resource",
            json!({"practitioner_id": "1", "id": "2"}),
        ),
    ] {
        let result = set.invoke(&client, name, arguments).await;
        result.unwrap_or_else(|error| panic!("{error} {:?}", error.messages()));
    }
    let by_name: Vec<Value> = fake.requests()[typed.len()..].iter().map(seen).collect();
    assert_eq!(by_name, typed);
}

#[tokio::test]
async fn each_tool_is_accepted_with_the_arguments_of_its_schema() {
    let fake = stateless().await;
    let client = fake.client();
    let set = all_tools();
    for tool in tools::all() {
        for with_all in [false, true] {
            let arguments = example(tool.input_schema(), with_all);
            let result = set.invoke(&client, tool.name(), arguments).await;
            let result = result.unwrap_or_else(|error| panic!("{error} {:?}", error.messages()));
            let value = result.into_inner();
            match tool.output_schema() {
                Some(schema) => assert_eq!(super::mismatch(&value, schema), None),
                None => assert_eq!(value, json!({})),
            }
        }
        assert_eq!(fake.count(tool.name()), 2);
    }
}

#[tokio::test]
async fn only_tools_of_the_list_are_called_and_writes_are_allowed_one_by_one() {
    let fake = stateless().await;
    let client = fake.client();
    let arguments = |name: &str| example(tools::find(name).unwrap().input_schema(), false);
    for tool in tools::all() {
        let read_only = ToolSet::default().find(tool.name()).is_some();
        assert_eq!(
            read_only,
            tool.operation().method == "GET",
            "{}",
            tool.name()
        );
    }
    let refused = client
        .invoke("create_patient", arguments("create_patient"))
        .await;
    let error = refused.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidRequest);
    assert_eq!(
        error.to_string(),
        "create_patient: not sent: the operation is not allowed; use another tool, or allow it \
         with `ToolSet::allow`"
    );
    let one = ToolSet::empty().allow("create_patient").unwrap();
    one.invoke(&client, "create_patient", arguments("create_patient"))
        .await
        .unwrap();
    assert!(one.invoke(&client, "get_clinic", json!({})).await.is_err());
    let without = ToolSet::read_only().forbid("get_clinic").unwrap();
    assert!(
        without
            .invoke(&client, "get_clinic", json!({}))
            .await
            .is_err()
    );
    let names: Vec<_> = one.tools().map(tools::Tool::name).collect();
    assert_eq!(names, ["create_patient"]);
    // Secrets are never the result of a tool, and a text of a model is not repeated.
    for name in [
        "create_oauth_token",
        "revoke_oauth_token",
        "create_session_grant",
        "Jane Doe",
        "",
    ] {
        assert!(tools::find(name).is_none());
        assert!(ToolSet::read_only().allow(name).is_err());
        assert!(ToolSet::read_only().forbid(name).is_err());
        let error = all_tools()
            .invoke(&client, name, json!({}))
            .await
            .unwrap_err();
        assert_eq!(error.to_string(), "not sent: no tool has this name");
    }
    assert_eq!(fake.requests().len(), 1);
}

#[tokio::test]
async fn a_call_by_name_has_the_errors_and_the_keys_of_a_typed_call() {
    let fake = FakeFullscript::builder()
        .scopes(["clinic:read"])
        .not_approved()
        .start()
        .await
        .unwrap();
    let client = fake.client();
    let text = |error: &fullscript::Error| {
        let text = error.to_string();
        text.split(", request id").next().unwrap().to_string()
    };
    for (name, typed) in [
        ("list_patients", client.list_patients().await.unwrap_err()),
        ("list_products", client.list_products().await.unwrap_err()),
    ] {
        let by_name = client.invoke(name, json!({})).await.unwrap_err();
        assert_eq!(by_name.kind(), typed.kind());
        assert_eq!(by_name.missing_scopes(), typed.missing_scopes());
        assert_eq!(by_name.needs_approval(), typed.needs_approval());
        assert_eq!(text(&by_name), text(&typed));
    }
    let key = CallOptions::new().idempotency_key("key-1");
    let arguments = example(tools::find("create_patient").unwrap().input_schema(), false);
    let set = all_tools();
    let _refused = set
        .invoke(&client.with_options(key), "create_patient", arguments)
        .await;
    let sent = &fake.requests_for("create_patient")[0];
    let sent = sent
        .headers
        .iter()
        .find(|(name, _)| name == "idempotency-key");
    assert_eq!(sent.unwrap().1, "key-1");
}
