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

/// Returns the component schemas after the fix.
fn plain(schemas: Value) -> Value {
    let (document, _) = check(apply, json!({"components": {"schemas": schemas}}));
    document["components"]["schemas"].clone()
}

fn reference(name: impl std::fmt::Display) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

#[test]
fn diamonds_of_parts_are_merged_once() {
    let mut schemas = json!({"A0": {"type": "object", "properties": {"f": {"type": "string"}}}});
    for level in 1..40 {
        let below = reference(format!("A{}", level - 1));
        let own =
            json!({"type": "object", "properties": {format!("f{level}"): {"type": "string"}}});
        schemas[format!("A{level}")] = json!({"allOf": [below, below, own]});
    }
    let merged = plain(schemas);
    assert_eq!(merged["A39"]["properties"].as_object().unwrap().len(), 40);
}

#[test]
fn diamonds_of_alternatives_are_judged_once() {
    let mut schemas = json!({"A0": {"type": "string"}});
    for level in 1..40 {
        let below = reference(format!("A{}", level - 1));
        schemas[format!("A{level}")] = json!({"oneOf": [below, below]});
    }
    assert_eq!(plain(schemas)["A39"], json!({"type": "string"}));
}

#[test]
fn an_inherited_field_with_parts_is_merged_too() {
    let schemas = plain(json!({
        "Low": {"type": "object", "properties": {"born": {"allOf": [{"type": "string", "format": "date"}, {"description": "d"}]}}},
        "Middle": {"allOf": [reference("Low"), {"properties": {"m": {"type": "string"}}}]},
        "High": {"allOf": [reference("Middle"), {"properties": {"h": {"type": "string"}}}]},
    }));
    let born = &schemas["High"]["properties"]["born"];
    assert_eq!(
        (&born["type"], &born["format"]),
        (&json!("string"), &json!("date"))
    );
}

#[test]
fn alternatives_inside_all_of_leave_the_object_open() {
    let one = |name: &str| json!({"type": "object", "properties": {name: {"type": "string"}}});
    let alternatives = [
        json!({"oneOf": [one("a"), one("b")]}),
        json!({"anyOf": [reference("X"), reference("Y")]}),
        json!({"oneOf": [reference("X"), {"type": "string"}]}),
    ];
    for alternative in alternatives {
        let schemas =
            plain(json!({"X": one("x"), "Y": one("y"), "T": {"allOf": [one("id"), alternative]}}));
        let expected = json!({"type": "object", "properties": {"id": {"type": "string"}}, "additionalProperties": {}});
        assert_eq!(schemas["T"], expected);
    }
}

#[test]
fn a_base_that_lists_its_kinds_is_open() {
    let kind = |field: &str| json!({"allOf": [reference("Pet"), {"type": "object", "properties": {field: {"type": "boolean"}}}]});
    let pet = json!({"type": "object", "discriminator": {"propertyName": "kind"},
        "oneOf": [reference("Cat"), reference("Dog")], "properties": {"kind": {"type": "string"}}});
    let schemas = plain(json!({"Pet": pet, "Cat": kind("meows"), "Dog": kind("barks")}));
    assert_eq!(
        schemas["Pet"],
        json!({"type": "object", "additionalProperties": true})
    );
    let fields = schemas["Cat"]["properties"].as_object().unwrap();
    assert_eq!(fields.keys().collect::<Vec<_>>(), ["kind", "meows"]);
    assert_eq!(schemas["Cat"].get("additionalProperties"), None);
}

#[test]
fn a_circle_that_describes_nothing_is_a_fault() {
    let mut document = json!({"components": {"schemas": {
        "A": {"allOf": [reference("B"), {"properties": {"a": {"type": "string"}}}]},
        "B": {"allOf": [reference("A")]}, "C": reference("C")}}});
    let mut report = Report::default();
    apply(&mut document, &mut report).unwrap();
    assert_eq!(report.faults().len(), 2, "{:?}", report.faults());
    assert_eq!(document["components"]["schemas"]["C"], json!({}));
    assert!(document["components"]["schemas"]["A"]["properties"]["a"].is_object());
}

#[test]
fn a_schema_that_contains_itself_through_parts_ends() {
    let child = json!({"allOf": [reference("T"), {"type": "object", "properties": {"x": {"type": "string"}}}]});
    let schemas = plain(json!({"T": {"type": "object", "properties": {"child": child}}}));
    let child = &schemas["T"]["properties"]["child"];
    assert!(child["properties"]["x"].is_object());
    assert_eq!(child["additionalProperties"], json!({}));
}
