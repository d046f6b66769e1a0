//! Responses that users of comparable clients reported as decode errors, or as wrong values, and
//! others of the same kinds.

use fullscript::testing::decode;
use serde_json::{Value, json};

/// Decodes a response, and compares the value at the pointer and the paths of the issues.
#[track_caller]
fn check(operation: &str, body: &str, pointer: &str, value: Value, issues: &[&str]) {
    let decoded = decode(operation, body.as_bytes()).unwrap_or_else(|e| panic!("{body}: {e}"));
    let paths: Vec<_> = decoded.issues.iter().map(|issue| &issue.path).collect();
    assert_eq!(paths, issues, "{body}");
    let back = decoded.value.pointer(pointer).unwrap_or(&Value::Null);
    assert_eq!(*back, value, "{body}: {pointer}");
}

#[test]
fn a_list_may_be_null_or_an_object_with_indexes() {
    // kube-rs/kube 1199 and 1491: a list without records is null, and has no metadata.
    check(
        "list_patients",
        r#"{"patients":null}"#,
        "/patients",
        json!([]),
        &["patients"],
    );
    check(
        "list_patients",
        r#"{"patients":[]}"#,
        "/patients",
        json!([]),
        &[],
    );
    // Lists of PHP and Lua that are empty or had elements removed.
    check(
        "list_patients",
        r#"{"patients":{}}"#,
        "/patients",
        json!([]),
        &["patients"],
    );
    let body = r#"{"patients":{"0":{"id":"a"},"2":{"id":null},"3":null,"7":{"id":"b"}}}"#;
    let decoded = decode("list_patients", body.as_bytes()).unwrap();
    assert_eq!(
        decoded.value,
        json!({"patients": [{"id": "a"}, {"id": "b"}]})
    );
    let unreadable = decoded
        .unreadable_records
        .iter()
        .map(|record| record.index());
    assert_eq!(unreadable.collect::<Vec<_>>(), [1, 2]);
    let plan =
        |list: &str| format!(r#"{{"treatment_plan":{{"id":"1","recommendations":{list}}}}}"#);
    for (list, value, issues) in [
        ("null", json!(null), &[][..]),
        ("{}", json!([]), &["treatment_plan.recommendations"]),
        (
            r#"{"1":{"take_with":"tea"},"0":7}"#,
            json!([{"take_with": "tea"}]),
            &[
                "treatment_plan.recommendations",
                "treatment_plan.recommendations[1]",
            ],
        ),
    ] {
        let pointer = "/treatment_plan/recommendations";
        check("get_treatment_plan", &plan(list), pointer, value, issues);
    }
}

#[test]
fn an_object_may_be_an_empty_list_or_a_list_of_values() {
    // crowdin/crowdin-api-client-dotnet 247: `[]` for an object without fields.
    for list in ["[]", r#"["1","a"]"#, "[[],[]]", "[null,null,null]"] {
        let body = format!(r#"{{"patient":{{"id":"1","metadata":{list}}}}}"#);
        check(
            "get_patient",
            &body,
            "/patient",
            json!({"id": "1"}),
            &["patient.metadata"],
        );
        // No field of `meta` is required, so that serde alone would read the list by position.
        let body = format!(r#"{{"patients":[{{"id":"1"}}],"meta":{list}}}"#);
        check("list_patients", &body, "/meta", json!(null), &["meta"]);
    }
    // kubernetes/kubernetes 57705: a list for a text.
    let body = r#"{"patient":{"id":"1","last_name":["a"],"first_name":["a","b"]}}"#;
    let value = json!({"id": "1", "last_name": "a"});
    check(
        "get_patient",
        body,
        "/patient",
        value,
        &["patient.last_name", "patient.first_name"],
    );
    // A time of PHP.
    let body = r#"{"order":{"id":"1","completed_at":{"date":"2026-01-01 00:00:00.000000","timezone":"UTC"}}}"#;
    check(
        "get_order",
        body,
        "/order",
        json!({"id": "1"}),
        &["order.completed_at"],
    );
}

#[test]
fn an_integer_is_exact_or_absent() {
    let count = |number: &str| format!(r#"{{"clinic":{{"id":"1","patient_count":{number}}}}}"#);
    for (number, value) in [
        // serde-rs/serde 2205: integers as floats.
        ("200.0", json!(200)),
        ("2E2", json!(200)),
        ("-0", json!(0)),
        ("-0.0", json!(0)),
        ("9007199254740991.0", json!(9_007_199_254_740_991_i64)),
        ("9007199254740993", json!(9_007_199_254_740_993_i64)),
        (r#""9007199254740993.0""#, json!(9_007_199_254_740_993_i64)),
    ] {
        check(
            "get_clinic",
            &count(number),
            "/clinic/patient_count",
            value,
            &[],
        );
    }
    for number in [
        // ClickHouse/clickhousectl 368: a float of serde_json has another last digit.
        "9007199254740993.0",
        "9.007199254740993e15",
        "1e19",
        "\"1,234\"",
        "\" \"",
        "+5",
        "007",
        ".5",
        "5.",
        "0x10",
        "-Infinity",
        "undefined",
    ] {
        let null = json!(null);
        let issues = ["clinic.patient_count"];
        check(
            "get_clinic",
            &count(number),
            "/clinic/patient_count",
            null,
            &issues,
        );
    }
}

#[test]
fn values_of_enums_and_keys_that_are_new_are_no_issues() {
    // arlyon/async-stripe 169, 430, 499: unknown variants; 482: missing fields.
    let body = r#"{"treatment_plan":{"id":"1","state":"self","added":{"object":{"id":7}}}}"#;
    let value = json!({"id": "1", "state": "self"});
    check("get_treatment_plan", body, "/treatment_plan", value, &[]);
    // A new kind of value for the enum is text if it can be.
    let body = r#"{"treatment_plan":{"id":"1","state":{"name":"active"}}}"#;
    check(
        "get_treatment_plan",
        body,
        "/treatment_plan",
        json!({"id": "1"}),
        &["treatment_plan.state"],
    );
}

#[test]
fn text_that_is_not_unicode_costs_itself() {
    // pydantic/jiter 120: UTF-8 as lone surrogates.
    let body =
        r#"{"patient":{"id":"1","first_name":"a\udce2\udc80\udc99b","last_name":"\ud83d\ude00"}}"#;
    let value = json!({"id": "1", "last_name": "\u{1f600}"});
    check(
        "get_patient",
        body,
        "/patient",
        value,
        &["patient.first_name"],
    );
    // A key of the caller's metadata costs its value, and its path does not show it.
    let body = r#"{"metadata":[{"id":"1","data":{"\ud800":1,"\udfff":2,"b":3}}]}"#;
    let value = json!([{"id": "1", "data": {"b": 3}}]);
    let paths = ["metadata[0].data.*", "metadata[0].data.*"];
    let operation = "find_objects_by_metadata";
    check(operation, body, "/metadata", value, &paths);
}

#[test]
fn a_byte_order_mark_and_duplicate_keys_cost_nothing_else() {
    let body = "\u{feff}{\"patient\":{\"id\":\"1\",\"email\":\"a\",\"email\":\"b\"}}";
    let value = json!({"id": "1", "email": "b"});
    check(
        "get_patient",
        body,
        "/patient",
        value.clone(),
        &["patient.email"],
    );
    check(
        "get_patient",
        &format!("\u{feff}{}", json!({"patient": value})),
        "/patient",
        value,
        &[],
    );
}

#[test]
fn a_response_in_another_envelope_names_what_is_missing() {
    for (body, message) in [
        (r#"{"data":{"patients":[{"id":"1"}]}}"#, "`patients`"),
        (r#"{"patient":{"id":"1"}}"#, "`patients`"),
        (r#"{"patients":7}"#, "`patients`"),
        (r#"{"error":"no"}"#, "`patients`"),
    ] {
        match decode("list_patients", body.as_bytes()) {
            Err(error) => assert!(error.to_string().contains(message), "{body}: {error}"),
            // A single value in place of the list is a record that cannot be read.
            Ok(decoded) => assert_eq!(decoded.unreadable_records.len(), 1, "{body}"),
        }
    }
}
