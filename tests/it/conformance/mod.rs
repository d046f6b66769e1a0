//! The example `conformance` against the fake, with and without planted differences.

#[path = "../../../examples/conformance/report.rs"]
mod report;
#[path = "../../../examples/conformance/survey.rs"]
mod survey;

use std::collections::BTreeSet;

use fullscript::operations;
use fullscript::reqwest::Method;
use fullscript::testing::{FakeFullscript, Script};
use fullscript::{ClientBuilder, Environment};
use serde_json::{Value, json};

use survey::Survey;

/// A difference: the operation, and the line of the report that shows it.
type Planted = (&'static str, &'static str);

const PLANTED: [Planted; 40] = [
    ("get_clinic", "`clinic.planted_one`: unknown field (text)"),
    (
        "get_clinic",
        "`clinic.patient_count`: expected an integer, found an object",
    ),
    ("get_clinic", "never came: clinic.dispensary_url"),
    ("get_clinic", "header: x-planted"),
    (
        "list_patients",
        "`patients[].planted_two`: unknown field (an object)",
    ),
    (
        "list_patients",
        "`patients[].email`: expected text, found a list",
    ),
    ("list_patients", "never came: patients[].last_name"),
    ("list_patients", "paging: `page[size]` is not honored"),
    (
        "list_practitioners",
        "`practitioners[].metadata.plantedThree`: unknown field (a boolean)",
    ),
    (
        "list_practitioners",
        "`practitioners[].email`: expected text, found an object",
    ),
    (
        "list_practitioners",
        "never came: practitioners[].practitioner_type_id",
    ),
    (
        "list_practitioners",
        "paging: the second page repeats the first",
    ),
    ("list_staff", "`staff[].planted_four`: unknown field (null)"),
    (
        "list_staff",
        "`staff[].first_name`: expected text, found an object",
    ),
    ("list_staff", "never came: staff[].email"),
    ("list_staff", "rate limit: x-ratelimit-limit: 4321"),
    ("list_orders", "`orders[].*`: unknown field (a list)"),
    (
        "list_orders",
        "`orders[].order_number`: expected text, found an object",
    ),
    ("list_orders", "never came: orders[].completed_at"),
    ("list_orders", "status: 203"),
    (
        "list_products",
        "`products[].primary_variant.planted_six`: unknown field (a number)",
    ),
    ("list_products", "`products[].status`: unknown value"),
    (
        "list_products",
        "`products[].primary_variant.availability`: unknown value",
    ),
    ("list_products", "never came: products[].brand.name"),
    (
        "list_brands",
        "`brands[].planted_seven`: unknown field (text)",
    ),
    ("list_brands", "`brands[].status`: unknown value"),
    (
        "list_brands",
        "`brands[].prefix`: expected text, found an object",
    ),
    ("list_brands", "never came: brands[].name"),
    (
        "list_categories",
        "`categories[].planted_eight`: unknown field (text)",
    ),
    (
        "list_categories",
        "`categories[].name`: expected text, found a list",
    ),
    (
        "list_categories",
        "`meta.planted_nine`: unknown field (text)",
    ),
    (
        "list_categories",
        "paging: `meta.current_page` is not the requested page",
    ),
    ("list_lab_orders", "`orders[].state`: unknown value"),
    (
        "list_lab_orders",
        "`orders[].planted_ten`: unknown field (text)",
    ),
    ("list_lab_orders", "never came: orders[].patient_id"),
    (
        "list_allergens",
        "error: 500: {error: {*: text}, errors: [text]}",
    ),
    ("get_patient", "`patient.gender`: unknown value"),
    (
        "get_patient",
        "`patient.planted_eleven`: unknown field (text)",
    ),
    (
        "get_patient",
        "`patient.text_message_notification`: expected a boolean, found an object",
    ),
    ("get_patient", "never came: patient.last_name"),
];

/// The value that no report may contain, also as a part of a key that is no name of a field.
const SECRET: &str = "Sentinel-4711";

/// The changes of an operation's body: what is set, and what is removed.
fn changes(operation: &str) -> (Vec<(&'static str, Value)>, Vec<&'static str>) {
    let object = || json!({ SECRET: SECRET });
    let list = || json!([SECRET, SECRET]);
    match operation {
        "get_clinic" => (
            vec![
                ("/clinic/planted_one", json!(SECRET)),
                ("/clinic/patient_count", object()),
            ],
            vec!["/clinic/dispensary_url"],
        ),
        "list_patients" => (
            vec![
                ("/patients/0/planted_two", object()),
                ("/patients/0/email", list()),
            ],
            vec!["/patients/0/last_name"],
        ),
        "list_practitioners" => (
            vec![
                ("/practitioners/0/metadata/plantedThree", json!(true)),
                ("/practitioners/0/email", object()),
            ],
            vec!["/practitioners/0/practitioner_type_id"],
        ),
        "list_staff" => (
            vec![
                ("/staff/0/planted_four", Value::Null),
                ("/staff/0/first_name", object()),
            ],
            vec!["/staff/0/email"],
        ),
        "list_orders" => (
            vec![
                ("/orders/0/Sentinel-4711", list()),
                ("/orders/0/order_number", object()),
            ],
            vec!["/orders/0/completed_at"],
        ),
        "list_products" => (
            vec![
                ("/products/0/primary_variant/planted_six", json!(4711)),
                ("/products/0/status", json!(SECRET)),
                ("/products/0/primary_variant/availability", json!(SECRET)),
            ],
            vec!["/products/0/brand/name"],
        ),
        "list_brands" => (
            vec![
                ("/brands/0/planted_seven", json!(SECRET)),
                ("/brands/0/status", json!(SECRET)),
                ("/brands/0/prefix", object()),
            ],
            vec!["/brands/0/name"],
        ),
        "list_categories" => (
            vec![
                ("/categories/0/planted_eight", json!(SECRET)),
                ("/categories/0/name", list()),
                ("/meta/planted_nine", json!(SECRET)),
                ("/meta/current_page", json!(7)),
            ],
            vec![],
        ),
        "list_lab_orders" => (
            vec![
                ("/orders/0/state", json!(SECRET)),
                ("/orders/0/planted_ten", json!(SECRET)),
            ],
            vec!["/orders/0/patient_id"],
        ),
        "get_patient" => (
            vec![
                ("/patient/gender", json!(SECRET)),
                ("/patient/planted_eleven", json!(SECRET)),
                ("/patient/text_message_notification", object()),
            ],
            vec!["/patient/last_name"],
        ),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_report_shows_40_of_40_planted_differences_and_no_value() {
    let fake = FakeFullscript::start().await.unwrap();
    let before: BTreeSet<String> = lines(&survey(&fake, None).await);
    let mut values = Vec::new();
    let planted: BTreeSet<&str> = PLANTED.iter().map(|(operation, _)| *operation).collect();
    for operation in planted {
        plant(&fake, operation, &mut values).await;
    }
    let report = survey(&fake, None).await;
    let after = lines(&report);

    let missed: Vec<String> = PLANTED
        .iter()
        .map(|(operation, line)| format!("{operation}: {line}"))
        .filter(|line| before.contains(line) || !after.contains(line))
        .collect();
    let new: Vec<_> = after.difference(&before).collect();
    assert!(
        missed.is_empty(),
        "not found: {missed:#?}\nnew lines: {new:#?}"
    );

    let text = report.to_string();
    assert!(values.len() > 40);
    let shown: Vec<_> = values
        .iter()
        .filter(|value| text.contains(*value))
        .collect();
    assert!(shown.is_empty(), "{shown:?}");
}

#[tokio::test]
async fn the_fake_itself_does_not_differ_and_a_survey_changes_nothing() {
    let fake = FakeFullscript::start().await.unwrap();
    let state = (fake.patients(), fake.treatment_plans());
    let report = survey(&fake, None).await;
    let differences: Vec<String> = lines(&report)
        .into_iter()
        .filter(|line| line.contains("unknown") || line.contains("expected"))
        .collect();
    assert!(differences.is_empty(), "{differences:#?}");
    assert_eq!((fake.patients(), fake.treatment_plans()), state);
    assert!(
        fake.requests()
            .iter()
            .all(|request| request.method == "GET")
    );
    // Each read operation was called or says why not.
    let reads = operations::all().iter().filter(|it| it.method == "GET");
    for operation in reads.filter(|it| it.authenticated) {
        let facts = &report["operations"][operation.id];
        assert_ne!(
            facts["status"].is_null(),
            facts["skipped"].is_null(),
            "{}",
            operation.id
        );
    }
    assert_eq!(report["operations"]["get_patient"]["status"], 200);
    assert_eq!(
        report["operations"]["get_patient"]["errors"]["404"],
        "{error: text, status: a number}"
    );
    assert_eq!(
        report["operations"]["get_clinic"]["errors"]["401"],
        "no body"
    );
}

#[tokio::test]
async fn a_survey_skips_what_the_token_may_not_do_and_creates_a_draft_when_asked() {
    let fake = FakeFullscript::start().await.unwrap();
    let scopes = ["clinic:read", "catalog:read", "patients:read"].map(String::from);
    let report = survey(&fake, Some(scopes.to_vec())).await;
    let orders = &report["operations"]["list_orders"];
    assert_eq!(orders["skipped"], "the token lacks a scope");
    assert_eq!(fake.count("list_orders"), 0);

    let plans = fake.treatment_plans().len();
    let drafting = Survey {
        scopes: None,
        with_draft: true,
    };
    let report = drafting.run(&|| builder(&fake), fake.access_token()).await;
    assert_eq!(report["operations"]["create_treatment_plan"]["status"], 201);
    assert!(report["operations"]["cancel_treatment_plan"]["status"].is_u64());
    assert_eq!(fake.treatment_plans().len(), plans + 1);
}

async fn survey(fake: &FakeFullscript, scopes: Option<Vec<String>>) -> Value {
    let survey = Survey {
        scopes,
        with_draft: false,
    };
    survey.run(&|| builder(fake), fake.access_token()).await
}

fn builder(fake: &FakeFullscript) -> ClientBuilder {
    fullscript::Client::builder(Environment::UsSandbox).base_url(fake.url())
}

fn lines(report: &Value) -> BTreeSet<String> {
    report::lines(report).into_iter().collect()
}

/// Plants the differences of an operation, and collects the values of its response.
async fn plant(fake: &FakeFullscript, operation: &'static str, values: &mut Vec<String>) {
    if operation == "list_allergens" {
        let body = json!({"error": {SECRET: SECRET}, "errors": [SECRET]});
        return fake.answer(operation, Script::json(500, &body));
    }
    let known = operations::find(operation).unwrap();
    let patient = fake.patients()[0]["id"].as_str().unwrap().to_string();
    let path = known.path.replace("{id}", &patient);
    let response = fake
        .client()
        .request(Method::GET, &path)
        .send::<Value>()
        .await;
    let mut body = response.unwrap().into_inner();
    let (set, removed) = changes(operation);
    for pointer in removed {
        let (object, name) = pointer.rsplit_once('/').unwrap();
        let object = body.pointer_mut(object).unwrap().as_object_mut().unwrap();
        assert!(object.remove(name).is_some(), "{operation} {pointer}");
    }
    for (pointer, value) in set {
        let (object, name) = pointer.rsplit_once('/').unwrap();
        body.pointer_mut(object).unwrap()[name] = value;
    }
    // All records have the planted difference.
    let fields = body.as_object_mut().unwrap();
    for list in fields.values_mut().filter_map(Value::as_array_mut) {
        list.truncate(1);
        if operation == "list_patients" {
            let mut second = list[0].clone();
            second["id"] = json!("another");
            list.push(second);
        }
    }
    collect(&body, values);
    let status = if operation == "list_orders" { 203 } else { 200 };
    let mut script = Script::json(status, &body);
    match operation {
        "get_clinic" => script = script.header("x-planted", SECRET),
        "list_staff" => script = script.header("x-ratelimit-limit", "4321"),
        _ => {}
    }
    fake.answer(operation, script);
}

/// Collects the texts that can be told from names of fields.
fn collect(value: &Value, values: &mut Vec<String>) {
    match value {
        Value::String(text) if text.contains(|c: char| !c.is_ascii_lowercase() && c != '_') => {
            values.push(text.clone());
        }
        Value::Array(elements) => elements.iter().for_each(|it| collect(it, values)),
        Value::Object(fields) => fields.values().for_each(|it| collect(it, values)),
        _ => {}
    }
}
