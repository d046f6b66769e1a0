//! Calls with a body: one with what is required, one with all fields.

use std::fmt::Debug;

use fullscript::Client;
use fullscript::types::*;
use fullscript::value::{Date, Decimal, Flag};
use serde_json::{Map, json};

use super::send;

pub(crate) async fn send_least(client: &Client, sent: &mut Vec<&'static str>) {
    let file = "data:application/pdf;base64,JVBERi0=";
    send! { client, sent;
        create_gateway_treatment_plan_link.body(CreateGatewayTreatmentPlanLinkRequest::builder());
        create_oauth_token.body(
            CreateOauthTokenRequest::builder()
                .client_id("id")
                .client_secret("secret")
                .grant_type(GrantType::RefreshToken)
        );
        create_patient.body(CreatePatientRequest::builder()
                .email("person@example.com")
                .first_name("Example")
                .last_name("Person"));
        create_practitioner.body(
            CreatePractitionerRequest::builder()
                .email("person@example.com")
                .first_name("Example")
                .last_name("Person").practitioner_type_id("1")
        );
        create_practitioner_resource.practitioner_id("1").body(
            CreatePractitionerResourceRequest::builder()
                .attachment(file)
                .name("Sleep")
                .save_to_library(false)
        );
        create_session_grant.body(CreateSessionGrantRequest::builder());
        create_staff_member.body(CreateStaffMemberRequest::builder()
                .email("person@example.com")
                .first_name("Example")
                .last_name("Person"));
        create_treatment_plan
            .patient_id("1")
            .body(CreateTreatmentPlanRequest::draft(vec![least_recommendation()]));
        create_treatment_plan
            .patient_id("1")
            .body(CreateTreatmentPlanRequest::active(vec![]));
        create_treatment_plan_link.body(
            CreateTreatmentPlanLinkRequest::builder().treatment_plan(
                CreateTreatmentPlanLinkRequestTreatmentPlan::builder().practitioner_id("1")
            )
        );
        revoke_oauth_token.body(
            RevokeOauthTokenRequest::builder()
                .client_id("id")
                .client_secret("secret")
                .token("token")
        );
        update_patient.id("1").body(UpdatePatientRequest::builder());
        update_practitioner.id("1").body(UpdatePractitionerRequest::builder());
        update_practitioner_resource.practitioner_id("1").id("2").body(Map::new());
        update_staff_member.id("1").body(UpdateStaffMemberRequest::builder());
        update_treatment_plan.id("1").body(UpdateTreatmentPlanRequest::builder());
    }
}

pub(crate) async fn send_all_fields(client: &Client, sent: &mut Vec<&'static str>) {
    links(client, sent).await;
    oauth(client, sent).await;
    people(client, sent).await;
    plans(client, sent).await;
    let file = "data:application/pdf;base64,JVBERi0=";
    send! { client, sent;
        create_practitioner_resource.practitioner_id("1").body(
            CreatePractitionerResourceRequest::builder()
                .attachment(file)
                .category(Some(ResourceCategory::HealthConditions))
                .name("Sleep")
                .save_to_library(true)
                .treatment_plan_id(id::<TreatmentPlanId>())
                .type_(Some(ResourceType::MealPlan))
        );
        create_session_grant.body(
            CreateSessionGrantRequest::builder()
                .user_id(id::<UserId>())
                .user_type(Some(UserType::Practitioner))
        );
        update_practitioner_resource
            .practitioner_id("1")
            .id("2")
            .body(Map::from_iter([("name".to_string(), json!("Sleep"))]));
    }
}

async fn links(client: &Client, sent: &mut Vec<&'static str>) {
    send! { client, sent;
        create_gateway_treatment_plan_link.body(
            CreateGatewayTreatmentPlanLinkRequest::builder()
                .entrypoint(Some(Entrypoint::Labs))
                .patient(Some(
                    CreateGatewayTreatmentPlanLinkRequestPatient::builder()
                        .date_of_birth(birth())
                        .discount(discount())
                        .email(text("patient@example.com"))
                        .external_id(text("ehr-1"))
                        .first_name(text("Example"))
                        .gender(Some(Gender::X))
                        .id(id::<PatientId>())
                        .last_name(text("Patient"))
                        .mobile_number(text("+12223334444"))
                        .send_welcome_email(flag(true))
                        .try_into()
                        .unwrap()
                ))
                .treatment_plan(Some(
                    CreateGatewayTreatmentPlanLinkRequestTreatmentPlan::builder()
                        .practitioner_id(id::<PractitionerId>())
                        .try_into()
                        .unwrap()
                ))
        );
        create_treatment_plan_link.body(
            CreateTreatmentPlanLinkRequest::builder()
                .entrypoint(Some(Entrypoint::Catalog))
                .patient(Some(
                    CreateTreatmentPlanLinkRequestPatient::builder()
                        .date_of_birth(birth())
                        .discount(discount())
                        .email(text("patient@example.com"))
                        .first_name(text("Example"))
                        .gender(Some(Gender::Female))
                        .last_name(text("Patient"))
                        .mobile_number(text("+12223334444"))
                        .send_welcome_email(flag(false))
                        .try_into()
                        .unwrap()
                ))
                .treatment_plan(
                    CreateTreatmentPlanLinkRequestTreatmentPlan::builder().practitioner_id("1")
                )
        );
    }
}

async fn oauth(client: &Client, sent: &mut Vec<&'static str>) {
    send! { client, sent;
        create_oauth_token.body(
            CreateOauthTokenRequest::builder()
                .client_id("id")
                .client_secret("secret")
                .code(Some("code".into()))
                .grant_type(GrantType::AuthorizationCode)
                .redirect_uri(text("https://ehr.example/callback"))
                .refresh_token(Some("token".into()))
        );
    }
}

async fn people(client: &Client, sent: &mut Vec<&'static str>) {
    send! { client, sent;
        create_patient.body(
            CreatePatientRequest::builder()
                .email("person@example.com")
                .first_name("Example")
                .last_name("Person")
                .date_of_birth(birth())
                .discount(discount())
                .gender(Some(Gender::Male))
                .metadata(metadata())
                .mobile_number(text("+12223334444"))
                .send_welcome_email(flag(true))
        );
        create_practitioner.body(
            CreatePractitionerRequest::builder()
                .email("person@example.com")
                .first_name("Example")
                .last_name("Person")
                .metadata(metadata())
                .practitioner_type_id("1")
        );
        create_staff_member.body(
            CreateStaffMemberRequest::builder()
                .email("person@example.com")
                .first_name("Example")
                .last_name("Person").metadata(metadata())
        );
        update_patient.id("1").body(
            UpdatePatientRequest::builder()
                .date_of_birth(birth())
                .discount(discount())
                .email(text("patient@example.com"))
                .first_name(text("Example"))
                .gender(Some(Gender::Male))
                .last_name(text("Patient"))
                .metadata(metadata())
                .mobile_number(text("+12223334444"))
        );
        update_practitioner.id("1").body(
            UpdatePractitionerRequest::builder()
                .email(text("practitioner@example.com"))
                .first_name(text("Example"))
                .last_name(text("Practitioner"))
                .metadata(metadata())
        );
        update_staff_member.id("1").body(
            UpdateStaffMemberRequest::builder()
                .email(text("staff@example.com"))
                .first_name(text("Example"))
                .last_name(text("Staff"))
                .metadata(metadata())
        );
    }
}

async fn plans(client: &Client, sent: &mut Vec<&'static str>) {
    let lab: LabInput = LabInput::builder()
        .lab_test_id("1")
        .quantity(Some(2.into()))
        .sample_collection(Some(SampleCollection::PatientChooses))
        .try_into()
        .unwrap();
    send! { client, sent;
        create_treatment_plan.patient_id("1").idempotency_key("key-1").body(
            CreateTreatmentPlanRequest::draft(vec![full_recommendation(), least_recommendation()])
                .labs(Some(vec![lab]))
                .metadata(metadata())
                .partner_order_id(text("order-1"))
                .personal_message(text("Take with a meal."))
                .practitioner_id(id::<PractitionerId>())
                .send_to_patient(Some(false))
                .skip_email_notification(Some(true))
        );
        update_treatment_plan.id("1").body(
            UpdateTreatmentPlanRequest::builder()
                .metadata(metadata())
                .personal_message(text("Take with a meal."))
                .recommendations(Some(vec![full_recommendation()]))
                .resource_ids(Some(vec!["1".try_into().unwrap()]))
        );
    }
}

fn least_recommendation() -> RecommendationInput {
    RecommendationInput::builder()
        .variant_id("1")
        .units_to_purchase(1)
        .try_into()
        .unwrap()
}

fn full_recommendation() -> RecommendationInput {
    let dosage: RecommendationDosageInput = RecommendationDosageInput::builder()
        .additional_info(text("with water"))
        .amount(text("1-2"))
        .duration(text("2 weeks"))
        .format(Some(DosageFormat::Capsule))
        .frequency(Some(DosageFrequency::TwicePerDay))
        .time_of_day(text("morning"))
        .try_into()
        .unwrap();
    RecommendationInput::builder()
        .dosage(Some(dosage))
        .refill(flag(true))
        .take_with(text("food"))
        .units_to_purchase(2)
        .variant_id("1")
        .try_into()
        .unwrap()
}

fn metadata() -> Option<ObjectMetadataInput> {
    let metadata = ObjectMetadataInput::builder().id(text("ehr-1"));
    Some(metadata.try_into().unwrap())
}

fn text(text: &str) -> Option<String> {
    Some(text.into())
}

fn flag(value: bool) -> Option<Flag> {
    Some(value.into())
}

fn id<T: TryFrom<&'static str, Error: Debug>>() -> Option<T> {
    Some(T::try_from("1").unwrap())
}

fn birth() -> Option<Date> {
    Some("1977-01-12".parse().unwrap())
}

fn discount() -> Option<Decimal> {
    Some("12.5".parse().unwrap())
}
