//! Changes that emit events, and changes that do not.

use std::time::Duration;

use fullscript::testing::{FakeFullscript, ManualClock};
use fullscript::types::{CreatePatientRequest, EventType};
use fullscript::webhook::{Event, EventData};
use serde_json::json;

#[tokio::test]
async fn a_change_in_the_web_app_is_an_event_that_is_listed_and_got() {
    let fake = FakeFullscript::start().await.unwrap();
    let client = fake.client();
    let app = fake.web_app();
    let patient = app.add_patient(&json!({"first_name": "Basil"}));
    let id = patient["id"].as_str().unwrap();
    app.change_patient(id, &json!({"last_name": "Invented"}));
    let listed = client
        .list_patient_events()
        .items()
        .collect_all()
        .await
        .unwrap();
    let types: Vec<_> = listed
        .iter()
        .map(|event| event.type_.clone().unwrap())
        .collect();
    assert_eq!(
        types,
        [EventType::PatientCreated, EventType::PatientUpdated]
    );
    assert!(listed[0].data.is_none());
    let event = client
        .get_event()
        .id(listed[1].id.clone())
        .send()
        .await
        .unwrap();
    let EventData::PatientUpdated(data) = Event::from(&event.event).data else {
        panic!("another event");
    };
    assert_eq!(data.id.unwrap().as_str(), id);
    assert_eq!(data.last_name.as_deref(), Some("Invented"));
}

#[tokio::test]
async fn the_apps_own_calls_are_no_events() {
    let fake = FakeFullscript::start().await.unwrap();
    let client = fake.client();
    let body = CreatePatientRequest::new("basil@example.com", "Basil", "Invented");
    client.create_patient().body(body).send().await.unwrap();
    assert!(
        client
            .list_patient_events()
            .send()
            .await
            .unwrap()
            .events
            .is_empty()
    );
}

#[tokio::test]
async fn a_plan_emits_events_when_activated_and_when_cancelled() {
    let fake = FakeFullscript::start().await.unwrap();
    let client = fake.client();
    let app = fake.web_app();
    let plan = app.add_treatment_plan(&json!({"state": "draft"}));
    let id = plan["id"].as_str().unwrap();
    let types = async || {
        let listed = client
            .list_treatment_plan_events()
            .items()
            .collect_all()
            .await
            .unwrap();
        let types = listed
            .iter()
            .map(|event| event.type_.clone().unwrap().as_str().to_string());
        types.collect::<Vec<_>>()
    };
    assert!(types().await.is_empty());
    app.activate_treatment_plan(id);
    assert_eq!(types().await, ["treatment_plan.created"]);
    app.cancel_treatment_plan(id);
    assert_eq!(
        types().await,
        ["treatment_plan.created", "treatment_plan.updated"]
    );
    let got = client.get_treatment_plan().id(id).send().await.unwrap();
    assert_eq!(
        got.treatment_plan.state.as_ref().unwrap().as_str(),
        "cancelled"
    );
}

#[tokio::test]
async fn a_lab_order_emits_an_event_when_results_arrive() {
    let fake = FakeFullscript::start().await.unwrap();
    let client = fake.client();
    let order = fake.web_app().add_lab_order(&json!({"state": "purchased"}));
    let list = || client.list_lab_order_events();
    assert!(list().send().await.unwrap().events.is_empty());
    fake.web_app()
        .add_lab_order(&json!({"id": order["id"], "state": "results_ready"}));
    let listed = list().send().await.unwrap().into_inner().events;
    let event = client
        .get_event()
        .id(listed[0].id.clone())
        .send()
        .await
        .unwrap();
    let EventData::LabOrderUpdated(data) = Event::from(&event.event).data else {
        panic!("another event");
    };
    assert_eq!(data.state.unwrap().as_str(), "results_ready");
    let id = order["id"].as_str().unwrap();
    let got = client.get_lab_order().id(id).send().await.unwrap();
    assert_eq!(got.order.state.as_ref().unwrap().as_str(), "results_ready");
}

#[tokio::test]
async fn events_are_listed_by_day_and_type() {
    let builder = FakeFullscript::builder().clock(ManualClock::default());
    let fake = builder.start().await.unwrap();
    let client = fake.client();
    fake.web_app().add_patient(&json!({}));
    let id = fake.patients()[0]["id"].as_str().unwrap().to_string();
    fake.web_app().change_patient(&id, &json!({}));
    let list = || client.list_patient_events();
    for (call, count) in [
        (list().event_type(EventType::PatientUpdated), 1),
        (list().created_at("2026-01-01"), 2),
        (list().created_at("<2026-01-01"), 0),
        (list().created_at("2025-12-01..2026-01-02"), 2),
    ] {
        assert_eq!(call.items().collect_all().await.unwrap().len(), count);
    }
    let error = list().created_at("yesterday").send().await.unwrap_err();
    assert!(error.is_validation());
    assert!(error.messages()[0].contains("a day such as"), "{error}");
}

#[tokio::test]
async fn an_event_is_forgotten_after_thirty_days() {
    let clock = ManualClock::default();
    let builder = FakeFullscript::builder().clock(clock.clone());
    let fake = builder.start().await.unwrap();
    let client = fake.client();
    fake.web_app().add_patient(&json!({}));
    let day = Duration::from_secs(24 * 60 * 60);
    clock.advance(30 * day);
    let listed = client.list_patient_events().send().await.unwrap();
    let id = listed.events[0].id.clone();
    client.get_event().id(id.clone()).send().await.unwrap();
    clock.advance(Duration::from_secs(1));
    let listed = client.list_patient_events().send().await.unwrap();
    assert!(listed.events.is_empty());
    assert!(
        client
            .get_event()
            .id(id)
            .send()
            .await
            .unwrap_err()
            .is_not_found()
    );
}
