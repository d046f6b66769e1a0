//! Calls that do not match the document.

use fullscript::http::Method;
use fullscript::testing::FakeFullscript;
use serde_json::{Value, json};

/// Returns the fake's error messages for a call.
async fn messages(fake: &FakeFullscript, method: Method, target: &str, body: Value) -> Vec<String> {
    let client = fake.client();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut call = client.request(method, path);
    for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
        call = call.query(name, value);
    }
    if !body.is_null() {
        call = call.json(&body);
    }
    match call.send::<Value>().await {
        Ok(_) => Vec::new(),
        Err(error) => {
            assert!(error.is_validation(), "{error}");
            error.messages().iter().map(ToString::to_string).collect()
        }
    }
}

#[tokio::test]
async fn each_kind_of_fault_is_explained() {
    let fake = FakeFullscript::start().await.unwrap();
    let plan = format!(
        "/api/clinic/patients/{}/treatment_plans",
        fake.patients()[0]["id"].as_str().unwrap()
    );
    let patient = |field: &str, value: Value| {
        let mut body = json!({"first_name": "A", "last_name": "B", "email": "a@example.com"});
        body[field] = value;
        body
    };
    for (method, target, body, expected) in [
        (
            Method::GET,
            "/api/clinic/patients?page[sizes]=5",
            Value::Null,
            "`page[sizes]` is not a parameter of list_patients; its parameters: page[number], page[size], patient_type",
        ),
        (
            Method::GET,
            "/api/clinic?verbose=1",
            Value::Null,
            "`verbose` is not a parameter of get_clinic, which has none",
        ),
        (
            Method::GET,
            "/api/clinic/patients?page[number]=two",
            Value::Null,
            "`page[number]` must be an integer",
        ),
        (
            Method::GET,
            "/api/clinic/patients?page[number]=0",
            Value::Null,
            "`page[number]` must be an integer of at least 1",
        ),
        (
            Method::GET,
            "/api/clinic/patients?patient_type=child",
            Value::Null,
            "`patient_type` must be one of all, dependent, guardian",
        ),
        (
            Method::GET,
            "/api/clinic/patients?patient_type=all&patient_type=all",
            Value::Null,
            "`patient_type` is given more than once for list_patients",
        ),
        (
            Method::POST,
            "/api/clinic/patients",
            json!({"first_name": "A", "last_name": "B"}),
            "`email` is missing: create_patient requires this field",
        ),
        (
            Method::POST,
            "/api/clinic/patients",
            patient("fist_name", json!("A")),
            "`fist_name` is not a field of the body of create_patient; its fields: \
             date_of_birth, discount, email, first_name, gender, last_name, metadata, \
             mobile_number, send_welcome_email",
        ),
        (
            Method::POST,
            "/api/clinic/patients",
            patient("mobile_number", json!(12_223_334)),
            "`mobile_number` must be a string",
        ),
        (
            Method::POST,
            "/api/clinic/patients",
            patient("gender", json!("unknown")),
            "`gender` must be one of male, female, x",
        ),
        (
            Method::POST,
            "/api/clinic/patients",
            patient("date_of_birth", json!("12/01/1977")),
            "`date_of_birth` must be in the format date, such as 1977-01-12",
        ),
        (
            Method::POST,
            "/api/clinic/patients",
            patient("discount", json!([])),
            "`discount` must be a number or a string",
        ),
        (
            Method::POST,
            "/api/clinic/patients",
            patient("metadata", json!({"ids": "1"})),
            "`metadata.ids` is not a field of the body of create_patient; its fields: id",
        ),
        (
            Method::GET,
            "/api/clinic",
            json!({"verbose": true}),
            "get_clinic accepts no body",
        ),
        (
            Method::POST,
            "/api/clinic/patients",
            Value::Null,
            "create_patient requires a JSON body",
        ),
        (
            Method::POST,
            &plan,
            json!({"state": "draft", "recommendations": [{"variant_id": "1"}]}),
            "`recommendations[0].units_to_purchase` is missing: create_treatment_plan requires this field",
        ),
        (
            Method::POST,
            &plan,
            json!({"state": "draft", "recommendations": [{"variant_id": "1", "units_to_purchase": 1,
                "dosage": {"amounts": "1"}}]}),
            "`recommendations[0].dosage.amounts` is not a field of the body of \
             create_treatment_plan; its fields: additional_info, amount, duration, format, \
             frequency, time_of_day",
        ),
    ] {
        let actual = messages(&fake, method, target, body).await;
        assert_eq!(actual, [expected], "{target}");
    }
    assert_eq!(fake.patients().len(), 1);
}

#[tokio::test]
async fn all_faults_of_a_call_are_reported_together() {
    let fake = FakeFullscript::start().await.unwrap();
    let body = json!({"first_name": 1, "gender": "unknown"});
    let actual = messages(&fake, Method::POST, "/api/clinic/patients?dry_run=1", body).await;
    assert_eq!(actual.len(), 5, "{actual:?}");
}

#[tokio::test]
async fn a_refusal_holds_no_value_of_the_body() {
    let fake = FakeFullscript::start().await.unwrap();
    let body = json!({"first_name": ["PLANTED"], "email": {"PLANTED": 1}, "gender": "PLANTED", "date_of_birth": "PLANTED"});
    let actual = messages(&fake, Method::POST, "/api/clinic/patients", body).await;
    assert!(
        !actual.is_empty() && !actual.concat().contains("PLANTED"),
        "{actual:?}"
    );
}

#[tokio::test]
async fn a_lenient_fake_accepts_calls_that_the_document_forbids() {
    let fake = FakeFullscript::builder().lenient().start().await.unwrap();
    let actual = messages(
        &fake,
        Method::GET,
        "/api/clinic/patients?page[sizes]=5",
        Value::Null,
    )
    .await;
    assert!(actual.is_empty(), "{actual:?}");
    let body = json!({"first_name": "A", "last_name": "B", "email": "a@example.com", "new": 1});
    let actual = messages(&fake, Method::POST, "/api/clinic/patients", body).await;
    assert!(actual.is_empty(), "{actual:?}");
    assert_eq!(fake.patients().len(), 2);
}
