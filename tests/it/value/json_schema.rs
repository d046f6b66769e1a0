//! Feature `schemars`: the JSON Schemas of the models match what they decode.

use fullscript::types::{CreatePatientRequest, Gender, PatientListResponse};
use serde_json::{Value, json};

fn schema<T: schemars::JsonSchema>() -> Value {
    schemars::schema_for!(T).to_value()
}

#[test]
fn a_request_asks_for_what_the_vendor_asks_for() {
    let schema = schema::<CreatePatientRequest>();
    assert_eq!(
        schema["required"],
        json!(["email", "first_name", "last_name"])
    );
    assert_eq!(schema["properties"]["email"]["type"], "string");
}

#[test]
fn an_enumeration_is_open() {
    let schema = schema::<Gender>();
    assert_eq!(schema["type"], "string");
    assert!(schema.get("enum").is_none(), "{schema}");
}

#[test]
fn a_response_references_its_models() {
    let schema = schema::<PatientListResponse>();
    let patient = &schema["$defs"]["Patient"];
    assert_eq!(patient["required"], json!(["id"]), "{patient:#}");
    let name = &patient["properties"]["first_name"]["type"];
    assert!(
        name == "string" || *name == json!(["string", "null"]),
        "{name}"
    );
    for id in ["PatientId", "Decimal", "Date"] {
        assert!(schema["$defs"].get(id).is_some(), "{id}");
    }
}
