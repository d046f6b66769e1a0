use super::*;
use crate::normalize::report::check;

/// Returns the schema after the fix, which must have reported a change.
fn simplified(schema: Value) -> Value {
    let (document, repairs) = check(
        apply,
        json!({"components": {"schemas": {
            "A": {"type": "object", "properties": {"p": schema}},
            "B": {"type": "object", "properties": {"b": {"type": "string"}}}}}}),
    );
    assert!(!repairs.is_empty());
    document["components"]["schemas"]["A"]["properties"]["p"].clone()
}

#[test]
fn types_of_3_1_become_those_of_3_0() {
    assert_eq!(
        simplified(json!({"type": ["string", "null"]})),
        json!({"type": "string", "nullable": true})
    );
    assert_eq!(
        simplified(json!({"const": "a"})),
        json!({"type": "string", "enum": ["a"]})
    );
    assert_eq!(
        simplified(json!({"type": "String"})),
        json!({"type": "string"})
    );
    assert_eq!(
        simplified(json!({"anyOf": [{"$ref": "#/components/schemas/B"}, {"type": "null"}]})),
        json!({"allOf": [{"$ref": "#/components/schemas/B"}], "nullable": true}),
    );
}

#[test]
fn unions_become_the_type_that_all_members_match() {
    let union = |names: &[&str]| {
        let members: Vec<_> = names.iter().map(|name| json!({"type": name})).collect();
        simplified(json!({"oneOf": members}))
    };
    assert_eq!(union(&["string", "string"]), json!({"type": "string"}));
    assert_eq!(union(&["integer", "number"]), json!({"type": "number"}));
    assert_eq!(
        union(&["boolean", "integer"]),
        json!({"type": "string", "format": "boolean"})
    );
    assert_eq!(
        union(&["string", "integer"]),
        json!({"type": "string", "format": "decimal"})
    );
    assert_eq!(union(&["array", "integer"]), json!({}));
    assert_eq!(
        union(&["object", "object"]),
        json!({"type": "object", "additionalProperties": true})
    );
}

#[test]
fn nothing_is_enforced_on_the_server() {
    assert_eq!(
        simplified(
            json!({"type": "string", "minLength": 3, "pattern": "^a", "default": "abc", "title": "T", "format": "email"})
        ),
        json!({"type": "string"}),
    );
    assert_eq!(
        simplified(
            json!({"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": false})
        ),
        json!({"type": "object", "properties": {"a": {"type": "string"}}}),
    );
}

#[test]
fn value_sets_hold_texts_once() {
    assert_eq!(
        simplified(json!({"type": "string", "enum": ["a", null, "a", 1]})),
        json!({"type": "string", "enum": ["a"], "nullable": true}),
    );
    assert_eq!(
        simplified(json!({"type": "integer", "enum": [1, 2]})),
        json!({"type": "integer"})
    );
}

#[test]
fn one_sided_fields_are_not_required() {
    assert_eq!(
        simplified(
            json!({"type": "object", "required": ["id", "secret"], "properties": {
            "id": {"type": "string", "readOnly": true}, "secret": {"type": "string", "writeOnly": true}}})
        ),
        json!({"type": "object", "properties": {"id": {"type": "string"}, "secret": {"type": "string"}}}),
    );
}

#[test]
fn parts_merge_and_contradictions_stay_reachable() {
    assert_eq!(
        simplified(
            json!({"allOf": [{"$ref": "#/components/schemas/B"}, {"type": "object", "properties": {"c": {"type": "integer"}, "b": {"type": "boolean"}}}]})
        ),
        json!({"type": "object", "properties": {"b": {}, "c": {"type": "integer"}}}),
    );
}

#[test]
fn parts_of_parts_merge_too() {
    let part = |field: &str| json!({"type": "object", "properties": {"address": {"type": "object", "properties": {field: {"type": "string"}}}}});
    let merged = simplified(json!({"allOf": [part("city"), part("zip")]}));
    let fields = merged["properties"]["address"]["properties"]
        .as_object()
        .unwrap();
    assert_eq!(fields.keys().collect::<Vec<_>>(), ["city", "zip"]);
}

#[test]
fn a_nullable_component_is_nullable_where_referred_to() {
    let (document, repairs) = check(
        apply,
        json!({"components": {"schemas": {
        "A": {"type": "object", "properties": {"b": {"$ref": "#/components/schemas/B"}}},
        "B": {"type": "object", "nullable": true, "properties": {"c": {"type": "string"}}}}}}),
    );
    let schemas = &document["components"]["schemas"];
    assert_eq!(
        schemas["A"]["properties"]["b"],
        json!({"allOf": [{"$ref": "#/components/schemas/B"}], "nullable": true})
    );
    assert_eq!(schemas["B"].get("nullable"), None);
    assert_eq!(repairs.len(), 1);
}

#[test]
fn a_base_is_open_and_its_kinds_have_its_fields() {
    let (document, _) = check(
        apply,
        json!({"components": {"schemas": {
        "Base": {"type": "object", "discriminator": {"propertyName": "kind"}, "properties": {"kind": {"type": "string"}}},
        "Cat": {"allOf": [{"$ref": "#/components/schemas/Base"}, {"type": "object", "properties": {"lives": {"type": "integer"}}}]}}}}),
    );
    let schemas = &document["components"]["schemas"];
    assert_eq!(
        schemas["Base"],
        json!({"type": "object", "additionalProperties": true})
    );
    let fields = schemas["Cat"]["properties"].as_object().unwrap();
    assert_eq!(fields.keys().collect::<Vec<_>>(), ["kind", "lives"]);
}

#[test]
fn fields_without_a_name_of_their_own_leave_a_map() {
    assert_eq!(
        simplified(json!({"type": "object", "properties": {"fooBar": {}, "foo_bar": {}}})),
        json!({"type": "object", "additionalProperties": true}),
    );
}
