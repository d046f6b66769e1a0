//! Three tests; each runs against the real code and against the code with a bug.

use std::sync::Arc;

use fullscript::testing::{FakeFullscript, Webhook, WebhookFault};
use fullscript::types::{PatientId, TreatmentPlanId};
use fullscript::webhook::{EventLog, MemoryEventLog, Receiver};
use fullscript::{Client, Error};
use serde_json::json;

use crate::orders::{Orders, serve};
use crate::{patients, plans, planted};

async fn check_import(import: impl AsyncFn(&Client) -> Result<Vec<String>, Error>) {
    let fake = FakeFullscript::builder()
        .patients(250)
        .start()
        .await
        .unwrap();
    let imported = import(&fake.client()).await.unwrap();
    assert_eq!(imported.len(), 250, "patients are missing");
}

#[tokio::test]
async fn the_import_reads_all_patients() {
    check_import(patients::addresses).await;
}

#[tokio::test]
#[should_panic(expected = "patients are missing")]
async fn a_test_finds_an_import_of_one_page() {
    check_import(planted::addresses).await;
}

async fn check_proposal(
    propose: impl AsyncFn(&Client, PatientId) -> Result<TreatmentPlanId, Error>,
) {
    let fake = FakeFullscript::start().await.unwrap();
    let patient = fake.patients()[0]["id"].as_str().unwrap().to_string();
    let patient = PatientId::new(patient);
    let id = propose(&fake.client(), patient).await.unwrap();
    let plans = fake.treatment_plans();
    let plan = plans.iter().find(|plan| plan["id"] == id.as_str()).unwrap();
    assert_eq!(plan["state"], "draft", "the patient was notified");
}

#[tokio::test]
async fn a_proposal_is_a_draft() {
    check_proposal(plans::propose).await;
}

#[tokio::test]
#[should_panic(expected = "the patient was notified")]
async fn a_test_finds_a_proposal_that_is_active() {
    check_proposal(planted::propose).await;
}

async fn check_count(event_log: impl EventLog + 'static) {
    let orders = Arc::new(Orders::new(event_log));
    let receiver = Receiver::new("key", "challenge").unwrap();
    let url = serve(receiver, Arc::clone(&orders)).await.unwrap();
    let fake = FakeFullscript::start().await.unwrap();
    let webhook = Webhook::new(url, "key", "challenge");
    fake.subscribe(webhook).await.unwrap();
    // The vendor documents that an event may be delivered twice.
    fake.webhook_fault("order.placed", WebhookFault::duplicate());
    fake.web_app().add_order(&json!({}));
    fake.deliveries_done().await;
    assert_eq!(fake.deliveries().len(), 2);
    assert_eq!(orders.count(), 1, "the order was counted twice");
}

#[tokio::test]
async fn an_order_that_is_delivered_twice_counts_once() {
    check_count(MemoryEventLog::new()).await;
}

#[tokio::test]
#[should_panic(expected = "the order was counted twice")]
async fn a_test_finds_an_event_log_that_forgets() {
    check_count(planted::Forgetful).await;
}
