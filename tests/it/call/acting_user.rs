//! Requests that must name a practitioner or a user, because the token is not a practitioner's.

use fullscript::ErrorKind;
use fullscript::reqwest::Method;
use fullscript::types::{CreateSessionGrantRequest, CreateTreatmentPlanRequest};
use serde_json::{Value, json};

use crate::support::{Connected, connect};

#[tokio::test]
async fn a_plan_of_staff_or_a_clinic_without_a_practitioner_is_refused_before_sending() {
    let connected = Connected::new().await;
    let fake = &connected.fake;
    let patient = fake.patients()[0]["id"].as_str().unwrap().to_string();
    for (user, is_refused) in [
        ("practitioner", false),
        ("Staff/17", true),
        ("staff/18", true),
        ("Clinic/9", true),
        ("Robot/3", false),
    ] {
        connect(fake, &connected.app, user).await;
        let client = connected.app.client(user);
        let before = fake.count("create_treatment_plan");
        let create = |plan: Value| {
            let path = format!("/api/clinic/patients/{patient}/treatment_plans");
            client
                .request(Method::POST, &path)
                .json(&plan)
                .send::<Value>()
        };
        let call = client.create_treatment_plan().patient_id(patient.clone());
        let typed = call.body(CreateTreatmentPlanRequest::draft([])).await;
        let typed = typed.err().is_some_and(|error| error.needs_acting_user());
        assert_eq!(typed, is_refused, "{user}");
        for blank in [
            json!({}),
            json!({"practitioner_id": null}),
            json!({"practitioner_id": " "}),
        ] {
            let error = create(blank).await.err();
            assert_eq!(
                error.is_some_and(|it| it.needs_acting_user()),
                is_refused,
                "{user}"
            );
        }
        let sent = fake.count("create_treatment_plan") - before;
        assert_eq!(sent, if is_refused { 0 } else { 4 }, "{user}");

        let named = CreateTreatmentPlanRequest::draft([]).practitioner_id("practitioner");
        let call = client.create_treatment_plan().patient_id(patient.clone());
        call.body(named).await.unwrap();
    }
    let client = connected.app.client("Staff/17");
    let call = client.create_treatment_plan().patient_id(patient);
    let error = call
        .body(CreateTreatmentPlanRequest::draft([]))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidRequest);
    assert!(!error.may_have_arrived() && !error.is_transient());
    assert_eq!(
        error.to_string(),
        "create_treatment_plan: not sent: the token of a staff member or a clinic belongs to no \
         practitioner; set `practitioner_id`"
    );
}

#[tokio::test]
async fn a_session_grant_of_a_clinic_names_its_user() {
    let connected = Connected::new().await;
    let fake = &connected.fake;
    for (user, is_refused) in [
        ("practitioner", false),
        ("Staff/17", false),
        ("Clinic/9", true),
    ] {
        connect(fake, &connected.app, user).await;
        let client = connected.app.client(user);
        let grant = client.create_session_grant().await;
        let refused = grant.err().is_some_and(|error| error.needs_acting_user());
        assert_eq!(refused, is_refused, "{user}");
    }
    let client = connected.app.client("Clinic/9");
    let half = CreateSessionGrantRequest::new().user_id("3");
    let error = client.create_session_grant().body(half).await.unwrap_err();
    assert!(error.needs_acting_user(), "{error}");
    let whole = CreateSessionGrantRequest::new()
        .user_id("3")
        .user_type("Staff");
    let grant = client.create_session_grant().body(whole).await.unwrap();
    assert!(grant.secret_token.is_some());
    assert_eq!(fake.count("create_session_grant"), 3);
}
