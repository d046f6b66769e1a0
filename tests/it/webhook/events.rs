//! Events as printed on the vendor's pages, and other JSON.

use fullscript::types::{self, EventType, LabOrderState, LineItemType};
use fullscript::webhook::{Event, EventData};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::deliver;

/// The payload of an event of the given type.
fn data(type_: &str, data: Value) -> EventData {
    let event = json!({"id": "1", "type": type_, "data": data});
    let body = json!({ "event": event }).to_string();
    let read = deliver(body.as_bytes()).into_event().unwrap();
    assert_eq!(read.json(), event);
    assert_eq!(read.type_, Some(EventType::from(type_)));
    read.data
}

fn patient() -> Value {
    json!({
        "id": "x1x0196x-5615-4874-xxe4-48x459180x09",
        "first_name": "Example",
        "last_name": "Patient",
        "email": "patient@example.com",
        "date_of_birth": null,
        "gender": null,
        "discount": 0,
        "total_discount": "10.5",
        "mobile_number": null,
        "text_message_notification": true,
    })
}

fn plan() -> Value {
    json!({
        "id": "xx45x0xx-x840-41xx-9922-98xx6001507x",
        "active": "true",
        "available_at": "2018-03-02T05:00:00.000Z",
        "recommendations": [{
            "variant_id": "xx2688x2-4303-4278-xx73-x7083x6146x1",
            "refill": false,
            "units_to_purchase": "10",
            "take_with": null,
            "dosage": {
                "amount": "1-2",
                "frequency": "once per day",
                "format": "capsule",
                "additional_info": "with food",
                "time_of_day": ["morning"],
            },
        }],
        "resources": [{"id": "r", "attachment_url": "https://example.com", "category": "Nutrition",
            "name": "Guide", "type": "Guide"}],
        "lab_recommendations": [{"id": 7, "name": "Panel", "requires_fasting": "true",
            "instructions": "fast", "tests": [{"id": "t", "name": "Iron"}]}],
    })
}

#[test]
fn an_event_whose_text_is_not_quite_json_keeps_its_id_and_type() {
    let body = |name: &[u8]| {
        [
            br#"{"event":{"id":"e-1","type":"patient.created","data":{"patient":{"id":"p-1","first_name":"#,
            name,
            br#","last_name":"Lee"}}}}"#,
        ]
        .concat()
    };
    for (name, read) in [
        (&b"\"Jos\xE9\""[..], None),
        (br#""\ud83d""#, None),
        (br#""\udc00 a""#, None),
        (b"1e999", None),
        (b"NaN", None),
        (b"\"a\nb\"", Some("a\nb")),
        (
            br#"["x", "first_name"],"first_name":"Ana","first_name":"Bo\u0001""#,
            Some("Bo\u{1}"),
        ),
    ] {
        for mark in [&b""[..], b"\xEF\xBB\xBF"] {
            let body = [mark, &body(name)].concat();
            let event = deliver(&body).into_event().unwrap();
            assert_eq!(event.id.as_ref().unwrap().as_str(), "e-1");
            assert_eq!(event.type_, Some(EventType::PatientCreated));
            let EventData::PatientCreated(patient) = &event.data else {
                panic!("{event:?}")
            };
            assert_eq!(patient.id.as_ref().unwrap().as_str(), "p-1");
            assert_eq!(patient.first_name.as_deref(), read);
            assert_eq!(patient.last_name.as_deref(), Some("Lee"));
            let paths: Vec<_> = event
                .issues()
                .iter()
                .map(|issue| issue.path.as_str())
                .collect();
            let is_own = |path: &&str| *path == "data.patient.first_name";
            assert!(!paths.is_empty() && paths.iter().all(is_own), "{paths:?}");
        }
    }
    // Only what is cut off, or is no JSON at all, is a text.
    for body in [&b"{\"event\":{\"id\":\"e-1\""[..], b"<html>", b"NaN"] {
        let event = Event::from_body(body);
        assert!(event.json().is_string() && event.issues().is_empty());
    }
}

#[test]
fn a_value_of_another_type_is_absent_and_reported_with_its_path() {
    let other = |value: &Value| match value {
        Value::String(_) | Value::Number(_) | Value::Bool(_) => json!({"s3cret": [1]}),
        Value::Null => json!("s3cret"),
        Value::Array(_) | Value::Object(_) => json!(["s3cret", 7]),
    };
    for (type_, wrapper, payload) in [
        ("patient.created", "patient", patient()),
        ("treatment_plan.created", "treatment_plan", plan()),
    ] {
        let event = |payload: &Value| {
            let event = json!({"id": "1", "type": type_, "data": {wrapper: payload}});
            Event::from_body(json!({ "event": event }).to_string().as_bytes())
        };
        assert!(event(&payload).issues().is_empty());
        for (name, value) in payload.as_object().unwrap() {
            let mut changed = payload.clone();
            changed[name] = other(value);
            let read = event(&changed);
            let path = format!("data.{wrapper}.{name}");
            let is_own =
                |path: &str, own: &str| own == path || own.starts_with(&format!("{path}["));
            let issues = read.issues();
            // Any text is a phone number.
            let is_text = value.is_null() && issues.is_empty();
            let all_own = issues.iter().all(|issue| is_own(&path, &issue.path));
            assert!(
                is_text || !issues.is_empty() && all_own,
                "{path}: {issues:?}"
            );
            assert!(!format!("{read:?} {issues:?}").contains("s3cret"));
            assert_eq!(read.json()["data"][wrapper], changed);
        }
    }
    // The envelope, the payload and its wrapper.
    for (body, paths) in [
        (
            json!({"id": {}, "type": "a", "clinic_id": []}),
            &["id", "clinic_id"][..],
        ),
        (json!({"type": ["order.placed"]}), &["type"]),
        (json!({"type": "order.placed", "data": 5}), &["data"]),
        (json!({"type": "order.placed", "data": "s3cret"}), &["data"]),
        (
            json!({"type": "order.placed", "data": {"order": "s3cret"}}),
            &["data.order"],
        ),
        (
            json!({"type": "order.placed", "data": [{"id": "o"}]}),
            &["data"],
        ),
        (
            json!({"type": "order.placed", "data": {"line_items": [null, {"quantity": ""}]}}),
            &["data.line_items[0]", "data.line_items[1].quantity"],
        ),
        (
            json!({"type": "order.placed", "data": r#"{"order":{"id":{},"line_items":NaN}}"#}),
            &["data.order.line_items", "data.order.id"],
        ),
        (json!({"type": "order.placed", "data": null}), &[]),
        (json!({"type": "new.type", "data": 5}), &[]),
        (json!("s3cret"), &[]),
    ] {
        let event = Event::from_json(body.clone());
        let issues = event.issues();
        let found: Vec<_> = issues.iter().map(|issue| issue.path.as_str()).collect();
        assert_eq!(found, paths, "{body}");
        assert!(!format!("{event:?} {issues:?}").contains("s3cret"));
        // An event serializes as its JSON, so that it has the same issues when it is read again.
        let again: Event = serde_json::from_value(serde_json::to_value(&event).unwrap()).unwrap();
        assert_eq!(again, event);
    }
}

#[test]
fn an_amount_keeps_every_digit_also_as_a_number() {
    for amount in ["19.90", "0.1234567890123456789", "100", "1e2", "\"7.50\""] {
        let body = format!(
            r#"{{"type":"product.created","data":{{"variants":[{{"msrp":{amount},"availability":"In Stock"}}]}}}}"#
        );
        let EventData::ProductCreated(product) = Event::from_body(body.as_bytes()).data else {
            panic!()
        };
        let variant = &product.variants.as_ref().unwrap()[0];
        assert_eq!(
            variant.msrp.as_ref().unwrap().as_str(),
            amount.trim_matches('"')
        );
        assert_eq!(variant.availability.as_ref().unwrap().as_str(), "In Stock");
    }
}

#[test]
fn every_envelope_contains_the_same_event() {
    let event = json!({
        "id": "x5xxxxx8-92x7-4xxx-9x0x-345x404x94x1",
        "type": "patient.updated",
        "created_at": "2018-10-16T04:00:00.000Z",
        "clinic_id": "xx7x357x-9x36-xxxx-x553-7x3xx398xxx",
        "data": {"patient": patient()},
        "integration_id": "x1x27xxx-x9x9-49x6-xx62-107x7x051874",
    });
    for body in [
        json!({ "event": event }),
        json!({ "event_payload": { "event": event } }),
        json!({ "event_payload": event }),
        event.clone(),
    ] {
        let read = deliver(body.to_string().as_bytes()).into_event().unwrap();
        assert_eq!(read.json(), event);
        assert_eq!(
            read.id.as_ref().unwrap().as_str(),
            event["id"].as_str().unwrap()
        );
        assert_eq!(read.type_, Some(EventType::PatientUpdated));
        assert_eq!(
            read.created_at.as_ref().unwrap().as_str(),
            "2018-10-16T04:00:00.000Z"
        );
        assert!(read.clinic_id.is_some() && read.integration_id.is_some());
        assert!(matches!(read.data, EventData::PatientUpdated(_)));
    }
}

#[test]
fn patients_are_read_wrapped_and_bare() {
    for payload in [json!({ "patient": patient() }), patient()] {
        for type_ in ["patient.created", "patient.updated", "patient.emancipated"] {
            let (EventData::PatientCreated(read)
            | EventData::PatientUpdated(read)
            | EventData::PatientEmancipated(read)) = data(type_, payload.clone())
            else {
                panic!("{type_}")
            };
            assert_eq!(
                read.id.unwrap().as_str(),
                "x1x0196x-5615-4874-xxe4-48x459180x09"
            );
            assert_eq!(read.email.as_deref(), Some("patient@example.com"));
            assert_eq!(read.total_discount.unwrap().as_str(), "10.5");
            assert_eq!(read.text_message_notification, Some(true));
            assert!(read.date_of_birth.is_none() && read.guardian_patient_id.is_none());
        }
    }
    let emancipated = json!({"patient": {"is_dependent": "false", "guardian_patient_id": "g"}});
    let EventData::PatientEmancipated(read) = data("patient.emancipated", emancipated) else {
        panic!()
    };
    assert_eq!(read.is_dependent, Some(false));
    assert_eq!(read.guardian_patient_id.unwrap().as_str(), "g");
}

#[test]
fn plans_are_read_in_the_words_of_today_and_of_2021() {
    for payload in [json!({ "treatment_plan": plan() }), plan()] {
        let EventData::TreatmentPlanCreated(read) = data("treatment_plan.created", payload) else {
            panic!()
        };
        assert_eq!(read.active, Some(true));
        let recommendation = &read.recommendations.as_ref().unwrap()[0];
        assert_eq!(recommendation.refill, Some(false));
        assert_eq!(recommendation.units_to_purchase, Some(10));
        let dosage = recommendation.dosage.as_ref().unwrap();
        assert_eq!(dosage.amount.as_deref(), Some("1-2"));
        assert_eq!(dosage.time_of_day, Some(vec!["morning".to_string()]));
        assert_eq!(read.resources.unwrap()[0].name.as_deref(), Some("Guide"));
        let lab = &read.lab_recommendations.as_ref().unwrap()[0];
        assert_eq!(
            (lab.id.as_deref(), lab.requires_fasting),
            (Some("7"), Some(true))
        );
        assert_eq!(lab.tests.as_ref().unwrap()[0].name.as_deref(), Some("Iron"));
    }
    let of_2021 = json!({"treatment_plan": {"state": "active", "recommendations": [{"dosage": {
        "recommended_amount": "1-2", "recommended_frequency": "once per day",
        "recommended_duration": 30}}]}});
    let EventData::TreatmentPlanRecommendationUpdated(read) =
        data("treatment_plan.recommendation.updated", of_2021)
    else {
        panic!()
    };
    assert_eq!(read.state, Some(types::TreatmentPlanState::Active));
    let dosage = read.recommendations.unwrap().remove(0).dosage.unwrap();
    assert_eq!(dosage.amount.as_deref(), Some("1-2"));
    assert_eq!(dosage.frequency, Some(types::DosageFrequency::OncePerDay));
    assert_eq!(dosage.duration.as_deref(), Some("30"));
}

#[test]
fn patient_and_practitioner_stand_in_the_plan_or_beside_it() {
    let people = json!({"patient": {"id": "p"}, "practitioner": {"id": "d"}});
    let mut within = json!({"treatment_plan": people});
    within["treatment_plan"]["id"] = "t".into();
    let mut beside = people;
    beside["treatment_plan"] = json!({"id": "t"});
    for payload in [within, beside] {
        let EventData::TreatmentPlanUpdated(read) = data("treatment_plan.updated", payload) else {
            panic!()
        };
        assert_eq!(read.id.unwrap().as_str(), "t");
        assert_eq!(read.patient.unwrap().id.unwrap().as_str(), "p");
        assert_eq!(read.practitioner.unwrap().id.unwrap().as_str(), "d");
    }
}

#[test]
fn orders_show_whether_labs_were_bought() {
    let order = json!({
        "id": "o", "order_number": "R123", "completed_at": "2025-03-02T13:26:02.000-05:00",
        "treatment_plan_ids": ["t"], "patient_id": "p", "practitioner_ids": ["d"],
        "line_items": [
            {"variant_id": "v", "quantity": 1, "type": "supplement"},
            {"variant_id": "w", "quantity": "1", "type": "labs"},
            {"variant_id": "x", "quantity": 1, "lab_type": "labs"},
        ],
    });
    let EventData::OrderPlaced(read) = data("order.placed", order) else {
        panic!()
    };
    let kinds: Vec<_> = read.line_items.unwrap().into_iter().collect();
    assert_eq!(kinds[0].type_, Some(LineItemType::Supplement));
    assert_eq!(kinds[1].type_, Some(LineItemType::Labs));
    assert_eq!(kinds[2].type_, Some(LineItemType::Labs));
    assert_eq!(kinds[1].quantity, Some(1));
    assert_eq!(read.practitioner_ids.unwrap()[0].as_str(), "d");
    let completed_at = read.completed_at.unwrap().instant().unwrap();
    assert_eq!(completed_at.offset().local_minus_utc(), -5 * 3_600);
}

#[test]
fn lab_order_events_use_the_words_of_rest() {
    for (word, state) in [
        ("results_received", LabOrderState::PartialResults),
        ("all_results_received", LabOrderState::ResultsReady),
        ("results_amended", LabOrderState::ResultsAmended),
        ("processing", LabOrderState::Processing),
        ("lost", LabOrderState::Unknown("lost".into())),
    ] {
        let payload = json!({"lab_order": {"id": "l", "patient_id": "p", "status": word}});
        let EventData::LabOrderUpdated(read) = data("lab_order.updated", payload) else {
            panic!()
        };
        assert_eq!(read.state, Some(state));
        assert_eq!(read.patient_id.unwrap().as_str(), "p");
    }
}

#[test]
fn products_are_read_wrapped_and_bare_and_without_an_id() {
    let product = json!({"name": "Iron", "description_html": "<p>", "brand": {"id": "b", "name": "B"},
        "variants": [{"id": "v", "sku": "s", "units": "90"}], "dosage": {"recommended_amount": 1}});
    for type_ in [
        "product.created",
        "product.updated",
        "product.description.updated",
    ] {
        for payload in [json!({ "product": product }), product.clone()] {
            let (EventData::ProductCreated(read)
            | EventData::ProductUpdated(read)
            | EventData::ProductDescriptionUpdated(read)) = data(type_, payload)
            else {
                panic!("{type_}")
            };
            assert_eq!(read.id, None);
            assert_eq!(read.name.as_deref(), Some("Iron"));
            assert_eq!(read.variants.unwrap()[0].units, Some(90));
            assert_eq!(read.dosage.unwrap().amount.as_deref(), Some("1"));
        }
    }
}

#[test]
fn unknown_values_are_kept() {
    let shipped = json!({"fulfillment_shipment": {"order_id": "o"}});
    for (type_, payload) in [
        ("fulfillment.shipment.shipped", shipped),
        ("clinic_key.revoked", json!({"any": 1})),
        ("patient.created", json!(["no", "object"])),
        ("patient.created", json!("text")),
        ("patient.created", Value::Null),
    ] {
        assert_eq!(data(type_, payload.clone()), EventData::Unknown(payload));
    }
    for body in ["[1,2]", "null", "7", r#"{"hello":1}"#, r#"{"event":[]}"#] {
        let read = deliver(body.as_bytes()).into_event().unwrap();
        let json: Value = serde_json::from_str(body).unwrap();
        assert_eq!(read.json(), json);
        assert_eq!(read.data, EventData::Unknown(json));
        assert!(read.id.is_none() && read.type_.is_none());
    }
    let deep = "[".repeat(1_000) + &"]".repeat(1_000);
    for body in ["hello", "{", "<html>", &deep] {
        let read = deliver(body.as_bytes()).into_event().unwrap();
        assert_eq!(read.json(), Value::from(body));
    }
    let read = deliver(b"\xff{").into_event().unwrap();
    assert_eq!(read.json(), Value::from("\u{fffd}{"));
}

#[test]
fn the_body_of_an_event_is_as_it_was_received() {
    // Digits, order, spaces, and flaws.
    let event = br#"{ "type": "order.placed", "id":"1", "data": {"order":{"id":"o","b":19.90,
        "a":0.1234567890123456789,"c":"\ud800","b":1e999}}}"#;
    let text = String::from_utf8_lossy(event);
    for body in [
        text.to_string(),
        format!("\u{feff} {{\"event\": {text} }}"),
        format!("{{\"id\":\"d\",\"event_payload\":{{\"event\":{text},\"x\":1}}}}"),
    ] {
        let read = Event::from_body(body.as_bytes());
        assert_eq!(read.body(), event);
        assert_eq!(read.json()["data"]["order"]["a"], 0.123_456_789_012_345_68);
        assert_eq!(Event::from_body(read.body()), read);
        assert!(read.id.is_some() && !read.issues().is_empty());
    }
    let plain = Event::from_json(json!({"type": "a", "id": "1"}));
    assert_eq!(
        plain,
        Event::from_body(br#"{"event": {"id": "1", "type": "a"}}"#)
    );
    assert_ne!(
        plain,
        Event::from_body(br#"{"event": {"id": "2", "type": "a"}}"#)
    );
}

#[test]
fn one_field_of_the_wrong_type_loses_only_itself() {
    let odd = json!({"patient": {"id": "p", "email": {"no": "text"}, "discount": [1, 2],
        "text_message_notification": "perhaps", "first_name": "A"}});
    let EventData::PatientCreated(read) = data("patient.created", odd) else {
        panic!()
    };
    assert_eq!(read.id.unwrap().as_str(), "p");
    assert_eq!(read.first_name.as_deref(), Some("A"));
    assert!(read.email.is_none() && read.discount.is_none());
    assert_eq!(read.text_message_notification, None);
    let odd = json!({"treatment_plan": {"recommendations": {"variant_id": "v"},
        "resources": [7, {"id": "r"}, null]}});
    let EventData::TreatmentPlanCreated(read) = data("treatment_plan.created", odd) else {
        panic!()
    };
    assert_eq!(read.recommendations.unwrap().len(), 1);
    assert_eq!(read.resources.unwrap().len(), 1);
}

#[test]
fn a_payload_that_is_text_is_decoded_if_it_contains_an_object() {
    let text = json!({ "patient": patient() }).to_string();
    assert!(matches!(
        data("patient.created", text.into()),
        EventData::PatientCreated(_)
    ));
}

#[test]
fn models_of_the_api_are_events_too() {
    let event = json!({"id": "e", "type": "patient.created", "data": {"patient": patient()}});
    let listed: types::EventResponse = serde_json::from_value(json!({ "event": event })).unwrap();
    let delivery: types::WebhookDelivery =
        serde_json::from_value(json!({"id": "d", "event_payload": {"event": event}})).unwrap();
    let flat: types::WebhookDelivery =
        serde_json::from_value(json!({"id": "d", "event_payload": event})).unwrap();
    let expected = Event::from_json(event);
    assert!(matches!(expected.data, EventData::PatientCreated(_)));
    assert_eq!(Event::from(&listed.event), expected);
    assert_eq!(Event::from(&delivery.event_payload.unwrap()), expected);
    assert_eq!(Event::from(&flat.event_payload.unwrap()), expected);
    let without_data: types::Event =
        serde_json::from_value(json!({"id": "e", "type": "patient.created"})).unwrap();
    assert_eq!(
        Event::from(&without_data).data,
        EventData::Unknown(Value::Null)
    );
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
        prop::sample::select(EventType::ALL).prop_map(Value::from),
    ];
    let key = prop_oneof![
        prop::sample::select(
            &[
                "event",
                "event_payload",
                "id",
                "type",
                "created_at",
                "data",
                "patient",
                "product",
                "treatment_plan",
                "lab_order",
                "order",
                "line_items",
                "recommendations",
                "dosage",
                "status",
                "clinic_id",
                "integration_id",
                "variants",
                "tests",
                "active",
            ][..]
        )
        .prop_map(str::to_string),
        ".{0,4}",
    ];
    leaf.prop_recursive(6, 64, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map(key.clone(), inner, 0..8)
                .prop_map(|object| Value::Object(object.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_json_is_an_event_and_is_preserved(
        json in any_json(),
        type_ in prop::sample::select(EventType::ALL),
    ) {
        let typed = json!({"event": {"type": type_, "data": json}});
        for json in [json, typed] {
            let event = Event::from_json(json.clone());
            let written = serde_json::to_string(&event).unwrap();
            let back: Event = serde_json::from_str(&written).unwrap();
            prop_assert_eq!(&back, &event);
            let delivered = deliver(json.to_string().as_bytes()).into_event();
            prop_assert_eq!(delivered, Some(event));
        }
    }
}
