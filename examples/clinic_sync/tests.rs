//! The service against a fake with two clinics.

use super::*;
use fullscript::testing::{Fault, WebhookFault};
use fullscript::types::PatientId;
use serde_json::json;

struct Test {
    fake: FakeFullscript,
    service: Arc<Service>,
    users: Vec<UserKey>,
}

/// Starts the service. "user-0" and "user-2" work at the first clinic, "user-1" at the second.
async fn start() -> Test {
    let fake = FakeFullscript::builder().clinics(2).patients(5);
    let fake = fake.start().await.unwrap();
    let (service, _server) = serve(&fake).await.unwrap();
    let users = connect(&fake, &service, 3).await.unwrap();
    Test {
        fake,
        service,
        users,
    }
}

impl Test {
    /// Checks the numbers of patients, orders and lab reports that were copied.
    #[track_caller]
    fn check(&self, copied: [usize; 3]) {
        let db = self.service.database();
        let counts = [db.patients.len(), db.orders.len(), db.reports.len()];
        assert_eq!(counts, copied);
    }
}

#[tokio::test]
async fn a_night_copies_each_clinic_and_the_health_page_reports_it() {
    let Test {
        fake,
        service,
        users,
    } = &start().await;
    fake.end_connection(users[2].id());
    let report = service.synchronize().await;
    assert_eq!((report.done, report.failed), (2, 1));
    // The recorded lab order of the first clinic has a report.
    let (status, text) = service.health().await;
    let expected = "10 patients, 1 reports, 1 must reconnect, sync in time";
    assert_eq!((status.as_u16(), text.as_str()), (200, expected));
    fake.advance(Duration::from_secs(48 * 3600)).await;
    assert_eq!(service.health().await.0, 503);
}

#[tokio::test]
async fn events_update_the_copy_once_while_the_clinic_is_connected() {
    let test = start().await;
    let (first, second) = (test.fake.clinic(0), test.fake.clinic(1));
    let twice = WebhookFault::duplicate();
    test.fake.webhook_fault("patient.created", twice);
    first.web_app().add_patient(&json!({"first_name": "Fern"}));
    second.web_app().add_order(&json!({}));
    second
        .web_app()
        .add_lab_order(&json!({"state": "results_ready"}));
    test.fake.deliveries_done().await;
    test.check([1, 1, 1]);
    assert_eq!(test.fake.count("get_patient"), 1, "handled twice");

    test.service.app.forget(&test.users[1]).await.unwrap();
    second.web_app().add_patient(&json!({}));
    test.fake.deliveries_done().await;
    assert!(test.fake.deliveries().iter().all(|it| it.is_delivered()));
    test.check([1, 1, 1]);
}

#[tokio::test]
async fn events_that_were_lost_or_failed_are_handled_later() {
    let test = start().await;
    let lost = WebhookFault::dropped();
    test.fake.webhook_fault("order.placed", lost);
    test.fake.clinic(1).web_app().add_order(&json!({}));
    test.fake.fault("get_patient", Fault::status(403));
    test.fake.web_app().add_patient(&json!({}));
    test.fake.deliveries_done().await;
    test.check([0, 0, 0]);
    test.fake.end_faults();
    // The vendor delivers the failed event again.
    test.fake.advance(Duration::from_secs(60)).await;
    test.check([1, 0, 0]);
    test.service.synchronize().await;
    test.check([11, 1, 1]);
}

#[tokio::test]
async fn a_proposal_notifies_nobody_and_is_made_once() {
    let Test {
        fake,
        service,
        users,
    } = &start().await;
    let patient = PatientId::new(fake.patients()[0]["id"].as_str().unwrap());
    let client = service.app.client(&users[0]);
    let product = client.list_products().items().next().await;
    let variant = product.unwrap().unwrap().primary_variant.unwrap().id;
    let before = fake.treatment_plans().len();
    // The response of the first attempt is lost.
    let lost = Fault::reset_before_headers().after_effect();
    fake.fault_times("create_treatment_plan", 1, lost);
    let id = service.propose(&users[0], &patient, &variant, "own-7");
    let id = id.await.unwrap();
    let plans = fake.treatment_plans();
    assert_eq!(plans.len(), before + 1, "the plan exists twice");
    let plan = plans.iter().find(|plan| plan["id"] == id.as_str());
    assert_eq!(plan.unwrap()["state"], "draft", "the patient was notified");
}
