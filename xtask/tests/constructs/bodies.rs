//! The types of request bodies: what `new` takes, and what can be sent as `null`.

use xtask::codegen::generate;
use xtask::normalize::derive;

use crate::construct::{OVERLAY, constructs};

/// The generated types of a construct, without spaces and line breaks.
fn types_of(name: &str) -> String {
    let document = derive(&constructs()[name].document(), OVERLAY).unwrap();
    let types = generate(&document.document.to_string()).unwrap().types;
    let types: String = types.split_whitespace().collect();
    // The formatter adds trailing commas when it breaks lines.
    types
        .replace("::std::", "")
        .replace(",>", ">")
        .replace(",)", ")")
}

#[track_caller]
fn check(types: &str, expected: &[&str]) {
    for expected in expected {
        assert!(types.contains(expected), "{expected} is missing in {types}");
    }
}

#[test]
fn only_fields_that_can_be_left_out_of_an_update_are_updates() {
    let expected = [
        "pubnullable:option::Option<string::String>",
        "publist:vec::Vec<string::String>",
        "pubtags:crate::value::Update<vec::Vec<string::String>>",
        "pubcount:crate::value::Update<i64>",
        "pubfnnew(nullable:implconvert::Into<option::Option<string::String>>,list:",
    ];
    check(&types_of("x_update_fields"), &expected);
}

#[test]
fn a_form_cannot_send_null() {
    check(&types_of("x_update_form"), &["pubname:option::Option<"]);
}

#[test]
fn an_update_has_its_own_type() {
    let types = types_of("x_update_of_what_is_listed");
    let [model, update] = ["pubstructThing{", "pubstructPatchThingRequest{"].map(|start| {
        let (_, fields) = types.split_once(start).unwrap();
        fields.split_once('}').unwrap().0
    });
    check(model, &["pubname:option::Option<"]);
    check(update, &["pubname:crate::value::Update<"]);
}

#[test]
fn new_takes_required_fields_whatever_their_names_and_descriptions() {
    let expected = "fnnew(new:implconvert::Into<string::String>,\
        default:implconvert::Into<string::String>,note:implconvert::Into<string::String>)";
    check(&types_of("x_body_fields_like_methods"), &[expected]);
}
