//! Treatment plans and orders: creation, activation and cancellation.

use fullscript::testing::{FakeFullscript, ManualClock};
use fullscript::types::{
    self, CreateTreatmentPlanLinkRequest, CreateTreatmentPlanLinkRequestPatient,
    CreateTreatmentPlanLinkRequestTreatmentPlan, CreateTreatmentPlanRequest, PatientId,
    RecommendationInput, TreatmentPlan, TreatmentPlanId, TreatmentPlanState,
    UpdateTreatmentPlanRequest, VariantId,
};
use fullscript::{Client, Error};
use serde_json::json;

struct Clinic {
    fake: FakeFullscript,
    client: Client,
    patient: PatientId,
    variant: VariantId,
}

impl Clinic {
    async fn new() -> Self {
        let builder = FakeFullscript::builder().clock(ManualClock::default());
        let fake = builder.start().await.unwrap();
        let client = fake.client();
        let patient = fake.patients()[0]["id"].as_str().unwrap().into();
        let variant = &fake.treatment_plans()[0]["recommendations"][0]["variant_id"];
        let variant = variant.as_str().unwrap().into();
        Self {
            fake,
            client,
            patient,
            variant,
        }
    }

    fn recommendation(&self) -> RecommendationInput {
        RecommendationInput::new(&self.variant, 2).refill(true)
    }

    async fn create(
        &self,
        plan: types::CreateTreatmentPlanRequest,
    ) -> Result<TreatmentPlan, Error> {
        let call = self
            .client
            .create_treatment_plan()
            .patient_id(self.patient.clone());
        Ok(call.body(plan).send().await?.into_inner().treatment_plan)
    }

    async fn draft(&self) -> TreatmentPlan {
        let plan = CreateTreatmentPlanRequest::draft(vec![self.recommendation()]);
        self.create(plan).await.unwrap()
    }

    async fn state(&self, id: &TreatmentPlanId) -> TreatmentPlanState {
        let got = self
            .client
            .get_treatment_plan()
            .id(id.clone())
            .send()
            .await
            .unwrap();
        got.into_inner().treatment_plan.state.unwrap()
    }

    async fn activate(&self, id: &TreatmentPlanId) -> Result<(), Error> {
        let call = self.client.activate_treatment_plan().id(id.clone());
        call.send().await.map(drop)
    }

    async fn cancel(&self, id: &TreatmentPlanId) -> Result<(), Error> {
        let call = self.client.cancel_treatment_plan().id(id.clone());
        call.send().await.map(drop)
    }
}

#[tokio::test]
async fn a_draft_is_activated_then_cancelled_and_neither_twice() {
    let clinic = Clinic::new().await;
    let plan = clinic.draft().await;
    assert_eq!(plan.state, Some(TreatmentPlanState::Draft));
    assert!(plan.invitation_url.is_none());
    assert!(clinic.cancel(&plan.id).await.unwrap_err().is_validation());
    clinic.activate(&plan.id).await.unwrap();
    assert_eq!(clinic.state(&plan.id).await, TreatmentPlanState::Active);
    assert!(clinic.activate(&plan.id).await.unwrap_err().is_validation());
    clinic.cancel(&plan.id).await.unwrap();
    assert_eq!(clinic.state(&plan.id).await, TreatmentPlanState::Cancelled);
    assert!(clinic.cancel(&plan.id).await.unwrap_err().is_validation());
    assert!(clinic.activate(&plan.id).await.unwrap_err().is_validation());
}

#[tokio::test]
async fn a_plan_has_its_recommendations_and_is_listed_with_its_patient() {
    let clinic = Clinic::new().await;
    let plan = clinic.draft().await;
    let recommended = &plan.recommendations.as_ref().unwrap()[0];
    assert_eq!(recommended.variant_id, Some(clinic.variant.clone()));
    assert_eq!(
        (recommended.units_to_purchase, recommended.refill),
        (Some(2), Some(true))
    );
    assert_eq!(plan.patient.unwrap().id, clinic.patient);
    let list = clinic
        .client
        .list_patient_treatment_plans()
        .patient_id(clinic.patient.clone());
    let listed = list.items().collect_all().await.unwrap();
    assert_eq!(listed.len(), 2);
    assert_eq!(listed[1].id, plan.id);
    // Lists contain summaries.
    assert!(listed[1].recommendations.is_none());
}

#[tokio::test]
async fn an_update_replaces_the_recommendations_and_preserves_the_state() {
    let clinic = Clinic::new().await;
    let plan = clinic.draft().await;
    let body = UpdateTreatmentPlanRequest::new()
        .recommendations([])
        .personal_message("Rest well.");
    let call = clinic.client.update_treatment_plan().id(plan.id.clone());
    let updated = call
        .body(body)
        .send()
        .await
        .unwrap()
        .into_inner()
        .treatment_plan;
    assert_eq!(updated.recommendations, Some(vec![]));
    assert_eq!(updated.personal_message.as_deref(), Some("Rest well."));
    assert_eq!(updated.state, Some(TreatmentPlanState::Draft));
}

#[tokio::test]
async fn a_product_in_place_of_its_variant_is_refused() {
    let clinic = Clinic::new().await;
    let products = clinic.client.list_products().send().await.unwrap();
    let mut recommendation = clinic.recommendation();
    recommendation.variant_id = products.products[0].id.as_str().into();
    let plan = CreateTreatmentPlanRequest::draft(vec![recommendation]);
    let error = clinic.create(plan).await.unwrap_err();
    assert!(error.is_validation());
    assert!(
        error.messages()[0].contains("by the id of a product's variant"),
        "{error}"
    );
    assert_eq!(clinic.fake.treatment_plans().len(), 1);
}

#[tokio::test]
async fn a_checkout_wants_an_active_plan() {
    let clinic = Clinic::new().await;
    let plan = clinic.draft().await;
    let checkout = || {
        clinic
            .client
            .create_in_office_checkout()
            .id(plan.id.clone())
    };
    assert!(checkout().send().await.unwrap_err().is_validation());
    clinic.activate(&plan.id).await.unwrap();
    let url = checkout()
        .send()
        .await
        .unwrap()
        .into_inner()
        .in_office_checkout
        .url;
    assert!(url.unwrap().contains(clinic.patient.as_str()));
}

#[tokio::test]
async fn a_link_makes_a_draft_for_a_patient_who_may_be_new() {
    let clinic = Clinic::new().await;
    let practitioners = clinic.client.list_practitioners().send().await.unwrap();
    let practitioner = practitioners.practitioners[0].id.clone();
    for (email, patients) in [("patient@example.com", 1), ("new@example.com", 2)] {
        let plan = CreateTreatmentPlanLinkRequestTreatmentPlan::new(practitioner.clone());
        let patient: CreateTreatmentPlanLinkRequestPatient =
            CreateTreatmentPlanLinkRequestPatient::new()
                .first_name("Fern")
                .last_name("Example")
                .email(email);
        let body = CreateTreatmentPlanLinkRequest::new(plan).patient(patient);
        let call = clinic.client.create_treatment_plan_link().body(body);
        let link = call.send().await.unwrap().into_inner().dynamic_links;
        assert_eq!(clinic.fake.patients().len(), patients, "{email}");
        let plan = link.treatment_plan.unwrap();
        let id = plan.id;
        assert_eq!(clinic.state(&id).await, TreatmentPlanState::Draft);
    }
}

#[tokio::test]
async fn a_cancelled_plan_has_no_link() {
    let clinic = Clinic::new().await;
    let plan = clinic.draft().await;
    let link = || {
        let call = clinic.client.get_treatment_plan_link();
        call.id(plan.id.clone()).send()
    };
    link().await.unwrap();
    clinic.activate(&plan.id).await.unwrap();
    link().await.unwrap();
    clinic.cancel(&plan.id).await.unwrap();
    assert!(link().await.unwrap_err().is_not_found());
}

#[tokio::test]
async fn an_order_of_a_plan_is_listed_by_patient_plan_and_day() {
    let clinic = Clinic::new().await;
    let plan = clinic.draft().await;
    clinic.activate(&plan.id).await.unwrap();
    let order = clinic
        .fake
        .web_app()
        .add_order(&json!({"treatment_plan_ids": [plan.id]}));
    assert_eq!(order["line_items"][0]["quantity"], 2);
    assert_eq!(order["item_total"], "39.98");
    let id = order["id"].as_str().unwrap();
    let got = clinic
        .client
        .get_order()
        .id(id)
        .send()
        .await
        .unwrap()
        .into_inner()
        .order;
    assert_eq!(got.order_number.as_deref(), order["order_number"].as_str());
    let list = || clinic.client.list_orders();
    for (call, ids) in [
        (list().treatment_plan_id(plan.id.clone()), vec![id]),
        (list().completed_at("2026-01-01"), vec![id]),
        (list().completed_at(">2025-12-31"), vec![id]),
        (list().completed_at("2025-12-31..2026-01-01"), vec![id]),
        (list().completed_at("<2026-01-01").patient_id("1"), vec![]),
        (
            list().order_number(got.order_number.clone().unwrap()),
            vec![id],
        ),
        (list().patient_id("1"), vec![]),
    ] {
        let orders = call.items().collect_all().await.unwrap();
        let found: Vec<_> = orders.iter().map(|order| order.id.as_str()).collect();
        assert_eq!(found, ids);
    }
    let of_patient = clinic
        .client
        .list_patient_orders()
        .patient_id(clinic.patient.clone());
    assert_eq!(of_patient.items().collect_all().await.unwrap().len(), 2);
}

#[tokio::test]
async fn an_order_may_have_lines_of_its_own() {
    let clinic = Clinic::new().await;
    let line = json!({"variant_id": clinic.variant, "quantity": 3, "type": "labs"});
    let order = clinic
        .fake
        .web_app()
        .add_order(&json!({"line_items": [line]}));
    assert_eq!(
        (&order["item_total"], &order["variant_ids"]),
        (&json!("59.97"), &json!([clinic.variant]))
    );
    let labs = clinic.client.list_orders().type_(types::OrderType::Labs);
    let labs = labs.items().collect_all().await.unwrap();
    assert_eq!(labs.len(), 1);
    assert_eq!(labs[0].id.as_str(), order["id"].as_str().unwrap());
}

#[tokio::test]
async fn a_key_makes_one_plan_of_two_requests() {
    let clinic = Clinic::new().await;
    let create = async |key: &str, message: &str| {
        let plan = CreateTreatmentPlanRequest::draft(vec![clinic.recommendation()]);
        let call = clinic.client.create_treatment_plan();
        let call = call.patient_id(clinic.patient.clone()).idempotency_key(key);
        let call = call.body(plan.personal_message(message.to_string()));
        let answer = call.send().await?;
        Ok::<_, Error>(answer.into_inner().treatment_plan.id)
    };
    let first = create("one", "Rest well.").await.unwrap();
    assert_eq!(create("one", "Rest well.").await.unwrap(), first);
    assert_ne!(create("two", "Rest well.").await.unwrap(), first);
    let error = create("one", "Sleep well.").await.unwrap_err();
    assert!(
        error.messages()[0].contains("used with another body"),
        "{error}"
    );
    // The same body for another patient is another plan.
    let other = clinic
        .fake
        .web_app()
        .add_patient(&json!({"first_name": "Basil"}));
    let plan = CreateTreatmentPlanRequest::draft(vec![clinic.recommendation()]);
    let call = clinic.client.create_treatment_plan().idempotency_key("one");
    let call = call.patient_id(other["id"].as_str().unwrap());
    let call = call.body(plan.personal_message("Rest well.".to_string()));
    assert!(call.send().await.unwrap_err().is_validation());
    // The recorded one and two new ones.
    assert_eq!(clinic.fake.treatment_plans().len(), 3);
    assert_eq!(clinic.fake.requests_for("create_treatment_plan").len(), 5);
}
