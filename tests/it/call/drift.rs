//! Reports of differences between responses and the document.

use std::sync::{Arc, Mutex};

use fullscript::operations;
use fullscript::reqwest::Method;
use fullscript::testing::{Drift, FakeFullscript, Script};
use fullscript::{CallOptions, Client, DriftKind, DriftReport};
use serde_json::{Value, json};

type Drifts = Arc<Mutex<Vec<DriftReport>>>;

fn watching(fake: &FakeFullscript) -> (Client, Drifts) {
    let drifts = Drifts::default();
    let seen = Arc::clone(&drifts);
    let client = fake
        .client_builder()
        .on_drift(move |drift| seen.lock().unwrap().push(drift.clone()))
        .build()
        .unwrap();
    (client, drifts)
}

fn texts(drifts: &Drifts) -> Vec<String> {
    let mut drifts = drifts.lock().unwrap();
    drifts.drain(..).map(|drift| drift.to_string()).collect()
}

#[tokio::test]
async fn each_difference_is_reported_once_with_its_path_and_without_its_value() {
    let fake = FakeFullscript::start().await.unwrap();
    let (client, drifts) = watching(&fake);
    let patient = |id: &str| {
        json!({
            "id": id, "gender": "Secret", "is_dependent": ["Secret", "Secret"],
            "metadata": {"id": "1", "data": {"Secret": "Secret", "any": {"key": 1}}},
            "pronouns": "Secret", "address": {"street": "Secret"}, "Secret Name": 1,
        })
    };
    let body = json!({
        "patients": [patient("1"), patient("2"), {"first_name": "Secret"}],
        "meta": {"current_page": 1, "cursor": "Secret"},
    });
    fake.answer("list_patients", Script::json(200, &body));
    for _ in 0..3 {
        client.list_patients().await.unwrap();
    }
    client
        .request(Method::GET, "/api/clinic/patients")
        .send::<Value>()
        .await
        .unwrap();
    let shown = texts(&drifts);
    assert_eq!(
        shown,
        [
            "list_patients: `meta.cursor`: unknown field (text)",
            "list_patients: `patients[].*`: unknown field (a number)",
            "list_patients: `patients[].address`: unknown field (an object)",
            "list_patients: `patients[].gender`: unknown value",
            "list_patients: `patients[].id`: a required field is missing",
            "list_patients: `patients[].is_dependent`: expected a boolean, found a list",
            "list_patients: `patients[].metadata.data`: unknown field (an object)",
            "list_patients: `patients[].pronouns`: unknown field (text)",
        ]
    );
    // The same difference of another operation is another one.
    let body = json!({"patient": patient("1")});
    fake.answer("get_patient", Script::json(200, &body));
    client.get_patient().id("1").await.unwrap();
    assert!(texts(&drifts).contains(&"get_patient: `patient.gender`: unknown value".into()));
    // Another client reports again.
    let (other, drifts) = watching(&fake);
    other.get_patient().id("1").await.unwrap();
    assert!(!texts(&drifts).is_empty());
}

#[tokio::test]
async fn no_recorded_response_differs_and_each_planted_change_of_the_fake_does() {
    let fake = FakeFullscript::builder().stateless().start().await.unwrap();
    let (client, drifts) = watching(&fake);
    let (mut noticed, mut untyped) = (0, Vec::new());
    for operation in operations::all()
        .iter()
        .filter(|it| it.method == "GET" && it.authenticated)
    {
        let path = operation.path.replace(['{', '}'], "");
        let call = || client.request(Method::GET, &path).send::<Value>();
        call().await.unwrap();
        assert_eq!(texts(&drifts), Vec::<String>::new(), "{}", operation.id);
        fake.drift(operation.id, 1, Drift::NewField);
        call().await.unwrap();
        let found = drifts.lock().unwrap().drain(..).collect::<Vec<_>>();
        // The field is added to each object, and maps may have any field.
        assert!(
            found.iter().all(|drift| matches!(
                drift.kind,
                DriftKind::UnknownField {
                    found: "an object",
                    ..
                }
            )),
            "{found:?}"
        );
        if found.is_empty() {
            untyped.push(operation.id);
        } else {
            let path = "newly_invented";
            assert!(
                found.iter().any(|drift| drift.path == path),
                "{}",
                operation.id
            );
        }
        fake.drift(operation.id, 1, Drift::NewValue);
        call().await.unwrap();
        noticed += drifts.lock().unwrap().drain(..).count();
    }
    assert!(noticed > 20, "{noticed}");
    // Of these, the document describes no field.
    assert_eq!(
        untyped,
        [
            "get_lab_test",
            "get_orderable_lab",
            "get_practitioner_resource",
            "list_fullscript_protocols",
            "list_fullscript_resources",
            "list_lab_tests",
            "list_patient_dependents",
            "list_practitioner_resources",
            "search_lab_tests",
        ]
    );
}

#[tokio::test]
async fn keys_that_may_be_data_are_not_shown() {
    let fake = FakeFullscript::start().await.unwrap();
    for (key, shown) in [
        ("next_steps", "next_steps"),
        ("nextSteps", "nextSteps"),
        ("line2", "line2"),
        ("Ana", "*"),
        ("ana lopez", "*"),
        ("ana@example.com", "*"),
        ("patient_4711", "*"),
        ("4711", "*"),
        ("", "*"),
        ("año", "*"),
        ("0x7x1x52-6x0x", "*"),
        ("a-b", "*"),
        ("xK9vQmZ_tLw", "*"),
        (&"a".repeat(48), &"a".repeat(48)),
        (&"a".repeat(49), "*"),
    ] {
        let (client, drifts) = watching(&fake);
        let body = json!({"patient": {"id": "1", key: 1}});
        fake.answer("get_patient", Script::json(200, &body));
        client.get_patient().id("1").await.unwrap();
        let expected = format!("get_patient: `patient.{shown}`: unknown field (a number)");
        assert_eq!(texts(&drifts), [expected], "{key}");
    }
    // A map of names in lower case.
    let mut patient = json!({"id": "1"});
    for name in [
        "ana", "ben", "cai", "dan", "eva", "fay", "gus", "hal", "ivy",
    ] {
        patient[name] = json!("x");
    }
    let (client, drifts) = watching(&fake);
    fake.answer(
        "get_patient",
        Script::json(200, &json!({"patient": patient})),
    );
    client.get_patient().id("1").await.unwrap();
    assert_eq!(
        texts(&drifts),
        ["get_patient: `patient.*`: unknown field (text)"]
    );
}

#[tokio::test]
async fn a_response_that_cannot_be_decoded_is_reported_too() {
    let fake = FakeFullscript::start().await.unwrap();
    for (body, strict, expected) in [
        (
            r#"{"patient": "Secret"}"#,
            false,
            "get_patient: `patient`: expected an object, found text",
        ),
        (
            r#"{"patient": {}}"#,
            false,
            "get_patient: `patient.id`: a required field is missing",
        ),
        (
            r#"{"patient": {"id": "1", "is_dependent": {}}}"#,
            true,
            "get_patient: `patient.is_dependent`: expected a boolean, found an object",
        ),
        (r#"{"patient": {"id": "1", "x": 1}"#, false, ""),
        ("<html>Secret</html>", false, ""),
    ] {
        let (client, drifts) = watching(&fake);
        let options = CallOptions::new().strict_decoding(strict).max_attempts(1);
        let client = client.with_options(options);
        let value: Value = serde_json::from_str(body).unwrap_or_default();
        let script = if value.is_null() {
            Script::html(200, body)
        } else {
            Script::json(200, &value)
        };
        fake.answer("get_patient", script);
        client.get_patient().id("1").await.unwrap_err();
        let expected: Vec<&str> = Some(expected)
            .filter(|it| !it.is_empty())
            .into_iter()
            .collect();
        assert_eq!(texts(&drifts), expected, "{body}");
    }
}

#[tokio::test]
async fn later_responses_are_sampled_and_values_that_do_not_fit_are_always_noticed() {
    let fake = FakeFullscript::start().await.unwrap();
    let (client, drifts) = watching(&fake);
    for _ in 0..16 {
        client.get_clinic().await.unwrap();
    }
    let body = json!({"clinic": {"id": "1", "brand_new": 1}});
    fake.answer("get_clinic", Script::json(200, &body));
    let mut calls = 0;
    while drifts.lock().unwrap().is_empty() {
        client.get_clinic().await.unwrap();
        calls += 1;
        assert!(calls < 500, "not noticed");
    }
    assert!(calls > 1, "each response was examined");
    let body = json!({"clinic": {"id": "1", "discount": []}});
    fake.answer_times("get_clinic", 1, Script::json(200, &body));
    texts(&drifts);
    client.get_clinic().await.unwrap();
    assert_eq!(texts(&drifts).len(), 1);
}

#[tokio::test]
async fn a_listener_that_panics_fails_no_call_and_an_app_reports_for_all_its_users() {
    let fake = FakeFullscript::start().await.unwrap();
    let body = json!({"clinic": {"id": "1", "brand_new": 1}});
    fake.answer("get_clinic", Script::json(200, &body));
    let panicking = fake
        .client_builder()
        .on_drift(|_| panic!("a fault of the listener"));
    panicking.build().unwrap().get_clinic().await.unwrap();

    let drifts = Drifts::default();
    let seen = Arc::clone(&drifts);
    let app = fake.app_builder();
    let app = app
        .on_drift(move |drift| seen.lock().unwrap().push(drift.clone()))
        .build()
        .unwrap();
    for user in ["one", "two"] {
        crate::support::connect(&fake, &app, user).await;
        app.client(user).get_clinic().await.unwrap();
    }
    assert_eq!(
        texts(&drifts),
        ["get_clinic: `clinic.brand_new`: unknown field (a number)"]
    );
}
