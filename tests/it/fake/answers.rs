//! The fake's responses match the document.

use boon::{Compiler, Draft, Schemas};
use fullscript::http::Method;
use fullscript::operations::{self, Operation};
use fullscript::testing::{FakeFullscript, round_trip};
use serde_json::{Value, json};

use crate::value::round_trip::difference;

#[tokio::test]
async fn every_response_matches_the_document_and_round_trips() {
    let fake = FakeFullscript::builder()
        .seed(7)
        .patients(40)
        .products(5)
        .start()
        .await
        .unwrap();
    let event = fake.web_app().add_order(&json!({}));
    assert!(event["id"].is_string());
    fake.web_app().add_patient(&json!({}));
    fake.web_app()
        .add_lab_order(&json!({"state": "results_ready"}));
    fake.web_app()
        .change_patient(fake.patients()[3]["id"].as_str().unwrap(), &json!({}));
    let document = Document::read();
    let client = fake.client();
    let mut checked = 0;
    for operation in operations::all().iter().filter(|one| one.authenticated) {
        let target = target(&fake, operation).await;
        let method: Method = operation.method.parse().unwrap();
        let mut call = client.request(method, &target);
        if let Some(body) = body(&fake, operation) {
            call = call.json(&body);
        }
        if operation.id == "delete_practitioner_resource" {
            continue;
        }
        let answer = call.send::<Value>().await;
        let answer = answer.unwrap_or_else(|error| panic!("{error} {:?}", error.messages()));
        let (status, answer) = (answer.status().as_u16(), answer.into_inner());
        document.check(operation, status, &answer);
        let back = round_trip(operation.id, status, &answer).unwrap();
        let mut lost = Vec::new();
        difference(&answer, &back, "", &mut lost);
        assert!(lost.is_empty(), "{}: {lost:?}", operation.id);
        checked += 1;
    }
    assert_eq!(checked, 75);
}

/// The path with ids of existing records.
async fn target(fake: &FakeFullscript, operation: &Operation) -> String {
    let client = fake.client();
    let text = |value: &Value| value["id"].as_str().unwrap().to_string();
    let practitioner = client.list_practitioners().send().await.unwrap();
    let practitioner = practitioner.practitioners[0].id.as_str().to_string();
    let mut path = operation.path.to_string();
    if !path.contains('{') {
        return path;
    }
    let draft = || {
        fake.web_app()
            .add_treatment_plan(&json!({"state": "draft"}))
    };
    let active = || {
        fake.web_app()
            .add_treatment_plan(&json!({"state": "active"}))
    };
    let recorded = |id: &str, name: &str| {
        let document: Value =
            serde_json::from_str(include_str!("../../../spec/openapi.normalized.json")).unwrap();
        let operation = operations::find(id).unwrap();
        let success = &document["paths"][operation.path]["get"]["responses"]["200"];
        text(&success["content"]["application/json"]["example"][name])
    };
    let resource = async || {
        let path = format!("/api/clinic/practitioners/{practitioner}/resources");
        let body = json!({"attachment": "data", "name": "name", "save_to_library": "true"});
        let call = client.request(Method::POST, &path).json(&body);
        text(&call.send::<Value>().await.unwrap()["resource"])
    };
    let id = match operation.id {
        "get_patient" | "update_patient" => text(&fake.patients()[0]),
        "get_treatment_plan" | "update_treatment_plan" | "get_treatment_plan_link" => {
            text(&fake.treatment_plans()[0])
        }
        "activate_treatment_plan" => text(&draft()),
        "cancel_treatment_plan" | "create_in_office_checkout" => text(&active()),
        "get_order" => text(&fake.orders()[0]),
        "get_lab_order" => recorded("get_lab_order", "order"),
        "get_practitioner" | "update_practitioner" => practitioner.clone(),
        "get_staff_member" | "update_staff_member" => recorded("get_staff_member", "staff"),
        "get_event" => {
            let events = client.list_order_events().send().await.unwrap();
            events.events[0].id.as_str().to_string()
        }
        "get_practitioner_resource" | "update_practitioner_resource" => resource().await,
        id => {
            let name = id.strip_prefix("get_").unwrap_or_default();
            match name {
                "lab_test" | "orderable_lab" | "" => "1".into(),
                name => recorded(id, name),
            }
        }
    };
    for (name, value) in [
        ("{practitioner_id}", practitioner.as_str()),
        ("{patient_id}", &text(&fake.patients()[0])),
        (
            "{product_id}",
            &recorded_or(&recorded, operation, "get_product", "product"),
        ),
        (
            "{category_id}",
            &recorded_or(&recorded, operation, "get_category", "category"),
        ),
        ("{id}", &id),
    ] {
        path = path.replace(name, value);
    }
    path
}

fn recorded_or(
    recorded: &impl Fn(&str, &str) -> String,
    operation: &Operation,
    id: &str,
    name: &str,
) -> String {
    if operation.path.contains(&format!("{{{name}_id}}")) {
        recorded(id, name)
    } else {
        String::new()
    }
}

/// A body for an operation that requires one.
fn body(fake: &FakeFullscript, operation: &Operation) -> Option<Value> {
    let plans = fake.treatment_plans();
    let (variant, practitioner) = (
        &plans[0]["recommendations"][0]["variant_id"],
        &plans[0]["practitioner"]["id"],
    );
    let recommendations = json!([{
        "variant_id": variant,
        "units_to_purchase": "2",
        "refill": "true",
        "take_with": "food",
        "dosage": {"amount": "1", "time_of_day": "morning", "format": "capsule"},
    }]);
    let person = |email: &str| json!({"first_name": "A", "last_name": "B", "email": email});
    Some(match operation.id {
        "create_patient" => {
            let mut patient = person("created@example.com");
            patient["discount"] = "12.5".into();
            patient["metadata"] = json!({"id": "ehr-1"});
            patient["send_welcome_email"] = "false".into();
            patient
        }
        "create_staff_member" => person("created@example.com"),
        "create_practitioner" => {
            let mut practitioner = person("created@example.com");
            practitioner["practitioner_type_id"] = "x8x1x0x2-51x3-4x3x-9x55-7x2x8x4x6x21".into();
            practitioner
        }
        "update_patient" | "update_staff_member" | "update_practitioner" => {
            json!({"first_name": "C"})
        }
        "create_treatment_plan" => json!({
            "state": "active",
            "recommendations": recommendations,
            "labs": [{"lab_test_id": "1"}],
        }),
        "update_treatment_plan" => json!({"recommendations": recommendations}),
        "create_treatment_plan_link" => {
            json!({"treatment_plan": {"practitioner_id": practitioner}})
        }
        "create_gateway_treatment_plan_link" | "create_session_grant" => json!({}),
        "create_practitioner_resource" => {
            json!({"attachment": "data", "name": "name", "save_to_library": true})
        }
        "update_practitioner_resource" => json!({"name": "other"}),
        _ => return None,
    })
}

/// The document as JSON Schema.
struct Document(Value);

impl Document {
    fn read() -> Self {
        let text = include_str!("../../../spec/openapi.normalized.json");
        let mut document = serde_json::from_str(text).unwrap();
        nullable(&mut document);
        Self(document)
    }

    fn check(&self, operation: &Operation, status: u16, answer: &Value) {
        let method = operation.method.to_lowercase();
        let path = operation.path.replace('~', "~0").replace('/', "~1");
        let place =
            format!("/paths/{path}/{method}/responses/{status}/content/application~1json/schema");
        assert!(
            self.0.pointer(&place).is_some(),
            "{}: no {status}",
            operation.id
        );
        let (mut compiler, mut schemas) = (Compiler::new(), Schemas::new());
        compiler.set_default_draft(Draft::V2020_12);
        compiler
            .add_resource("https://document.invalid/", self.0.clone())
            .unwrap();
        let place = place.replace('{', "%7B").replace('}', "%7D");
        let index = compiler
            .compile(&format!("https://document.invalid/#{place}"), &mut schemas)
            .unwrap();
        if let Err(error) = schemas.validate(answer, index) {
            panic!("{}: {error:#} in {answer:#}", operation.id);
        }
    }
}

/// Converts OpenAPI 3.0 `nullable` to an alternative of JSON Schema, and disallows undeclared
/// fields.
fn nullable(schema: &mut Value) {
    match schema {
        Value::Array(all) => all.iter_mut().for_each(nullable),
        Value::Object(own) => {
            own.values_mut().for_each(nullable);
            if own.contains_key("properties") && !own.contains_key("additionalProperties") {
                own.insert("additionalProperties".into(), false.into());
            }
            if own.get("nullable") == Some(&json!(true)) {
                let schema = std::mem::take(own);
                own.insert("anyOf".into(), json!([schema, {"type": "null"}]));
            }
        }
        _ => {}
    }
}
