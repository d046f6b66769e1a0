//! Calls that are not as the document has them.

use fullscript::http::Method;
use fullscript::testing::FakeFullscript;
use serde_json::{Value, json};

/// What the fake says of a call.
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
            "`page[sizes]` is not a parameter of list_patients; it knows page[number], page[size], patient_type",
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
            "`page[number]` has to be a whole number",
        ),
        (
            Method::GET,
            "/api/clinic/patients?page[number]=0",
            Value::Null,
            "`page[number]` is a whole number, 1 or more",
        ),
        (
            Method::GET,
            "/api/clinic/patients?patient_type=child",
            Value::Null,
            "`patient_type` has to be one of all, dependent, guardian",
        ),
        (
            Method::GET,
            "/api/clinic/patients?patient_type=all&patient_type=all",
            Value::Null,
            "`patient_type` is given twice; list_patients takes it once",
        ),
        (
            Method::POST,
            "/api/clinic/patients",
            json!({"first_name": "A", "last_name": "B"}),
            "`email` is missing: create_patient needs this field",
        ),
        (
            Method::POST,
            "/api/clinic/patients",
            patient("fist_name", json!("A")),
            "`fist_name` is not a field of the body of create_patient; known there: \
             date_of_birth, discount, email, first_name, gender, last_name, metadata, \
             mobile_number, send_welcome_email",
        ),
        (
            Method::POST,
            "/api/clinic/patients",
            patient("mobile_number", json!(12_223_334)),
            "`mobile_number` has to be text",
        ),
        (
            Method::POST,
            "/api/clinic/patients",
            patient("gender", json!("unknown")),
            "`gender` has to be one of male, female, x",
        ),
        (
            Method::POST,
            "/api/clinic/patients",
            patient("date_of_birth", json!("12/01/1977")),
            "`date_of_birth` has to be in the format date, such as 1977-01-12",
        ),
        (
            Method::POST,
            "/api/clinic/patients",
            patient("discount", json!([])),
            "`discount` has to be a number or text",
        ),
        (
            Method::POST,
            "/api/clinic/patients",
            patient("metadata", json!({"ids": "1"})),
            "`metadata.ids` is not a field of the body of create_patient; known there: id",
        ),
        (
            Method::GET,
            "/api/clinic",
            json!({"verbose": true}),
            "get_clinic takes no body",
        ),
        (
            Method::POST,
            "/api/clinic/patients",
            Value::Null,
            "create_patient needs a body in JSON",
        ),
        (
            Method::POST,
            &plan,
            json!({"state": "draft", "recommendations": [{"variant_id": "1"}]}),
            "`recommendations[0].units_to_purchase` is missing: create_treatment_plan needs this field",
        ),
        (
            Method::POST,
            &plan,
            json!({"state": "draft", "recommendations": [{"variant_id": "1", "units_to_purchase": 1,
                "dosage": {"amounts": "1"}}]}),
            "`recommendations[0].dosage.amounts` is not a field of the body of \
             create_treatment_plan; known there: additional_info, amount, duration, format, \
             frequency, time_of_day",
        ),
    ] {
        let told = messages(&fake, method, target, body).await;
        assert_eq!(told, [expected], "{target}");
    }
    assert_eq!(fake.patients().len(), 1);
}

#[tokio::test]
async fn all_faults_of_a_call_are_told_at_once() {
    let fake = FakeFullscript::start().await.unwrap();
    let body = json!({"first_name": 1, "gender": "unknown"});
    let told = messages(&fake, Method::POST, "/api/clinic/patients?dry_run=1", body).await;
    assert_eq!(told.len(), 5, "{told:?}");
}

#[tokio::test]
async fn a_refusal_holds_no_value_of_the_body() {
    let fake = FakeFullscript::start().await.unwrap();
    let body = json!({"first_name": ["PLANTED"], "email": {"PLANTED": 1}, "gender": "PLANTED", "date_of_birth": "PLANTED"});
    let told = messages(&fake, Method::POST, "/api/clinic/patients", body).await;
    assert!(
        !told.is_empty() && !told.concat().contains("PLANTED"),
        "{told:?}"
    );
}

#[tokio::test]
async fn a_lenient_fake_takes_what_the_document_does_not_know() {
    let fake = FakeFullscript::builder().lenient().start().await.unwrap();
    let told = messages(
        &fake,
        Method::GET,
        "/api/clinic/patients?page[sizes]=5",
        Value::Null,
    )
    .await;
    assert!(told.is_empty(), "{told:?}");
    let body = json!({"first_name": "A", "last_name": "B", "email": "a@example.com", "new": 1});
    let told = messages(&fake, Method::POST, "/api/clinic/patients", body).await;
    assert!(told.is_empty(), "{told:?}");
    assert_eq!(fake.patients().len(), 2);
}
