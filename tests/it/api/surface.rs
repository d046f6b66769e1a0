//! The public surface, read from the compiled output. Reviewers of a new document read these
//! snapshots instead of the generated files.

use std::collections::BTreeMap;

use fullscript::operations::{self, Operation};
use serde_json::Value;
use syn::{Attribute, Expr, ImplItem, Item, Lit, Meta};

use xtask::surface::Surface;

use super::GENERATED;

/// The vendor's document before any repair.
const PUBLISHED: &str = include_str!("../../../spec/openapi.json");

/// The start of the documentation of a restricted operation.
const MARK: &str = "Requires commercial approval";

#[test]
fn the_operations_are_as_reviewed() {
    check("operations", surface().operation_lines());
}

#[test]
fn the_lists_are_as_reviewed() {
    for (id, operation) in surface().operations {
        let streamed = operation.list.is_some_and(|list| list.paged);
        assert_eq!(
            streamed,
            operations::find(&id).unwrap().paged,
            "{id} can't be streamed, or is no list in the table"
        );
    }
    check("lists", surface().list_lines());
}

#[test]
fn the_types_are_as_reviewed() {
    check("types", surface().type_lines());
}

#[test]
fn the_approval_marks_are_as_reviewed() {
    check("approval", surface().approval_lines());
}

#[test]
fn the_surface_says_what_the_table_of_operations_says() {
    let surface = surface();
    assert_eq!(surface.operations.len(), operations::all().len());
    for row in operations::all() {
        let read = &surface.operations[row.id];
        assert_eq!(
            (read.method.as_str(), read.path.as_str()),
            (row.method, row.path)
        );
        assert_eq!(read.approval, row.requires_commercial_approval);
        assert_eq!(read.scopes, row.scopes, "{}", row.id);
    }
}

/// The path without the names of its variables, which the derived document may change.
fn without_names(path: &str) -> String {
    let parts = path.split('/');
    let parts = parts.map(|part| if part.starts_with('{') { "{}" } else { part });
    parts.collect::<Vec<_>>().join("/")
}

#[test]
fn every_published_approval_mark_reaches_the_table_and_the_documentation() {
    let published: Value = serde_json::from_str(PUBLISHED).unwrap();
    let docs = method_docs();
    let mut marks = Vec::new();
    for (path, item) in published["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let mark = &operation["x-requires-commercial-approval"];
            if *mark == true || *mark == "true" || mark.is_object() {
                marks.push((method.to_uppercase(), without_names(path)));
            }
        }
    }
    assert!(
        !marks.is_empty(),
        "the vendor marks operations by another name now"
    );
    let mut in_table: Vec<_> = operations::all()
        .iter()
        .filter(|operation| operation.requires_commercial_approval)
        .map(|operation| (operation.method.to_string(), without_names(operation.path)))
        .collect();
    marks.sort();
    in_table.sort();
    assert_eq!(in_table, marks);
    for operation in operations::all() {
        let documented = docs[operation.id].trim_start().starts_with(MARK);
        assert_eq!(
            documented, operation.requires_commercial_approval,
            "docs of {}",
            operation.id
        );
    }
}

#[test]
fn every_operation_documents_its_scopes_approval_pagination_and_source() {
    let docs = method_docs();
    for operation in operations::all() {
        let Operation {
            id, method, path, ..
        } = operation;
        let docs = &docs[*id];
        let has = |what: &str| assert!(docs.contains(what), "{id}: {what} is not in\n{docs}");
        has(&format!("- Request: `{method} {path}`."));
        has(if operation.requires_commercial_approval {
            "- Commercial approval: required; Fullscript decides"
        } else {
            "- Commercial approval: not required."
        });
        has(if operation.paged {
            "- Pagination: at most 100 records per page"
        } else {
            "- Pagination: not paginated"
        });
        let scopes = operation.scopes.iter().copied().flatten();
        scopes.for_each(|scope| has(&format!("`{scope}`")));
        has(match operation.scopes_confidence {
            "documented" => "(documented by Fullscript).",
            "inferred" => "(inferred; not documented by Fullscript).",
            "third-party" => "(reported by third parties).",
            "unknown" => "- Scopes: unknown.",
            _ => "- Scopes: none; the request is sent without a token.",
        });
        has("- Source: ");
        operation.sources.iter().for_each(|source| has(source));
        has("```no_run");
    }
}

/// Fields without documentation; a new one gets a description in `spec/overlay.yaml`. This one is of
/// a schema that a fix adds, which no call returns.
const UNDOCUMENTED: [&str; 1] = ["ErrorResponse.message"];

#[test]
fn every_field_of_a_model_is_documented() {
    let fields = field_docs();
    assert!(fields.len() > 400, "only {} fields were read", fields.len());
    let bare = fields.iter().filter(|(_, docs)| docs.trim().is_empty());
    let bare: Vec<_> = bare.map(|(field, _)| field.as_str()).collect();
    assert_eq!(
        bare, UNDOCUMENTED,
        "describe these fields in `spec/overlay.yaml` and derive again: \
         cargo xtask update-spec --from spec/openapi.json"
    );
}

#[test]
fn fields_that_decide_what_a_patient_receives_name_effect_and_source() {
    let fields = field_docs();
    for (field, words) in [
        ("CreateTreatmentPlanRequest.state", &["means active"][..]),
        (
            "CreateTreatmentPlanRequest.send_to_patient",
            &["Third-party", "not documented", "`draft`"],
        ),
        (
            "CreateTreatmentPlanRequest.skip_email_notification",
            &["Third-party", "not documented", "`draft`"],
        ),
        (
            "CreateTreatmentPlanRequest.labs",
            &["Third-party", "labs:treatment_plans:create"],
        ),
        (
            "CreateTreatmentPlanRequest.partner_order_id",
            &["Third-party", "not documented"],
        ),
        ("LabInput.lab_test_id", &["third-party"]),
        ("LabInput.quantity", &["third-party"]),
        ("LabInput.sample_collection", &["third-party"]),
        ("TreatmentPlan.patient", &["`patient_id`"]),
        ("TreatmentPlan.patient_id", &["read `patient`"]),
        ("CreatePatientRequest.send_welcome_email", &["default true"]),
        (
            "CreateTreatmentPlanLinkRequest.patient",
            &["welcome e-mail"],
        ),
    ] {
        let docs = &fields[field];
        for word in words {
            assert!(
                docs.contains(word),
                "{word} is not in the docs of {field}: {docs}"
            );
        }
    }
}

#[test]
fn every_open_enum_names_the_fields_and_arguments_that_use_it() {
    let file = syn::parse_file(&GENERATED.types).unwrap();
    let mut enums = 0;
    for item in file.items {
        let Item::Macro(own) = item else { continue };
        let text = own.mac.tokens.to_string();
        if own.mac.path.segments.last().unwrap().ident == "open_enum" {
            enums += 1;
            assert!(text.contains("Used by the "), "{text}");
        }
    }
    assert!(enums > 30, "only {enums} enums were read");
    for (name, user) in [
        ("LabOrderState", "the field `state` of [`LabOrder`]"),
        ("SortOrder", "the argument `order_by` of [`"),
        ("NewTreatmentPlanState", "[`CreateTreatmentPlanRequest`]"),
    ] {
        let (before, _) = GENERATED
            .types
            .split_once(&format!("pub enum {name} "))
            .unwrap();
        let docs = &before[before.rfind("#[doc").unwrap()..];
        assert!(docs.contains(user), "{user} is not in {docs}");
    }
}

/// The documentation of each public field of the models, by `Model.field`.
fn field_docs() -> BTreeMap<String, String> {
    let items = syn::parse_file(&GENERATED.types).unwrap().items.into_iter();
    let models = items.filter_map(|item| match item {
        Item::Struct(model) => Some(model),
        _ => None,
    });
    let fields = models.flat_map(|model| {
        let fields = model.fields.into_iter().filter_map(|field| {
            let name = format!("{}.{}", model.ident, field.ident?);
            Some((name, doc(&field.attrs)))
        });
        fields.collect::<Vec<_>>()
    });
    fields.collect()
}

#[test]
fn every_operation_is_a_method_of_the_client() {
    let methods: Vec<_> = method_docs().into_keys().collect();
    let ids: Vec<_> = operations::all()
        .iter()
        .map(|operation| operation.id)
        .collect();
    assert_eq!(methods, ids);
}

fn surface() -> Surface {
    Surface::read(&GENERATED.types, &GENERATED.client, &GENERATED.operations).unwrap()
}

/// Compares lines with `tests/snapshots/<name>.snap`, one sorted fact per line.
#[track_caller]
fn check(name: &str, lines: Vec<String>) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../../snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, lines.join("\n")));
}

/// The documentation of each operation's method.
fn method_docs() -> BTreeMap<String, String> {
    let mut docs = BTreeMap::new();
    for item in syn::parse_file(&GENERATED.client).unwrap().items {
        let Item::Impl(block) = item else { continue };
        for item in block.items {
            if let ImplItem::Fn(method) = item
                && matches!(method.vis, syn::Visibility::Public(_))
            {
                docs.insert(method.sig.ident.to_string(), doc(&method.attrs));
            }
        }
    }
    docs
}

fn doc(attributes: &[Attribute]) -> String {
    let lines = attributes
        .iter()
        .filter_map(|attribute| match &attribute.meta {
            Meta::NameValue(pair) if pair.path.is_ident("doc") => text(&pair.value),
            _ => None,
        });
    lines
        .collect::<Vec<_>>()
        .join("\n")
        .trim_start()
        .to_string()
}

fn text(expression: &Expr) -> Option<String> {
    match expression {
        Expr::Lit(literal) => match &literal.lit {
            Lit::Str(text) => Some(text.value()),
            _ => None,
        },
        _ => None,
    }
}
