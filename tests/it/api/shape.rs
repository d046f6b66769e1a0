//! The shape of the public API: types that can be moved into tasks, awaited, and extended later.

use std::path::Path;

use fullscript::replay::{Cursor, Replay};
use fullscript::testing::FakeFullscript;
use fullscript::types::{CreateTreatmentPlanRequest, Patient, RecommendationInput};
use fullscript::webhook::MemoryEventLog;
use fullscript::{Items, Pages, builder};
use futures_util::future::join_all;

use crate::support::{Connected, connect, is_public, rust_files};

#[tokio::test]
async fn a_request_builder_moves_into_a_task() {
    let fake = FakeFullscript::start().await.unwrap();
    let task = tokio::spawn(fake.client().get_clinic().send());
    assert!(task.await.unwrap().unwrap().clinic.name.is_some());
}

#[tokio::test]
async fn requests_of_several_users_run_together() {
    let Connected { fake, app, .. } = Connected::new().await;
    let users = ["practitioner", "another", "third"];
    for user in &users[1..] {
        connect(&fake, &app, user).await;
    }
    let requests = users
        .iter()
        .map(|user| app.client(user).get_clinic().send());
    assert_eq!(join_all(requests).await.iter().flatten().count(), 3);
}

#[tokio::test]
async fn a_request_builder_can_be_awaited() {
    let fake = FakeFullscript::start().await.unwrap();
    let client = fake.client();
    let listed = client.list_patients().page_size(1).await.unwrap();
    let patient = client.get_patient().id(&listed.patients[0].id).await;
    assert_eq!(patient.unwrap().patient.id, listed.patients[0].id);
    assert_eq!(fake.count("get_patient"), 1);
}

#[tokio::test]
async fn setters_take_what_callers_have() {
    let fake = FakeFullscript::start().await.unwrap();
    let client = fake.client();
    let patient = client.list_patients().await.unwrap().patients[0].id.clone();
    let message: Option<String> = None;
    let variant = fake.treatment_plans()[0]["recommendations"][0]["variant_id"].clone();
    let recommendation = RecommendationInput::new(variant.as_str().unwrap(), 2);
    let plan = CreateTreatmentPlanRequest::draft([recommendation])
        .set_personal_message(message)
        .metadata(fullscript::types::ObjectMetadataInput::new().id("ehr-7"));
    let created = client
        .create_treatment_plan()
        .patient_id(&patient)
        .body(plan);
    assert!(created.await.is_ok());
    let orders = client.list_orders().patient_id(patient.as_str()).await;
    assert!(orders.is_ok());
    let orders = client.list_orders().set_patient_id(Some(patient)).await;
    assert!(orders.is_ok());
}

#[test]
fn streams_builders_and_futures_cross_threads() {
    fn is_shared<T: Send + Sync>() {}
    fn is_sent<T: Send>(_: &T) {}
    is_shared::<Pages<Patient>>();
    is_shared::<Items<Patient>>();
    is_shared::<Replay>();
    is_shared::<builder::ListPatients>();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let client = FakeFullscript::start().await.unwrap().client();
        is_sent(&client.list_patients().send());
        is_sent(
            &client
                .events(MemoryEventLog::new())
                .replay(Cursor::default()),
        );
    });
}

#[test]
fn public_structs_with_public_fields_can_grow() {
    let mut checked = 0;
    let mut exhaustive = Vec::new();
    let mut check = |text: &str| {
        let file = syn::parse_file(text).unwrap();
        for item in file.items {
            let syn::Item::Struct(item) = item else {
                continue;
            };
            let named = matches!(item.fields, syn::Fields::Named(_));
            if is_public(&item.vis)
                && named
                && item.fields.iter().any(|field| is_public(&field.vis))
            {
                checked += 1;
                let grows = item
                    .attrs
                    .iter()
                    .any(|own| own.path().is_ident("non_exhaustive"));
                let name = item.ident.to_string();
                if !grows {
                    exhaustive.push(name);
                }
            }
        }
    };
    let source = Path::new(super::ROOT).join("src");
    rust_files(&source).iter().for_each(|(_, text)| check(text));
    check(&super::GENERATED.types);
    assert!(checked > 100, "only {checked} structs were checked");
    assert!(
        exhaustive.is_empty(),
        "add `#[non_exhaustive]` and a constructor: {exhaustive:?}"
    );
}
