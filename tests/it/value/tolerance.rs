//! Responses that differ from the document.

use fullscript::testing::round_trip;
use fullscript::types::{self, UpdateTreatmentPlanRequest};
use httpmock::prelude::{MockServer, PATCH, POST};
use serde_json::{Value, json};

use crate::support::{client, on_get};

use Change::{Remove, Set};

/// The document whose recorded examples represent the vendor's responses.
const DOCUMENT: &str = include_str!("../../../spec/openapi.normalized.json");

#[test]
fn every_recorded_response_round_trips() {
    let mut lost = Vec::new();
    for (operation, answer) in examples() {
        let mut expected = answer.clone();
        without_nulls(&mut expected);
        let mut back = round_trip(operation, 200, &answer).unwrap();
        without_nulls(&mut back);
        if back != expected {
            lost.push(format!("{operation}: {expected} came back as {back}"));
        }
    }
    assert!(lost.is_empty(), "{}", lost.join("\n"));
}

#[test]
fn any_field_but_an_objects_own_id_may_be_null() {
    check(|_| vec![Set(Value::Null)]);
}

#[test]
fn any_field_but_an_objects_own_id_may_be_absent() {
    check(|_| vec![Remove]);
}

#[test]
fn an_unknown_field_is_ignored() {
    let answer = json!({"patient": {"id": "1", "surprise": true}, "another": [1]});
    let back = round_trip("get_patient", 200, &answer).unwrap();
    assert_eq!(back, json!({"patient": {"id": "1"}}));
}

#[test]
fn every_object_may_gain_fields() {
    for (operation, answer) in examples() {
        let mut grown = answer.clone();
        add_fields(&mut grown);
        if let Err(error) = round_trip(operation, 200, &grown) {
            panic!("{operation}: {error}");
        }
    }
}

#[test]
fn an_unknown_enum_value_is_preserved() {
    let answer = json!({"patient": {"id": "1", "gender": "a new value"}});
    let decoded: types::PatientResponse = serde_json::from_value(answer.clone()).unwrap();
    let gender = decoded.patient.gender.as_ref().unwrap();
    assert_eq!((gender.as_str(), gender.is_known()), ("a new value", false));
    assert_eq!(serde_json::to_value(&decoded).unwrap(), answer);
}

/// Includes ids, dates, amounts and enums.
#[test]
fn any_text_may_change_and_is_preserved() {
    check(|place| match place.value {
        Value::String(_) => ["", " ", "a new value", "2", "0000-00-00", "..", "\u{0}ü"]
            .map(|text| Set(text.into()))
            .into(),
        _ => vec![],
    });
}

#[test]
fn any_text_may_be_a_number_or_a_boolean() {
    check(|place| match place.value {
        Value::String(_) => [json!(7), json!(19.99), json!(-1), json!(true)]
            .map(Set)
            .into(),
        _ => vec![],
    });
}

#[test]
fn any_number_may_be_text() {
    check(|place| match place.value {
        Value::Number(number) => {
            let number = number.to_string();
            let texts = [format!("{number}.0"), format!(" {number} "), number];
            texts.map(|text| Set(text.into())).into()
        }
        _ => vec![],
    });
}

#[test]
fn any_count_may_have_a_decimal_point() {
    check(|place| match place.value.as_f64() {
        Some(number) => vec![Set(json!(number))],
        None => vec![],
    });
}

#[test]
fn any_boolean_may_be_text_or_a_number() {
    check(|place| match place.value {
        Value::Bool(_) => [
            json!("true"),
            json!("false"),
            json!(0),
            json!(1),
            json!("1"),
        ]
        .map(Set)
        .into(),
        _ => vec![],
    });
}

#[test]
fn the_forms_of_a_boolean_mean_the_same() {
    for (form, meaning) in [
        (json!("true"), true),
        (json!("false"), false),
        (json!(1), true),
        (json!(0), false),
        (json!(true), true),
    ] {
        let answer = json!({"patient": {"id": "1", "is_dependent": form}});
        let decoded: types::PatientResponse = serde_json::from_value(answer).unwrap();
        assert_eq!(decoded.patient.is_dependent, Some(meaning));
    }
}

#[test]
fn the_forms_of_a_count_mean_the_same() {
    for form in [json!(12), json!("12"), json!(12.0), json!("12.0")] {
        let answer = json!({"clinic": {"id": "1", "patient_count": form}});
        let decoded: types::ClinicResponse = serde_json::from_value(answer).unwrap();
        assert_eq!(decoded.clinic.patient_count, Some(12));
    }
}

#[test]
fn no_date_fails_its_record_and_all_are_preserved() {
    for date in [
        json!(""),
        json!("2025-03-02"),
        json!("2025-03-02T13:26:02.000-05:00"),
        json!("2025-03-02T13:26:02Z"),
        json!("2025-03-02 13:26:02 UTC"),
        json!("0000-00-00"),
        json!("soon"),
        json!(1_740_922_000),
        json!(1_740_922_000.5),
        json!(false),
    ] {
        let plan = json!({"treatment_plan": {"id": "1", "created_at": date, "available_at": date}});
        assert_eq!(round_trip("get_treatment_plan", 200, &plan), Ok(plan));
        let patient = json!({"patient": {"id": "1", "date_of_birth": date}});
        assert_eq!(round_trip("get_patient", 200, &patient), Ok(patient));
    }
}

#[test]
fn money_is_exact_to_the_last_zero() {
    for (sent, text, scale) in [
        (r#""19.99""#, "19.99", 2),
        ("19.99", "19.99", 2),
        (r#""0.10""#, "0.10", 2),
        (r#""1234567890.1234567890""#, "1234567890.1234567890", 10),
        ("0.3", "0.3", 1),
        ("20", "20", 0),
    ] {
        let answer = format!(r#"{{"order":{{"id":"1","item_total":{sent}}}}}"#);
        let decoded: types::OrderResponse = serde_json::from_str(&answer).unwrap();
        let total = decoded.order.item_total.as_ref().unwrap();
        assert_eq!(total.as_str(), text);
        assert_eq!(total.value().unwrap().to_string(), text);
        assert_eq!(total.value().unwrap().scale(), scale);
        assert_eq!(serde_json::to_string(&decoded).unwrap(), answer);
    }
}

#[test]
fn an_optional_list_may_be_null_absent_or_empty() {
    let list = |plan: Value| {
        let decoded: types::TreatmentPlanResponse =
            serde_json::from_value(json!({"treatment_plan": plan})).unwrap();
        decoded.treatment_plan.recommendations
    };
    assert_eq!(list(json!({"id": "1"})), None);
    assert_eq!(list(json!({"id": "1", "recommendations": null})), None);
    assert_eq!(
        list(json!({"id": "1", "recommendations": []})),
        Some(vec![])
    );
}

#[tokio::test]
async fn an_empty_list_is_sent_and_an_absent_one_is_not() {
    for (list, sent) in [
        (Some(vec![]), json!({"recommendations": []})),
        (None, json!({})),
    ] {
        let server = MockServer::start_async().await;
        let mock = server.mock_async(|when, then| {
            when.method(PATCH)
                .path("/api/clinic/treatment_plans/1")
                .json_body(sent);
            then.status(200)
                .json_body(json!({"treatment_plan": {"id": "1"}}));
        });
        let mock = mock.await;
        let body = UpdateTreatmentPlanRequest::new().set_recommendations(list);
        let call = client(&server.base_url()).update_treatment_plan().id("1");
        call.body(body).send().await.unwrap();
        mock.assert_async().await;
    }
}

#[test]
fn an_id_may_be_a_number_and_is_written_back_as_one() {
    let answer =
        json!({"patient": {"id": 12345, "guardian_patient_id": 18_446_744_073_709_551_615_u64}});
    let decoded: types::PatientResponse = serde_json::from_value(answer.clone()).unwrap();
    assert_eq!(decoded.patient.id.as_str(), "12345");
    assert_eq!(serde_json::to_value(&decoded).unwrap(), answer);
}

#[tokio::test]
async fn an_empty_body_instead_of_a_model_is_an_error_with_the_status() {
    let server = MockServer::start_async().await;
    on_get(&server, "/api/clinic/patients/1", |then| then.status(200)).await;
    let call = client(&server.base_url()).get_patient().id("1");
    let error = call.send().await.unwrap_err();
    assert!(error.is_empty_success(), "{error}");
    assert_eq!(error.status().unwrap(), 200);
    assert_eq!(error.body(), Some(&b""[..]));
}

/// A response without a schema declares no fields, so none are missing.
#[tokio::test]
async fn an_empty_body_in_place_of_any_json_is_no_error() {
    let server = MockServer::start_async().await;
    let revoke = server.mock_async(|when, then| {
        when.method(POST).path("/api/oauth/revoke");
        then.status(200);
    });
    revoke.await;
    on_get(&server, "/api/labs", |then| then.status(200)).await;
    let client = client(&server.base_url());
    let body = types::RevokeOauthTokenRequest::new("id", "secret", "secret");
    let revoked = client.revoke_oauth_token().body(body).send().await;
    assert!(revoked.unwrap().is_empty());
    assert!(client.list_lab_tests().send().await.unwrap().is_empty());
}

/// A change of one field of a recorded response.
enum Change {
    Set(Value),
    Remove,
}

/// One field of a recorded response.
struct Place<'a> {
    pointer: String,
    key: &'a str,
    value: &'a Value,
}

/// Makes each change separately in each recorded response. All must decode, and changed text must
/// be preserved. Lists all failures.
#[track_caller]
fn check(changes: impl Fn(&Place<'_>) -> Vec<Change>) {
    let (mut tried, mut failures) = (0, Vec::new());
    for (operation, answer) in examples() {
        let mut places = Vec::new();
        walk(&answer, "", &mut places);
        for place in &places {
            for change in changes(place) {
                if matches!(change, Remove | Set(Value::Null)) && is_required(&answer, place) {
                    continue;
                }
                tried += 1;
                let (changed, sent) = apply(&answer, place, change);
                let at = format!("{operation} {} = {sent:?}", place.pointer);
                match round_trip(operation, 200, &changed) {
                    Err(error) => failures.push(format!("{at}: {error}")),
                    Ok(back) => {
                        let back = back.pointer(&place.pointer);
                        let text = sent.as_ref().filter(|sent| sent.is_string());
                        if place.value.is_string() && text.is_some() && back != text {
                            failures.push(format!("{at}: came back as {back:?}"));
                        }
                    }
                }
            }
        }
    }
    assert!(tried > 50, "only {tried} changes tried");
    assert!(
        failures.is_empty(),
        "{} of {tried}:\n{}",
        failures.len(),
        failures.join("\n")
    );
}

/// An object's own id, and the top-level wrapper.
fn is_required(answer: &Value, place: &Place<'_>) -> bool {
    let at_top = place.pointer.matches('/').count() == 1;
    let holds_more = place.value.is_object() || place.value.is_array();
    let is_wrapper = at_top && holds_more && place.key != "meta" && answer.get("id").is_none();
    place.key == "id" || is_wrapper
}

fn apply(answer: &Value, place: &Place<'_>, change: Change) -> (Value, Option<Value>) {
    let mut changed = answer.clone();
    match change {
        Set(value) => {
            *changed.pointer_mut(&place.pointer).unwrap() = value.clone();
            (changed, Some(value))
        }
        Remove => {
            let (parent, _) = place.pointer.rsplit_once('/').unwrap();
            let parent = changed.pointer_mut(parent).unwrap().as_object_mut();
            parent.unwrap().remove(place.key);
            (changed, None)
        }
    }
}

fn walk<'a>(value: &'a Value, pointer: &str, places: &mut Vec<Place<'a>>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                let pointer = format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"));
                walk(value, &pointer, places);
                places.push(Place {
                    pointer,
                    key,
                    value,
                });
            }
        }
        Value::Array(list) => {
            for (index, value) in list.iter().enumerate() {
                walk(value, &format!("{pointer}/{index}"), places);
            }
        }
        _ => {}
    }
}

fn without_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, value| !value.is_null());
            fields.values_mut().for_each(without_nulls);
        }
        Value::Array(list) => list.iter_mut().for_each(without_nulls),
        _ => {}
    }
}

fn add_fields(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.values_mut().for_each(add_fields);
            fields.insert(
                "a_field_of_next_year".into(),
                json!({"list": [{"deep": 1}]}),
            );
        }
        Value::Array(list) => list.iter_mut().for_each(add_fields),
        _ => {}
    }
}

/// The recorded response of each operation that has one.
pub(crate) fn examples() -> Vec<(&'static str, Value)> {
    let document: Value = serde_json::from_str(DOCUMENT).unwrap();
    let mut examples = Vec::new();
    for operation in fullscript::operations::all() {
        let method = operation.method.to_lowercase();
        let responses = &document["paths"][operation.path][method]["responses"];
        let success = responses
            .as_object()
            .unwrap()
            .iter()
            .find(|(status, _)| status.starts_with('2'));
        let example =
            success.and_then(|(_, answer)| answer.pointer("/content/application~1json/example"));
        examples.extend(example.map(|example| (operation.id, example.clone())));
    }
    assert!(examples.len() > 50, "the document lost its examples");
    examples
}

#[tokio::test]
async fn money_keeps_every_digit_as_a_string_and_as_a_number() {
    for amount in [
        "19.90",
        "19.900",
        "0.00",
        "0.1234567890123456789",
        "-12345678901234567890.10",
        "1e2",
        "7",
        r#""19.90""#,
        r#""0.1234567890123456789""#,
        r#""""#,
    ] {
        let text = amount.trim_matches('"');
        let server = MockServer::start_async().await;
        // Beside a value that does not fit, too.
        let misfit = r#""archived": {"at": 7}"#;
        let patient =
            format!(r#"{{"id": "1", "discount": {amount}, "total_discount":{amount}, {misfit}}}"#);
        on_get(&server, "/api/clinic/patients/1", |then| {
            then.status(200)
                .body(format!(r#"{{"patient": {patient}}}"#))
        })
        .await;
        on_get(&server, "/api/clinic/patients", |then| {
            then.status(200).body(format!(
                r#"{{"patients": [{patient}], "meta": {{"total_pages": 1}}}}"#
            ))
        })
        .await;
        let client = client(&server.base_url());
        let one = client.get_patient().id("1").send().await.unwrap();
        assert_eq!(one.issues().len(), 1);
        assert_eq!(one.patient.discount.as_ref().unwrap().as_str(), text);
        assert_eq!(one.patient.total_discount.as_ref().unwrap().as_str(), text);
        let listed = client.list_patients().items().collect_all().await.unwrap();
        assert_eq!(listed[0].discount.as_ref().unwrap().as_str(), text);
        // Encoded and decoded again, the amount is the same number.
        let encoded = serde_json::to_string(&listed[0]).unwrap();
        let again: types::Patient = serde_json::from_str(&encoded).unwrap();
        assert_eq!(again.discount, listed[0].discount, "{encoded}");
    }
}
