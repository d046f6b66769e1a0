//! Patient fields are masked before a result leaves.

use fullscript::testing::{FakeFullscript, Script};
use fullscript::tools::{self, Mask, ToolSet};
use serde_json::{Value, json};

use super::{all_tools, example, mismatch};

const MARK: &str = "Zq9 patient";

/// Fields of a patient in all tools that touch their data, with texts that must not leave.
const OF_PATIENTS: [&str; 20] = [
    "address1",
    "address2",
    "attachment_url",
    "checkout_url",
    "city",
    "country",
    "date_of_birth",
    "email",
    "first_name",
    "gender",
    "instructions",
    "invitation_url",
    "last_name",
    "mobile_number",
    "pdf_url",
    "personal_message",
    "redirect_url",
    "response_body",
    "treatment_plan_text",
    "zipcode",
];

#[tokio::test]
async fn no_text_of_a_patient_leaves_a_masked_tool() {
    let fake = FakeFullscript::builder().stateless().start().await.unwrap();
    let client = fake.client();
    let set = all_tools().mask(Mask::patient_fields());
    let mut seen = std::collections::BTreeSet::new();
    for tool in tools::all() {
        let Some(schema) = tool.output_schema() else {
            continue;
        };
        let mut sent = example(schema, true);
        mark(&mut sent, &mut seen);
        sent["a_new_field"] = json!({"of": [MARK, {"health_card_id": MARK}]});
        if let Some(event) = sent.get_mut("event") {
            event["data"] = json!({"patient": {"id": "1", "first_name": MARK, "name": MARK}});
        }
        fake.answer(tool.name(), Script::json(200, &sent));
        let arguments = example(tool.input_schema(), false);
        let result = set.invoke(&client, tool.name(), arguments).await.unwrap();
        let has_mark = result.to_string().contains(MARK);
        assert_eq!(
            has_mark,
            !tool.hints().touches_patient_data,
            "{}",
            tool.name()
        );
        if tool.hints().touches_patient_data {
            assert!(result.body().is_empty());
            assert!(result.unreadable_records().is_empty());
            assert_eq!(mismatch(&result, schema), None, "{}", tool.name());
        }
    }
    let all: Vec<_> = seen.iter().map(String::as_str).collect();
    assert_eq!(all, OF_PATIENTS);
}

/// Writes the mark into each field of a patient.
fn mark(value: &mut Value, seen: &mut std::collections::BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                if OF_PATIENTS.contains(&name.as_str()) {
                    seen.insert(name.clone());
                    *value = MARK.into();
                } else {
                    mark(value, seen);
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|value| mark(value, seen)),
        _ => {}
    }
}

#[tokio::test]
async fn what_is_needed_to_go_on_stays() {
    let fake = FakeFullscript::builder().stateless().start().await.unwrap();
    let client = fake.client();
    let sent = json!({"patients": [{
        "id": "p-1", "first_name": "Jane", "archived": false,
        "guardian_patient_id": "p-2", "metadata": {"id": "ehr-1"},
    }], "meta": {"total_count": 1}});
    fake.answer("list_patients", Script::json(200, &sent));
    let set = ToolSet::read_only().mask(Mask::patient_fields());
    let page = set
        .invoke(&client, "list_patients", json!({}))
        .await
        .unwrap();
    let expected = json!({"patients": [{
        "id": "p-1", "first_name": null, "archived": false,
        "guardian_patient_id": "p-2", "metadata": {"id": null},
    }], "meta": {"total_count": 1}});
    assert_eq!(*page, expected);

    let with_names = ToolSet::read_only().mask(Mask::patient_fields().keep("first_name"));
    let page = with_names
        .invoke(&client, "list_patients", json!({}))
        .await
        .unwrap();
    assert_eq!(page["patients"][0]["first_name"], "Jane");

    // Two states and two names: of a plan and of an address, of a product and of a person.
    let plan = json!({"treatment_plan": {"state": "draft", "patient": {"name": "Jane"}}});
    fake.answer("get_treatment_plan", Script::json(200, &plan));
    let plan = set
        .invoke(&client, "get_treatment_plan", json!({"id": "1"}))
        .await
        .unwrap();
    assert_eq!(
        *plan,
        json!({"treatment_plan": {"state": "draft", "patient": {"name": null}}})
    );
    let address = json!({"addresses": [{"id": "1", "state": "ON"}]});
    fake.answer("list_patient_addresses", Script::json(200, &address));
    let arguments = json!({"patient_id": "1"});
    let address = set
        .invoke(&client, "list_patient_addresses", arguments)
        .await
        .unwrap();
    assert_eq!(*address, json!({"addresses": [{"id": "1", "state": null}]}));
}
