use super::*;
use crate::normalize::report::check;

fn normalized(path: &str, parameters: Value) -> Value {
    let (document, _) = check(
        apply,
        json!({"components": {"schemas": {}}, "paths": {path: {"get": {"parameters": parameters}}}}),
    );
    document["paths"][path]["get"]["parameters"].clone()
}

#[test]
fn path_variables_are_all_there_and_required() {
    assert_eq!(
        normalized(
            "/a/{id}",
            json!([{"name": "x", "in": "path", "schema": {"type": "string"}}])
        ),
        json!([{"name": "id", "in": "path", "required": true, "schema": {"type": "string"}}]),
    );
}

#[test]
fn an_object_in_the_query_is_a_parameter_for_each_field() {
    let object = json!({"type": "object", "properties": {"a": {"type": "string"}}});
    assert_eq!(
        normalized(
            "/a",
            json!([{"name": "f", "in": "query", "style": "deepObject", "schema": object}])
        ),
        json!([{"name": "f[a]", "in": "query", "schema": {"type": "string"}}]),
    );
}

fn names(parameters: Value) -> Vec<(String, String)> {
    let normalized = normalized("/a", parameters);
    let list = normalized.as_array().unwrap().iter();
    list.map(|own| (own["name"].as_str().unwrap().to_string(), rust_name(own)))
        .collect()
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = pairs
        .iter()
        .map(|(name, rust)| (name.to_string(), rust.to_string()));
    owned.collect()
}

#[test]
fn nested_objects_and_lists_keep_their_names() {
    let text = json!({"type": "string"});
    let created = json!({"type": "object", "properties": {"gte": text, "lte": text}});
    let filter = json!({"type": "object", "properties": {
        "created": created, "ids": {"type": "array", "items": text}, "name": text}});
    let names = names(json!([
        {"name": "filter", "in": "query", "style": "deepObject", "schema": filter},
        {"name": "gte", "in": "query", "schema": text},
    ]));
    let expected = pairs(&[
        ("filter[created][gte]", "filter_created_gte"),
        ("filter[created][lte]", "filter_created_lte"),
        ("filter[ids][]", "filter_ids"),
        ("filter[name]", "filter_name"),
        ("gte", "gte"),
    ]);
    assert_eq!(names, expected);
}

#[test]
fn an_object_of_any_fields_is_a_map() {
    let map = json!({"type": "object", "additionalProperties": {"type": "string"}});
    for style in ["deepObject", "form"] {
        for schema in [
            json!({"type": "object"}),
            json!({"type": "object", "additionalProperties": true}),
        ] {
            let own = json!([{"name": "group", "in": "query", "style": style, "schema": schema}]);
            let expected = json!([{"name": "group", "in": "query", "style": style, "schema": map}]);
            assert_eq!(normalized("/a", own), expected);
        }
    }
}

#[test]
fn an_object_or_a_text_can_be_sent_as_either() {
    let own = json!([{"name": "created", "in": "query", "style": "deepObject", "schema": {}}]);
    let map = json!({"type": "object", "additionalProperties": {"type": "string"}});
    let expected = json!([
        {"name": "created", "in": "query", "schema": {"type": "string"}},
        {"name": "created", "in": "query", "style": "deepObject", "schema": map, RUST_NAME: "created2"},
    ]);
    assert_eq!(normalized("/a", own), expected);
}

#[test]
fn an_object_that_contains_itself_ends_in_a_map() {
    let filter = json!({"$ref": "#/components/schemas/F"});
    let own = json!({"type": "object", "properties": {"a": {"type": "string"}, "and": filter}});
    let parameters = json!([{"name": "f", "in": "query", "style": "deepObject", "schema": filter}]);
    let (document, _) = check(
        apply,
        json!({"components": {"schemas": {"F": own}}, "paths": {"/a": {"get": {"parameters": parameters}}}}),
    );
    let after = &document["paths"]["/a"]["get"]["parameters"];
    assert_eq!(after[0]["name"], "f[a]");
    assert_eq!(after[1]["name"], "f[and]");
    assert_eq!(after[1]["schema"]["additionalProperties"]["type"], "string");
    assert_eq!(after[2], Value::Null);
}

#[test]
fn every_parameter_has_a_rust_name_of_its_own() {
    let query = |name: &str| json!({"name": name, "in": "query", "schema": {"type": "string"}});
    let list = [
        "DateCreated<",
        "DateCreated>",
        "DateCreated",
        "date_created",
        "header_map",
    ];
    let mut list: Vec<Value> = list.into_iter().map(query).collect();
    list.push(json!({"name": "DateCreated", "in": "header", "schema": {"type": "string"}}));
    let expected = pairs(&[
        ("DateCreated<", "date_created_lt"),
        ("DateCreated>", "date_created_gt"),
        ("DateCreated", "date_created"),
        ("date_created", "date_created2"),
        ("header_map", "header_map_query"),
        ("DateCreated", "date_created_header"),
    ]);
    assert_eq!(names(json!(list)), expected);
}

#[test]
fn two_variables_of_one_rust_name_are_both_kept() {
    let after = normalized("/a/{id}/{ID}", json!([]));
    let names: Vec<String> = after.as_array().unwrap().iter().map(rust_name).collect();
    assert_eq!(names, ["id", "id2"]);
}

#[test]
fn what_cannot_be_sent_is_listed_on_the_operation() {
    let own =
        |place: &str, name: &str| json!({"name": name, "in": place, "schema": {"type": "string"}});
    let list = json!([own("cookie", "s"), own("header", "a b"), own("body", "b")]);
    let (document, _) = check(
        apply,
        json!({"components": {"schemas": {}}, "paths": {"/a": {"get": {"parameters": list}}}}),
    );
    let expected = json!(["cookie `s`", "header `a b`", "body `b`"]);
    assert_eq!(document["paths"]["/a"]["get"], json!({NOT_SENT: expected}));
}

#[test]
fn joined_lists_are_text() {
    assert_eq!(
        normalized(
            "/a",
            json!([{"name": "f", "in": "query", "explode": false, "schema": {"type": "array", "items": {"type": "string"}}}])
        ),
        json!([{"name": "f", "in": "query", "schema": {"type": "string"}}]),
    );
}

#[test]
fn cookies_and_own_headers_go() {
    assert_eq!(
        normalized(
            "/a",
            json!([{"name": "s", "in": "cookie", "schema": {}}, {"name": "Accept", "in": "header", "schema": {}}])
        ),
        Value::Null,
    );
}
