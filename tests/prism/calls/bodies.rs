//! Calls with a body: one with the required fields, one with all fields.

use fullscript::Client;
use fullscript::types::*;
use fullscript::value::{Date, Decimal};
use serde_json::{Map, json};

use super::send;

pub(crate) async fn send_least(client: &Client, sent: &mut Vec<&'static str>) {
    let file = "data:application/pdf;base64,JVBERi0=";
    send! { client, sent;
        create_gateway_treatment_plan_link.body(CreateGatewayTreatmentPlanLinkRequest::new());
        create_oauth_token.body(
            CreateOauthTokenRequest::new(GrantType::RefreshToken, "id", "secret")
        );
        create_patient.body(CreatePatientRequest::new("person@example.com", "Example", "Person"));
        create_practitioner.body(
            CreatePractitionerRequest::new("1", "person@example.com", "Example", "Person")
        );
        create_practitioner_resource.practitioner_id("1").body(
            CreatePractitionerResourceRequest::new(file, "Sleep", false)
        );
        create_session_grant.body(CreateSessionGrantRequest::new());
        create_staff_member.body(CreateStaffMemberRequest::new("person@example.com", "Example", "Person"));
        create_treatment_plan
            .patient_id("1")
            .body(CreateTreatmentPlanRequest::draft(vec![least_recommendation()]));
        create_treatment_plan
            .patient_id("1")
            .body(CreateTreatmentPlanRequest::active(vec![]));
        create_treatment_plan_link.body(
            CreateTreatmentPlanLinkRequest::new(CreateTreatmentPlanLinkRequestTreatmentPlan::new("1"))
        );
        revoke_oauth_token.body(
            RevokeOauthTokenRequest::new("id", "secret", "token")
        );
        update_patient.id("1").body(UpdatePatientRequest::new());
        update_practitioner.id("1").body(UpdatePractitionerRequest::new());
        update_practitioner_resource.practitioner_id("1").id("2").body(Map::new());
        update_staff_member.id("1").body(UpdateStaffMemberRequest::new());
        update_treatment_plan.id("1").body(UpdateTreatmentPlanRequest::new());
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
            CreatePractitionerResourceRequest::new(file, "Sleep", true)
                .category(ResourceCategory::HealthConditions)
                .treatment_plan_id("1")
                .type_(ResourceType::MealPlan)
        );
        create_session_grant.body(
            CreateSessionGrantRequest::new()
                .user_id("1")
                .user_type(UserType::Practitioner)
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
            CreateGatewayTreatmentPlanLinkRequest::new()
                .entrypoint(Entrypoint::Labs)
                .patient(CreateGatewayTreatmentPlanLinkRequestPatient::new()
                        .date_of_birth(birth())
                        .discount(discount())
                        .email("patient@example.com")
                        .external_id("ehr-1")
                        .first_name("Example")
                        .gender(Gender::X)
                        .id("1")
                        .last_name("Patient")
                        .mobile_number("+12223334444")
                        .send_welcome_email(true))
                .treatment_plan(CreateGatewayTreatmentPlanLinkRequestTreatmentPlan::new()
                        .practitioner_id("1"))
        );
        create_treatment_plan_link.body(
            CreateTreatmentPlanLinkRequest::new(CreateTreatmentPlanLinkRequestTreatmentPlan::new("1"))
                .entrypoint(Entrypoint::Catalog)
                .patient(CreateTreatmentPlanLinkRequestPatient::new()
                        .date_of_birth(birth())
                        .discount(discount())
                        .email("patient@example.com")
                        .first_name("Example")
                        .gender(Gender::Female)
                        .last_name("Patient")
                        .mobile_number("+12223334444")
                        .send_welcome_email(false))
        );
    }
}

async fn oauth(client: &Client, sent: &mut Vec<&'static str>) {
    send! { client, sent;
        create_oauth_token.body(
            CreateOauthTokenRequest::new(GrantType::AuthorizationCode, "id", "secret")
                .code("code")
                .redirect_uri("https://ehr.example/callback")
                .refresh_token("token")
        );
    }
}

async fn people(client: &Client, sent: &mut Vec<&'static str>) {
    send! { client, sent;
        create_patient.body(
            CreatePatientRequest::new("person@example.com", "Example", "Person")
                .date_of_birth(birth())
                .discount(discount())
                .gender(Gender::Male)
                .metadata(metadata())
                .mobile_number("+12223334444")
                .send_welcome_email(true)
        );
        create_practitioner.body(
            CreatePractitionerRequest::new("1", "person@example.com", "Example", "Person")
                .metadata(metadata())
        );
        create_staff_member.body(
            CreateStaffMemberRequest::new("person@example.com", "Example", "Person").metadata(metadata())
        );
        update_patient.id("1").body(
            UpdatePatientRequest::new()
                .date_of_birth(birth())
                .discount(discount())
                .email("patient@example.com")
                .first_name("Example")
                .gender(Gender::Male)
                .last_name("Patient")
                .metadata(metadata())
                .mobile_number("+12223334444")
        );
        update_practitioner.id("1").body(
            UpdatePractitionerRequest::new()
                .email("practitioner@example.com")
                .first_name("Example")
                .last_name("Practitioner")
                .metadata(metadata())
        );
        update_staff_member.id("1").body(
            UpdateStaffMemberRequest::new()
                .email("staff@example.com")
                .first_name("Example")
                .last_name("Staff")
                .metadata(metadata())
        );
    }
}

async fn plans(client: &Client, sent: &mut Vec<&'static str>) {
    let lab = LabInput::new("1")
        .quantity(2)
        .sample_collection(SampleCollection::PatientChooses);
    send! { client, sent;
        create_treatment_plan.patient_id("1").idempotency_key("key-1").body(
            CreateTreatmentPlanRequest::draft(vec![full_recommendation(), least_recommendation()])
                .labs([lab])
                .metadata(metadata())
                .partner_order_id("order-1")
                .personal_message("Take with a meal.")
                .practitioner_id("1")
                .send_to_patient(false)
                .skip_email_notification(true)
        );
        update_treatment_plan.id("1").body(
            UpdateTreatmentPlanRequest::new()
                .metadata(metadata())
                .personal_message("Take with a meal.")
                .recommendations([full_recommendation()])
                .resource_ids(["1"])
        );
    }
}

fn least_recommendation() -> RecommendationInput {
    RecommendationInput::new("1", 1)
}

fn full_recommendation() -> RecommendationInput {
    let dosage = RecommendationDosageInput::new()
        .additional_info("with water")
        .amount("1-2")
        .duration("2 weeks")
        .format(DosageFormat::Capsule)
        .frequency(DosageFrequency::TwicePerDay)
        .time_of_day("morning");
    RecommendationInput::new("1", 2)
        .dosage(dosage)
        .refill(true)
        .take_with("food")
}

fn metadata() -> ObjectMetadataInput {
    ObjectMetadataInput::new().id("ehr-1")
}

fn birth() -> Date {
    "1977-01-12".parse().unwrap()
}

fn discount() -> Decimal {
    "12.5".parse().unwrap()
}
