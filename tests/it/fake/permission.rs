//! Scopes and approval.

use fullscript::auth::{ConnectionFilter, Scope};
use fullscript::operations;
use fullscript::testing::FakeFullscript;
use fullscript::types::CreateTreatmentPlanRequest;
use serde_json::json;

use crate::support::{Connected, connect};

#[tokio::test]
async fn a_token_without_the_scope_is_refused() {
    let fake = FakeFullscript::builder()
        .scopes([Scope::CLINIC_READ])
        .start()
        .await
        .unwrap();
    let client = fake.client();
    client.get_clinic().send().await.unwrap();
    let error = client.list_patients().send().await.unwrap_err();
    assert_eq!(error.status().unwrap(), 403);
    assert_eq!(
        error.messages(),
        ["Must have `patients` scope enabled for this request"]
    );
}

#[tokio::test]
async fn one_of_two_ways_is_enough() {
    for scope in [Scope::PATIENTS_READ, Scope::TREATMENT_PLAN_HISTORY] {
        let fake = FakeFullscript::builder()
            .scopes([scope])
            .start()
            .await
            .unwrap();
        let id = fake.treatment_plans()[0]["id"]
            .as_str()
            .unwrap()
            .to_string();
        fake.client()
            .get_treatment_plan()
            .id(id)
            .send()
            .await
            .unwrap();
    }
    let fake = FakeFullscript::builder()
        .scopes([Scope::CLINIC_READ])
        .start()
        .await
        .unwrap();
    let error = fake
        .client()
        .get_treatment_plan()
        .id("1")
        .send()
        .await
        .unwrap_err();
    assert_eq!(
        error.messages(),
        ["Must have `patients` scope enabled for this request"]
    );
}

#[tokio::test]
async fn of_two_scopes_needed_together_one_is_not_enough() {
    for scopes in [
        &[Scope::CLINIC_WRITE][..],
        &[Scope::PATIENTS_READ],
        &[Scope::PATIENTS_READ, Scope::CLINIC_WRITE],
    ] {
        let builder = FakeFullscript::builder().scopes(scopes);
        let fake = builder.start().await.unwrap();
        let patient = fake.patients()[0]["id"].as_str().unwrap().to_string();
        let call = fake.client();
        let call = call.create_treatment_plan().patient_id(patient);
        let call = call.body(CreateTreatmentPlanRequest::draft(vec![]));
        match call.send().await {
            Ok(_) => assert_eq!(scopes.len(), 2),
            Err(error) => assert_eq!(
                error.messages(),
                ["Must have `clinic` and `patients` scope enabled for this request"]
            ),
        }
        assert_eq!(fake.treatment_plans().len(), scopes.len());
    }
}

#[tokio::test]
async fn a_plan_of_the_web_app_wants_the_scope_for_the_history() {
    for (scopes, count) in [
        (&[Scope::PATIENTS_READ][..], 1),
        (&[Scope::PATIENTS_READ, Scope::TREATMENT_PLAN_HISTORY], 2),
    ] {
        let fake = FakeFullscript::builder()
            .scopes(scopes)
            .start()
            .await
            .unwrap();
        let plan = fake.web_app().add_treatment_plan(&json!({}));
        let client = fake.client();
        let patient = plan["patient"]["id"].as_str().unwrap();
        let list = client.list_patient_treatment_plans().patient_id(patient);
        assert_eq!(list.items().collect_all().await.unwrap().len(), count);
        let get = client.get_treatment_plan().id(plan["id"].as_str().unwrap());
        assert_eq!(get.send().await.is_ok(), count == 2);
    }
}

#[tokio::test]
async fn a_new_scope_of_the_app_is_for_those_who_connect_again() {
    let connected = Connected::new().await;
    connected.fake.grant_scopes([Scope::CLINIC_READ]);
    connect(&connected.fake, &connected.app, "practitioner").await;
    connected
        .fake
        .grant_scopes([Scope::CLINIC_READ, Scope::PATIENTS_READ]);
    let client = connected.app.client("practitioner");
    for _ in 0..2 {
        let error = client.list_patients().send().await.unwrap_err();
        assert!(error.is_missing_scope(), "{error}");
        // A refresh does not add scopes.
        connected.expire();
    }
    connect(&connected.fake, &connected.app, "practitioner").await;
    let client = connected.app.client("practitioner");
    client.list_patients().send().await.unwrap();
}

#[tokio::test]
async fn what_requires_approval_is_refused_to_an_app_without_it() {
    let fake = FakeFullscript::builder()
        .not_approved()
        .start()
        .await
        .unwrap();
    let client = fake.client();
    let error = client.list_products().send().await.unwrap_err();
    assert!(error.needs_approval(), "{error}");
    client.list_patients().send().await.unwrap();
    let marked = operations::all()
        .iter()
        .filter(|one| one.requires_commercial_approval);
    for operation in marked {
        let path = operation.path.replace(['{', '}'], "");
        let method = operation.method.parse().unwrap();
        let call = client.request(method, &path).send::<serde_json::Value>();
        let error = call.await.unwrap_err();
        assert_eq!(error.status().unwrap(), 403, "{}", operation.id);
    }
}

/// Returns whether a token with these scopes may call an operation.
fn is_allowed(operation: &operations::Operation, scopes: &[&str]) -> bool {
    let alternatives = operation.scopes;
    let has = |needed: &&&[&str]| needed.iter().all(|it| scopes.contains(it));
    alternatives.is_empty() || alternatives.iter().any(|it| has(&it))
}

#[test]
fn the_scopes_for_operations_allow_each_of_them_and_none_is_left_over() {
    let all = operations::all();
    for one in all {
        let needed = operations::scopes_for([one.id]).unwrap();
        assert!(is_allowed(one, &needed), "{}: {needed:?}", one.id);
        for left_out in &needed {
            let fewer: Vec<_> = needed
                .iter()
                .filter(|it| *it != left_out)
                .copied()
                .collect();
            assert!(!is_allowed(one, &fewer), "{}: {left_out}", one.id);
        }
        for other in all {
            let both = operations::scopes_for([one.id, other.id]).unwrap();
            assert!(is_allowed(one, &both) && is_allowed(other, &both));
            let reversed = operations::scopes_for([other.id, one.id]).unwrap();
            assert_eq!(both, reversed, "{} {}", one.id, other.id);
        }
    }
    let needed = operations::scopes_for(all.iter().map(|it| it.id)).unwrap();
    assert!(all.iter().all(|it| is_allowed(it, &needed)));
    assert!(operations::scopes_for(["list_orders", ""]).is_err());
    assert!(operations::scopes_for::<&str>([]).unwrap().is_empty());
}

#[tokio::test]
async fn the_users_who_lack_scopes_for_a_call_are_those_whose_call_is_refused() {
    let connected = Connected::unlimited().await;
    let (fake, app) = (&connected.fake, &connected.app);
    fake.grant_scopes([Scope::CLINIC_READ]);
    connect(fake, app, "lacking").await;
    let needed = operations::scopes_for(["get_clinic", "list_orders"]).unwrap();
    let mut lacking = app.connections(ConnectionFilter::new().lacks(needed.clone()));
    let connection = lacking.next().await.unwrap().unwrap();
    assert_eq!(connection.user.id(), "lacking");
    let lacks = connection.lacks(needed);
    assert_eq!(
        lacks.iter().map(Scope::as_str).collect::<Vec<_>>(),
        [Scope::ORDER_HISTORY]
    );
    assert!(lacking.next().await.is_none());
    let client = app.client("lacking");
    client.get_clinic().send().await.unwrap();
    assert!(
        client
            .list_orders()
            .send()
            .await
            .unwrap_err()
            .is_missing_scope()
    );
    let client = app.client("practitioner");
    client.list_orders().send().await.unwrap();
}
