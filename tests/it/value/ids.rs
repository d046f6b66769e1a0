//! Valid characters of ids in paths, and the separation of id types.

use fullscript::testing::FakeFullscript;
use fullscript::types::{self, CreatePractitionerResourceRequest, CreateTreatmentPlanRequest};
use fullscript::{Client, Error, operations};
use serde::de::DeserializeOwned;

use Given::{ByTheCaller, ByTheServer};

#[tokio::test]
async fn an_id_that_is_no_part_of_a_path_is_not_sent() {
    let fake = FakeFullscript::start().await.unwrap();
    for text in ["", ".", ".."] {
        for (operation, result) in call_each(&fake.client(), ByTheCaller(text)).await {
            let error = result.unwrap_err();
            assert!(error.is_invalid_request(), "{operation} {text:?}: {error}");
            assert!(
                error.to_string().contains("id"),
                "{operation} {text:?}: {error}"
            );
        }
    }
    assert_eq!(paths(&fake), [""; 0]);
}

#[tokio::test]
async fn the_error_of_a_call_says_why_its_id_is_refused() {
    let fake = FakeFullscript::start().await.unwrap();
    let error = fake.client().get_patient().id("").send().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "get_patient: not sent: an id in the path is empty or leads to another operation"
    );
}

/// The `http` crate rejects such a URL, which would look like a connection failure.
#[tokio::test]
async fn a_request_with_a_url_that_is_too_long_is_not_sent() {
    let fake = FakeFullscript::start().await.unwrap();
    let (client, text) = (fake.client(), "x".repeat(70_000));
    let in_path = client.get_patient().id(&text).await.unwrap_err();
    let in_query = client.search_products().query(&text).await.unwrap_err();
    for error in [in_path, in_query] {
        assert!(error.is_invalid_request(), "{error}");
        assert!(!error.may_have_arrived());
    }
    assert_eq!(paths(&fake), [""; 0]);
}

#[tokio::test]
async fn a_server_id_that_changes_the_path_is_kept_but_not_sent() {
    let fake = FakeFullscript::start().await.unwrap();
    for text in ["", ".", ".."] {
        assert_eq!(from_the_server::<types::PatientId>(text).as_str(), text);
        for (operation, result) in call_each(&fake.client(), ByTheServer(text)).await {
            let error = result.unwrap_err();
            assert!(error.is_invalid_request(), "{operation} {text:?}: {error}");
        }
    }
    assert_eq!(paths(&fake), [""; 0]);
}

#[tokio::test]
async fn an_id_of_any_characters_reaches_its_own_operation() {
    for text in [
        "a/b", "../..", "%2e%2e", "a%2Fb", "ü患者", "a b", "a?b#c", "..;", "a+b&c=d", "a\nb",
        "a\u{85}",
    ] {
        for given in [ByTheCaller(text), ByTheServer(text)] {
            let fake = FakeFullscript::builder().stateless().start().await.unwrap();
            for (operation, result) in call_each(&fake.client(), given).await {
                result.unwrap_or_else(|error| panic!("{operation} {text:?}: {error}"));
                check_arrived(&fake, operation, text);
            }
        }
    }
}

/// A URL parser treats a backslash as a slash.
#[tokio::test]
async fn an_id_with_a_backslash_reaches_its_own_operation() {
    for text in [r"a\b", r"x\..\y", r"..\..\orders", r"..\"] {
        let fake = FakeFullscript::builder().stateless().start().await.unwrap();
        for (operation, result) in call_each(&fake.client(), ByTheCaller(text)).await {
            result.unwrap_or_else(|error| panic!("{operation} {text:?}: {error}"));
            check_arrived(&fake, operation, text);
        }
    }
}

#[tokio::test]
async fn an_id_that_is_the_last_part_of_another_operations_path_is_not_sent() {
    let fake = FakeFullscript::start().await.unwrap();
    let error = fake
        .client()
        .get_event()
        .id("orders")
        .send()
        .await
        .unwrap_err();
    assert!(error.is_invalid_request(), "{error}");
    assert_eq!(paths(&fake), [""; 0]);
}

#[tokio::test]
async fn every_operation_with_an_id_in_its_path_is_called_here() {
    let fake = FakeFullscript::start().await.unwrap();
    let results = call_each(&fake.client(), ByTheCaller("1")).await;
    let called: Vec<_> = results.iter().map(|(operation, _)| *operation).collect();
    let all = operations::all()
        .iter()
        .filter(|operation| operation.path.contains('{'));
    assert_eq!(
        called,
        all.map(|operation| operation.id).collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn a_plan_without_a_body_is_not_sent() {
    let fake = FakeFullscript::start().await.unwrap();
    let call = fake.client().create_treatment_plan().patient_id("1");
    let error = call.send().await.unwrap_err();
    assert!(error.is_invalid_request(), "{error}");
    assert_eq!(
        error.to_string(),
        "create_treatment_plan: not sent: `body` is required but was not set"
    );
    assert_eq!(paths(&fake), [""; 0]);
}

/// The origin of an id.
#[derive(Clone, Copy)]
enum Given<'a> {
    ByTheCaller(&'a str),
    ByTheServer(&'a str),
}

fn from_the_server<T: DeserializeOwned>(text: &str) -> T {
    serde_json::from_value(text.into()).expect("any text decodes as an id")
}

macro_rules! given {
    ($($id:ident),+ $(,)?) => {$(
        impl From<Given<'_>> for types::$id {
            fn from(given: Given<'_>) -> Self {
                match given {
                    ByTheCaller(text) => text.into(),
                    ByTheServer(text) => from_the_server(text),
                }
            }
        }
    )+};
}

given! {
    AllergenId, BrandId, CategoryId, EventId, IngredientId, LabId, LabOrderId, LabTestId, OrderId,
    PatientId, PractitionerId, ProductId, ProtocolId, ResourceId, StaffId, SupplementTypeId,
    TemplateId, ThirdPartyCertificationId, TreatmentPlanId, VariantId,
}

macro_rules! calls {
    ($client:ident, $given:ident; $($operation:ident($($variable:ident),+ $(; $body:expr)?)),+ $(,)?) => {
        vec![$({
            let call = $client.$operation()$(.$variable($given))+$(.body($body))?;
            (stringify!($operation), Box::pin(call.send()).await.map(drop))
        }),+]
    };
}

/// Calls every operation that has ids in its path with this id.
async fn call_each(client: &Client, given: Given<'_>) -> Vec<(&'static str, Result<(), Error>)> {
    let plan = CreateTreatmentPlanRequest::draft(vec![]);
    let resource = CreatePractitionerResourceRequest::new("data", "name", false);
    calls! {
        client, given;
        activate_treatment_plan(id),
        cancel_treatment_plan(id),
        create_in_office_checkout(id),
        create_practitioner_resource(practitioner_id; resource),
        create_treatment_plan(patient_id; plan),
        delete_practitioner_resource(practitioner_id, id),
        get_allergen(id),
        get_brand(id),
        get_category(id),
        get_event(id),
        get_ingredient(id),
        get_lab_order(id),
        get_lab_test(id),
        get_order(id),
        get_orderable_lab(id),
        get_patient(id),
        get_practitioner(id),
        get_practitioner_resource(practitioner_id, id),
        get_product(id),
        get_protocol(id),
        get_staff_member(id),
        get_supplement_type(id),
        get_template(id),
        get_third_party_certification(id),
        get_treatment_plan(id),
        get_treatment_plan_link(id),
        get_variant(id),
        list_category_products(category_id),
        list_patient_addresses(patient_id),
        list_patient_dependents(patient_id),
        list_patient_orders(patient_id),
        list_patient_treatment_plans(patient_id),
        list_practitioner_protocols(practitioner_id),
        list_practitioner_resources(practitioner_id),
        list_practitioner_templates(practitioner_id),
        list_similar_products(product_id),
        update_patient(id),
        update_practitioner(id),
        update_practitioner_resource(practitioner_id, id; serde_json::Map::new()),
        update_staff_member(id),
        update_treatment_plan(id),
    }
}

fn paths(fake: &FakeFullscript) -> Vec<String> {
    fake.requests()
        .into_iter()
        .map(|request| request.target)
        .collect()
}

/// Asserts that the fake received this operation with `text` as each path parameter.
#[track_caller]
fn check_arrived(fake: &FakeFullscript, operation: &str, text: &str) {
    let path = operations::find(operation).unwrap().path;
    let requests = fake.requests();
    let mut own = requests
        .iter()
        .filter(|request| request.operation_id.as_deref() == Some(operation));
    let request = own
        .next()
        .unwrap_or_else(|| panic!("{operation} was not reached with {text:?}"));
    for (part, sent) in path.split('/').zip(request.target.split('/')) {
        let expected = if part.starts_with('{') { text } else { part };
        assert_eq!(decode(sent), expected, "{}", request.target);
    }
}

/// Decodes a percent-encoded path segment.
fn decode(part: &str) -> String {
    let (mut bytes, mut rest) = (Vec::new(), part.as_bytes());
    while let [first, tail @ ..] = rest {
        let coded = tail
            .get(..2)
            .filter(|_| *first == b'%')
            .and_then(|digits| std::str::from_utf8(digits).ok());
        match coded.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
