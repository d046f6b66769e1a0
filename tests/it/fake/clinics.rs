//! Several clinics: what belongs to one is not visible in another.

use std::collections::HashSet;

use axum::Router;
use fullscript::Client;
use fullscript::auth::OAuthApp;
use fullscript::testing::{FakeClinic, FakeFullscript, Webhook};
use fullscript::types::{CreatePatientRequest, CreateTreatmentPlanRequest, PatientId};
use fullscript::webhook::{Event, Receiver, axum::receive};
use serde_json::{Value, json};

/// Connects a user of a clinic, and returns their client.
async fn connect(app: &OAuthApp, clinic: FakeClinic<'_>, user: &str) -> Client {
    let request = app.authorize();
    let callback = clinic.approve(request.url(), user);
    let code = app.callback(&callback, request.state()).unwrap();
    let user = app.exchange(code).await.unwrap();
    app.client(user.key())
}

fn id_of(record: &Value) -> &str {
    record["id"].as_str().unwrap()
}

#[tokio::test]
async fn a_token_reads_and_changes_only_the_clinic_of_its_user() {
    let fake = FakeFullscript::builder().seed(3).clinics(3).patients(9);
    let fake = fake.start().await.unwrap();
    let app = fake.app_builder().build().unwrap();
    let mut seen = HashSet::new();
    for index in 0..3 {
        let clinic = fake.clinic(index);
        let client = connect(&app, clinic, &format!("user-{index}")).await;
        let own = client.get_clinic().await.unwrap().into_inner().clinic;
        assert_eq!(own.id, clinic.id());
        let patients = client.list_patients().items().collect_all().await.unwrap();
        assert_eq!(patients.len(), 9);
        for patient in &patients {
            assert!(seen.insert(patient.id.to_string()), "in two clinics");
        }
        let orders = client.list_orders().items().collect_all().await.unwrap();
        assert!(!orders.is_empty());
        assert!(orders.iter().all(|order| seen.insert(order.id.to_string())));
        // Another clinic's records are unknown here.
        let other = fake.clinic((index + 1) % 3);
        let stranger = other.patients()[0].clone();
        let call = client.get_patient().id(id_of(&stranger));
        assert!(call.await.unwrap_err().is_not_found());
        let call = client
            .list_patient_treatment_plans()
            .patient_id(id_of(&stranger));
        assert!(call.await.unwrap_err().is_not_found());
        let plan = other.treatment_plans()[0].clone();
        let call = client.cancel_treatment_plan().id(id_of(&plan));
        assert!(call.await.unwrap_err().is_not_found());
        let found = client.search_patients().query(id_of(&stranger));
        assert!(found.await.unwrap().patients.is_empty());
        let draft = CreateTreatmentPlanRequest::draft([]);
        let call = client.create_treatment_plan().patient_id(id_of(&stranger));
        assert!(call.body(draft).await.is_err());
        // A new patient is in this clinic only.
        let body = CreatePatientRequest::new("new@example.com", "New", "Patient");
        client.create_patient().body(body).await.unwrap();
        assert_eq!(clinic.patients().len(), 10);
        let people = client.list_practitioners().items().collect_all().await;
        let people = people.unwrap();
        assert!(
            people
                .iter()
                .any(|one| one.id.as_str() == format!("user-{index}"))
        );
        assert!(
            !people
                .iter()
                .any(|one| one.id.as_str() == format!("user-{}", (index + 1) % 3))
        );
    }
    // The catalog is the same.
    let catalog = |client: Client| async move {
        let products = client.list_products().items().collect_all().await.unwrap();
        products
            .into_iter()
            .map(|product| product.id)
            .collect::<Vec<_>>()
    };
    let first = catalog(app.client("user-0")).await;
    assert_eq!(first, catalog(app.client("user-2")).await);
}

#[tokio::test]
async fn events_and_deliveries_belong_to_a_clinic_and_reach_one_endpoint() {
    let fake = FakeFullscript::builder().clinics(2).start().await.unwrap();
    let app = fake.app_builder().build().unwrap();
    let receiver = Receiver::new("key", "challenge").unwrap();
    let handler = async |_: Event| Ok::<_, ()>(());
    let routes = Router::<()>::new().route("/", receive(receiver, handler));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, routes).await });
    fake.subscribe(Webhook::new(url, "key", "challenge"))
        .await
        .unwrap();

    let mut ids = Vec::new();
    for index in 0..2 {
        let clinic = fake.clinic(index);
        let added = clinic.web_app().add_patient(&json!({"first_name": "Ana"}));
        ids.push(PatientId::new(id_of(&added)));
        clinic.send_event("order.placed", json!({"id": index}));
    }
    fake.deliveries_done().await;
    let clinics = fake
        .deliveries()
        .into_iter()
        .map(|delivery| delivery.event.clinic_id);
    let [first, second] = [0, 1].map(|index| Some(fake.clinic(index).id()));
    let expected = [&first, &first, &second, &second].map(Clone::clone);
    assert_eq!(clinics.collect::<Vec<_>>(), expected);

    for (index, id) in ids.iter().enumerate() {
        let client = connect(&app, fake.clinic(index), &format!("user-{index}")).await;
        let events = client
            .list_patient_events()
            .await
            .unwrap()
            .into_inner()
            .events;
        assert_eq!(events.len(), 1);
        let event = client.get_event().id(&events[0].id).await.unwrap();
        assert_eq!(
            event.event.data.as_ref().unwrap()["patient"]["id"],
            id.as_str()
        );
        let deliveries = client.list_webhook_deliveries().await.unwrap();
        assert_eq!(deliveries.webhook_deliveries.len(), 2);
        let other = connect(&app, fake.clinic(1 - index), &format!("user-{}", 1 - index)).await;
        let hidden = other.get_event().id(&events[0].id).await;
        assert!(hidden.unwrap_err().is_not_found());
    }
}

#[tokio::test]
async fn the_same_seed_makes_the_same_clinics_and_a_grant_belongs_to_its_user() {
    let start = || {
        FakeFullscript::builder()
            .seed(9)
            .clinics(3)
            .patients(4)
            .start()
    };
    let (one, other) = (start().await.unwrap(), start().await.unwrap());
    for index in 0..3 {
        assert_eq!(one.clinic(index).patients(), other.clinic(index).patients());
        assert_eq!(one.clinic(index).id(), other.clinic(index).id());
    }
    let app = one.app_builder().build().unwrap();
    let client = connect(&app, one.clinic(2), "user-2").await;
    let grant = client.create_session_grant().await.unwrap().into_inner();
    assert!(one.claim_session_grant(grant.secret_token.unwrap().expose()));
    // A user keeps the clinic, also if the browser approves without naming it.
    let request = app.authorize();
    let callback = one.approve(request.url(), "user-2");
    let code = app.callback(&callback, request.state()).unwrap();
    app.exchange(code).await.unwrap();
    let clinic = client.get_clinic().await.unwrap().into_inner().clinic;
    assert_eq!(clinic.id, one.clinic(2).id());
}

#[tokio::test]
#[should_panic(expected = "the fake has 1 clinics, and none with the index 1")]
async fn an_unknown_clinic_is_a_panic_that_says_so() {
    let fake = FakeFullscript::builder().clinics(0).start().await.unwrap();
    let _none = fake.clinic(1);
}
