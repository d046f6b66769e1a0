//! Patients, practitioners and staff: created records exist.

use fullscript::Client;
use fullscript::http::Method;
use fullscript::testing::FakeFullscript;
use fullscript::types::{
    CreatePatientRequest, CreatePractitionerResourceRequest, CreateStaffMemberRequest, Gender,
    MetadataOwner, ObjectMetadataInput, UpdatePatientRequest, UpdateStaffMemberRequest,
};

use serde_json::{Map, Value, json};

fn basil() -> fullscript::types::CreatePatientRequest {
    CreatePatientRequest::new("basil@example.com", "Basil", "Imaginary")
}

async fn count(client: &Client) -> usize {
    client
        .list_patients()
        .items()
        .collect_all()
        .await
        .unwrap()
        .len()
}

#[tokio::test]
async fn a_created_patient_is_got_listed_and_found() {
    let fake = FakeFullscript::start().await.unwrap();
    let client = fake.client();
    let body = basil()
        .discount("12.5".parse::<fullscript::value::Decimal>().unwrap())
        .gender(Gender::X);
    let created = client.create_patient().body(body).send().await.unwrap();
    assert_eq!(created.status(), 201);
    let created = created.into_inner().patient;
    assert_eq!(created.discount.as_ref().unwrap().as_str(), "12.5");
    let got = client
        .get_patient()
        .id(created.id.clone())
        .send()
        .await
        .unwrap();
    assert_eq!(got.patient, created);
    assert_eq!(count(&client).await, 2);
    for (query, found) in [
        ("imaginary BAS", 1),
        ("basil@", 1),
        ("example", 2),
        ("nobody", 0),
    ] {
        let listed = client.search_patients().query(query).send().await.unwrap();
        assert_eq!(listed.patients.len(), found, "{query}");
    }
    assert_eq!(fake.patients()[1]["id"], created.id.as_str());
}

#[tokio::test]
async fn an_update_clears_a_field_by_an_explicit_null() {
    let fake = FakeFullscript::start().await.unwrap();
    let id = fake.patients()[0]["id"].as_str().unwrap().to_string();
    let set = UpdatePatientRequest::new().mobile_number("+12025550100");
    let update = |body| fake.client().update_patient().id(&id).body(body);
    update(set).await.unwrap();
    let clear = UpdatePatientRequest::new().clear_mobile_number();
    let updated = update(clear).await.unwrap();
    assert_eq!(updated.patient.mobile_number, None);
    assert!(updated.patient.first_name.is_some());
    let sent = fake.requests_for("update_patient").pop().unwrap();
    assert_eq!(sent.body, Some(json!({"mobile_number": null})));
    let unknown = Map::from_iter([("nickname".to_string(), Value::Null)]);
    let call = fake
        .client()
        .request(Method::PATCH, &format!("/api/clinic/patients/{id}"));
    let error = call.json(&unknown).send::<Value>().await.unwrap_err();
    assert!(error.is_validation(), "{error}");
}

#[tokio::test]
async fn an_update_changes_only_the_given_fields() {
    let fake = FakeFullscript::start().await.unwrap();
    let client = fake.client();
    let before = fake.patients()[0].clone();
    let id = before["id"].as_str().unwrap();
    let body = UpdatePatientRequest::new().mobile_number("+12025550100");
    let updated = client
        .update_patient()
        .id(id)
        .body(body)
        .send()
        .await
        .unwrap();
    assert_eq!(
        updated.patient.mobile_number.as_deref(),
        Some("+12025550100")
    );
    let mut expected = before.clone();
    expected["mobile_number"] = "+12025550100".into();
    assert_eq!(fake.patients()[0], expected);
}

#[tokio::test]
async fn a_duplicate_or_invalid_email_address_is_rejected() {
    let fake = FakeFullscript::start().await.unwrap();
    let client = fake.client();
    for (body, messages) in [
        (
            basil().email("PATIENT@example.com"),
            ["Email has already been taken"].as_slice(),
        ),
        (basil().email("basil"), &["Email is invalid"]),
        (
            basil().email("").last_name(" "),
            &[
                "Last name can't be blank",
                "Email can't be blank",
                "Email is invalid",
            ],
        ),
    ] {
        let error = client.create_patient().body(body).send().await.unwrap_err();
        assert!(error.is_validation(), "{error}");
        assert_eq!(error.messages(), messages);
    }
    assert_eq!(count(&client).await, 1);
    // A record's own email address is not a duplicate.
    let own = fake.patients()[0].clone();
    let body = UpdatePatientRequest::new().email(own["email"].as_str().unwrap());
    let id = own["id"].as_str().unwrap();
    client
        .update_patient()
        .id(id)
        .body(body)
        .send()
        .await
        .unwrap();
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let fake = FakeFullscript::start().await.unwrap();
    let client = fake.client();
    let refused = [
        client.get_patient().id("1").send().await.unwrap_err(),
        client
            .list_patient_orders()
            .patient_id("1")
            .send()
            .await
            .unwrap_err(),
        client
            .get_treatment_plan()
            .id("1")
            .send()
            .await
            .unwrap_err(),
        client
            .cancel_treatment_plan()
            .id("1")
            .send()
            .await
            .unwrap_err(),
        client.get_order().id("1").send().await.unwrap_err(),
        client.get_lab_order().id("1").send().await.unwrap_err(),
        client.get_staff_member().id("1").send().await.unwrap_err(),
        client.get_practitioner().id("1").send().await.unwrap_err(),
        client.get_product().id("1").send().await.unwrap_err(),
        client.get_brand().id("1").send().await.unwrap_err(),
        client.get_event().id("1").send().await.unwrap_err(),
    ];
    for error in refused {
        assert!(error.is_not_found(), "{error}");
        assert_eq!(error.messages(), ["Not Found"]);
    }
}

#[tokio::test]
async fn staff_are_stored_like_patients() {
    let fake = FakeFullscript::start().await.unwrap();
    let client = fake.client();
    let body = CreateStaffMemberRequest::new("clover@example.com", "Clover", "Sample");
    let created = client
        .create_staff_member()
        .body(body)
        .send()
        .await
        .unwrap();
    let id = created.into_inner().staff.id;
    let body = UpdateStaffMemberRequest::new().last_name("Specimen");
    client
        .update_staff_member()
        .id(id.clone())
        .body(body)
        .send()
        .await
        .unwrap();
    let got = client
        .get_staff_member()
        .id(id)
        .send()
        .await
        .unwrap()
        .into_inner()
        .staff;
    assert_eq!(got.first_name.as_deref(), Some("Clover"));
    assert_eq!(got.last_name.as_deref(), Some("Specimen"));
    assert_eq!(client.list_staff().send().await.unwrap().staff.len(), 3);
}

#[tokio::test]
async fn a_resource_exists_until_it_is_deleted() {
    let fake = FakeFullscript::start().await.unwrap();
    let client = fake.client();
    let practitioners = client.list_practitioners().send().await.unwrap();
    let practitioner = practitioners.practitioners[0].id.clone();
    let mut ids = Vec::new();
    for name in ["Exercises", "Meals", "Sleep"] {
        let body = CreatePractitionerResourceRequest::new("data", name, true);
        let create = client.create_practitioner_resource();
        let create = create.practitioner_id(practitioner.clone()).body(body);
        let created = create.send().await.unwrap().into_inner();
        assert_eq!(created["resource"]["name"], name);
        ids.push(created["resource"]["id"].as_str().unwrap().to_string());
    }
    let get = |id: &str| {
        let get = client.get_practitioner_resource();
        get.practitioner_id(practitioner.clone()).id(id)
    };
    let delete = client.delete_practitioner_resource();
    let delete = delete.practitioner_id(practitioner.clone()).id(&*ids[0]);
    assert_eq!(delete.send().await.unwrap().status(), 204);
    assert!(get(&ids[0]).send().await.unwrap_err().is_not_found());
    for (id, name) in [(&ids[1], "Meals"), (&ids[2], "Sleep")] {
        let got = get(id).send().await.unwrap();
        assert_eq!(got["resource"]["name"], name);
    }
    let list = client.list_practitioner_resources();
    let list = list.practitioner_id(practitioner).send().await.unwrap();
    assert_eq!(list["resources"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn things_are_found_by_the_callers_own_ids() {
    let fake = FakeFullscript::start().await.unwrap();
    let client = fake.client();
    let metadata = ObjectMetadataInput::new().id("ehr-7");
    let body = basil().metadata(metadata);
    let created = client.create_patient().body(body).send().await.unwrap();
    let id = created.into_inner().patient.id;
    for (kind, count) in [(MetadataOwner::Patient, 1), (MetadataOwner::Staff, 0)] {
        let call = client.find_objects_by_metadata().id("ehr-7").type_(kind);
        let found = call.send().await.unwrap().into_inner().metadata;
        assert_eq!(found.len(), count);
        if let Some(found) = found.first() {
            assert_eq!(found.data.as_ref().unwrap()["id"], id.as_str());
        }
    }
}

#[tokio::test]
async fn a_seed_makes_the_same_clinic_again_and_another_seed_another() {
    let clinic = async |seed| {
        let fake = FakeFullscript::builder()
            .seed(seed)
            .patients(50)
            .start()
            .await
            .unwrap();
        (fake.patients(), fake.treatment_plans(), fake.orders())
    };
    let first = clinic(7).await;
    assert_eq!(first, clinic(7).await);
    assert_ne!(first, clinic(8).await);
    let (patients, plans, orders) = first;
    assert_eq!(patients.len(), 50);
    assert!(plans.len() > 5 && orders.len() > 3);
    let names = patients.iter().map(|patient| {
        let name = |field: &str| patient[field].as_str().unwrap().to_string();
        (name("first_name"), name("last_name"))
    });
    assert_eq!(names.collect::<std::collections::HashSet<_>>().len(), 50);
    let dependents = patients
        .iter()
        .filter(|patient| patient["is_dependent"] == true);
    assert!(dependents.count() > 2);
}

#[tokio::test]
async fn what_one_fake_knows_another_does_not() {
    let (one, other) = (
        FakeFullscript::start().await.unwrap(),
        FakeFullscript::start().await.unwrap(),
    );
    one.client()
        .create_patient()
        .body(basil())
        .send()
        .await
        .unwrap();
    assert_eq!((one.patients().len(), other.patients().len()), (2, 1));
}
