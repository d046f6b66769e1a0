//! Responses as the API may change them.

use fullscript::operations;
use fullscript::testing::{Drift, FakeFullscript};

#[tokio::test]
async fn a_response_drifts_the_given_number_of_times() {
    let fake = FakeFullscript::start().await.unwrap();
    let client = fake.client();
    let id = fake.treatment_plans()[0]["id"]
        .as_str()
        .unwrap()
        .to_string();
    let get = async || {
        let call = client.get_treatment_plan().id(id.as_str());
        call.send().await.unwrap().into_inner().treatment_plan
    };
    fake.drift("get_treatment_plan", 2, Drift::NewValue);
    fake.drift("get_treatment_plan", 1, Drift::Null);
    for _ in 0..2 {
        assert!(!get().await.state.unwrap().is_known());
    }
    let nothing = get().await;
    assert!(nothing.state.is_none() && nothing.recommendations.is_none());
    assert_eq!(nothing.id.as_str(), id);
    assert_eq!(get().await.state.unwrap().as_str(), "active");
}

#[tokio::test]
async fn a_refusal_does_not_use_a_drift_up() {
    let fake = FakeFullscript::start().await.unwrap();
    let client = fake.client();
    fake.drift("get_patient", 1, Drift::Null);
    client.get_patient().id("1").send().await.unwrap_err();
    let id = fake.patients()[0]["id"].as_str().unwrap().to_string();
    let patient = client
        .get_patient()
        .id(id)
        .send()
        .await
        .unwrap()
        .into_inner()
        .patient;
    assert!(patient.first_name.is_none());
}

#[tokio::test]
async fn no_drift_fails_the_client() {
    let fake = FakeFullscript::builder().stateless().start().await.unwrap();
    let client = fake.client();
    let with_json = operations::all()
        .iter()
        .filter(|one| one.authenticated && one.id != "delete_practitioner_resource");
    for operation in with_json {
        for drift in [Drift::NewValue, Drift::NewField, Drift::Null] {
            fake.drift(operation.id, 1, drift);
            let path = operation.path.replace(['{', '}'], "");
            let call = client.request(operation.method.parse().unwrap(), &path);
            let answer = call.send::<serde_json::Value>().await.unwrap().into_inner();
            let back = fullscript::testing::round_trip(operation.id, 200, &answer);
            back.unwrap_or_else(|error| panic!("{} {drift:?}: {error}", operation.id));
            if drift == Drift::NewField {
                assert!(answer["newly_invented"].is_object(), "{}", operation.id);
            }
        }
    }
}
