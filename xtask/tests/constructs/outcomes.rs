//! What becomes of each document of `../cases/`.

use serde_json::Value;
use xtask::codegen::generate;
use xtask::normalize::{Derived, derive};

use crate::cases::cases;
use crate::construct::OVERLAY;

fn derived(name: &str) -> Derived {
    let (_, document) = cases().into_iter().find(|(own, _)| own == name).unwrap();
    derive(&document, OVERLAY).unwrap()
}

/// The derived document, and the generated types and client without spaces.
fn outcome(name: &str) -> (Value, String, String) {
    let derived = derived(name);
    assert_eq!(derived.faults(), [""; 0], "{name}");
    let generated = generate(&derived.document.to_string()).unwrap();
    let dense = |text: &str| text.split_whitespace().collect::<String>();
    (
        derived.document,
        dense(&generated.types),
        dense(&generated.client),
    )
}

#[track_caller]
fn says(text: &str, part: &str) {
    assert!(text.contains(part), "{part} in {text}");
}

#[test]
fn fields_that_are_not_declared_have_a_place() {
    let open = "pubextra:::serde_json::Map<";
    let (_, types, _) = outcome("lost_additional_properties_beside_fields");
    says(&types, open);
    let (_, types, _) = outcome("wrong_union_inside_all_of");
    says(&types, open);
    says(&types, "pubid:");
}

#[test]
fn an_operation_called_clone_has_another_name() {
    let (_, _, client) = outcome("nobuild_operation_clone");
    says(&client, "pubfnclone_operation(&self)");
}

#[test]
fn an_object_in_the_query_is_sent_by_its_names() {
    let (_, _, client) = outcome("overflow_recursive_query_object");
    says(&client, "\"filter[status]\"");
    says(&client, "\"filter[and][{}]\"");
    let (_, _, client) = outcome("wrong_nested_deep_object");
    for name in [
        "filter[created][gte]",
        "filter[created][lte]",
        "filter[ids][]",
        "filter[name]",
        "gte",
    ] {
        says(&client, &format!("\"{name}\""));
    }
}

#[test]
fn a_parameter_called_send_has_another_setter() {
    let (_, _, client) = outcome("refused_query_parameter_send");
    says(&client, "pubfnsend_(mutself");
}

#[test]
fn evidence_without_a_value_decides_nothing() {
    let (_, types, _) = outcome("panic_null_for_an_object_with_id");
    says(&types, "pubowner:");
    let (_, types, _) = outcome("wrong_example_is_json_text");
    says(&types, "pubid:");
    says(&types, "pubname:");
}

#[test]
fn a_field_that_the_example_lacks_is_optional() {
    let (_, types, _) = outcome("wrong_required_though_example_lacks_it");
    says(&types, "pubcount:::std::option::Option<");
}

#[test]
fn references_and_bases_are_resolved() {
    let (_, types, _) = outcome("refused_deep_ref_into_component_parameter");
    says(&types, "pubowner_id:::std::option::Option<");
    let (document, types, _) = outcome("refused_discriminator_circle");
    assert_eq!(
        document["components"]["schemas"]["DcPet"]["additionalProperties"],
        true
    );
    says(&types, "pubmeows:");
}

#[test]
fn a_component_of_the_vendor_is_not_our_value_type() {
    let (_, types, _) = outcome("wrong_vendor_component_Flag");
    says(
        &types,
        "pubactive:::std::option::Option<crate::value::Flag>",
    );
    says(&types, "pubflag:Flag,");
    says(&types, "pubstructFlag{");
}
