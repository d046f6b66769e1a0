//! Three tests, each of the code that is shipped and of the code with a bug.

use std::sync::Arc;

use fullscript::testing::{FakeFullscript, Webhook, WebhookFault};
use fullscript::types::{PatientId, TreatmentPlanId};
use fullscript::webhook::{EventLog, MemoryEventLog, Receiver};
use fullscript::{Client, Error};
use serde_json::json;

use crate::orders::{Orders, serve};
use crate::{patients, plans, planted};

async fn nobody_is_left_out(import: impl AsyncFn(&Client) -> Result<Vec<String>, Error>) {
    let fake = FakeFullscript::builder()
        .patients(250)
        .start()
        .await
        .unwrap();
    let imported = import(&fake.client()).await.unwrap();
    assert_eq!(imported.len(), 250, "patients are left out");
}

#[tokio::test]
async fn the_import_leaves_nobody_out() {
    nobody_is_left_out(patients::addresses).await;
}

#[tokio::test]
#[should_panic(expected = "patients are left out")]
async fn an_import_of_one_page_is_found_out() {
    nobody_is_left_out(planted::addresses).await;
}

async fn the_patient_hears_nothing(
    propose: impl AsyncFn(&Client, PatientId) -> Result<TreatmentPlanId, Error>,
) {
    let fake = FakeFullscript::start().await.unwrap();
    let patient = fake.patients()[0]["id"].as_str().unwrap().to_string();
    let patient = PatientId::new(patient);
    let id = propose(&fake.client(), patient).await.unwrap();
    let plans = fake.treatment_plans();
    let plan = plans.iter().find(|plan| plan["id"] == id.as_str()).unwrap();
    assert_eq!(plan["state"], "draft", "the patient has the plan already");
}

#[tokio::test]
async fn a_proposal_is_kept_from_the_patient() {
    the_patient_hears_nothing(plans::propose).await;
}

#[tokio::test]
#[should_panic(expected = "the patient has the plan already")]
async fn a_proposal_that_is_sent_at_once_is_found_out() {
    the_patient_hears_nothing(planted::propose).await;
}

async fn an_order_counts_once(event_log: impl EventLog + 'static) {
    let orders = Arc::new(Orders::keeping(event_log));
    let receiver = Receiver::new("key", "challenge").unwrap();
    let url = serve(receiver, Arc::clone(&orders)).await.unwrap();
    let fake = FakeFullscript::start().await.unwrap();
    let webhook = Webhook::new(url, "key", "challenge");
    fake.subscribe(webhook).await.unwrap();
    // As the vendor says that it may.
    fake.webhook_fault("order.placed", WebhookFault::duplicate());
    fake.web_app().add_order(&json!({}));
    fake.deliveries_done().await;
    assert_eq!(fake.deliveries().len(), 2);
    assert_eq!(orders.count(), 1, "an order was not counted once");
}

#[tokio::test]
async fn an_order_that_is_told_twice_counts_once() {
    an_order_counts_once(MemoryEventLog::new()).await;
}

#[tokio::test]
#[should_panic(expected = "an order was not counted once")]
async fn a_record_of_events_that_forgets_is_found_out() {
    an_order_counts_once(planted::Forgetful).await;
}
