//! No request crashes the fake.

use fullscript::http::Method;
use fullscript::operations::{self, Operation};
use fullscript::testing::FakeFullscript;
use proptest::prelude::*;
use serde_json::{Map, Value};

/// Any JSON, with the names of known fields.
fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        prop_oneof![
            Just("draft"),
            Just("a@example.com"),
            Just(""),
            Just("1977-01-12")
        ]
        .prop_map(Value::from),
    ];
    let name = prop::sample::select(vec![
        "email",
        "first_name",
        "last_name",
        "discount",
        "metadata",
        "state",
        "recommendations",
        "dosage",
        "time_of_day",
        "units_to_purchase",
        "variant_id",
        "resource_ids",
        "labs",
        "practitioner_id",
        "treatment_plan",
        "patient",
        "user_id",
        "id",
    ]);
    leaf.prop_recursive(3, 24, 6, move |inner| {
        let fields = prop::collection::vec((name.clone(), inner.clone()), 0..6);
        prop_oneof![
            prop::collection::vec(inner, 0..3).prop_map(Value::from),
            fields.prop_map(|fields| {
                let fields = fields
                    .into_iter()
                    .map(|(name, value)| (name.to_string(), value));
                Value::Object(fields.collect::<Map<_, _>>())
            }),
        ]
    })
}

fn target(operation: &Operation, fake: &FakeFullscript, text: &str) -> String {
    let plans = fake.treatment_plans();
    let known = match operation.path {
        path if path.contains("treatment_plans/{") => &plans[0]["id"],
        path if path.contains("practitioners/{") => &plans[0]["practitioner"]["id"],
        _ => &plans[0]["patient"]["id"],
    };
    let mut path = String::new();
    for part in operation.path.split('/').skip(1) {
        let part = if part.starts_with('{') {
            known.as_str().unwrap()
        } else {
            part
        };
        path += &format!("/{part}");
    }
    format!("{path}?page[number]={text}&created_at={text}&completed_at={text}&sort_by={text}")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_request_is_answered(body in json(), text in "[<>]?[0-9.-]{0,12}", lenient in any::<bool>()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut builder = FakeFullscript::builder().patients(3);
            if lenient {
                // In lenient mode the state receives requests that the document forbids.
                builder = builder.lenient();
            }
            let fake = builder.start().await.unwrap();
            let client = fake.client();
            for operation in operations::all().iter().filter(|one| one.authenticated) {
                let target = target(operation, &fake, &text);
                let (path, query) = target.split_once('?').unwrap();
                let method: Method = operation.method.parse().unwrap();
                let mut call = client.request(method, path);
                for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
                    call = call.query(name, value);
                }
                let status = match call.json(&body).send::<Value>().await {
                    Ok(answer) => answer.status(),
                    Err(error) => error.status().unwrap_or_else(|| panic!("{}: {error}", operation.id)),
                };
                assert!(status.as_u16() < 500, "{}: {status}", operation.id);
            }
        });
    }
}
