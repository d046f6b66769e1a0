//! Files that are not the document, and invalid directories.

use std::fs;

use serde_json::json;

use crate::documents::{document, with};
use crate::sandbox::{Sandbox, says};

#[test]
fn a_file_that_cannot_be_read_is_refused() {
    let sandbox = Sandbox::filled();
    sandbox.refuses("missing.json", "no file at");
    sandbox.refuses("spec", "is a directory");
    sandbox.refuses("filled.json/x", "cannot read the file");
    // Even root cannot read this file.
    #[cfg(target_os = "linux")]
    sandbox.refuses("/proc/self/mem", "cannot read the file");
}

#[test]
fn a_file_that_is_not_the_document_is_refused() {
    let sandbox = Sandbox::filled();
    let deep = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    let cases: Vec<(String, &str)> = vec![
        ("{\"openapi\": nope}".into(), "invalid JSON"),
        ("openapi: 3.0.1\n".into(), "no `paths`"),
        ("openapi: [3.0.1\n".into(), "invalid YAML"),
        (
            format!("{}{}", document("1"), document("2")),
            "invalid JSON",
        ),
        ("[]".into(), "is an array"),
        ("null".into(), "is null"),
        ("{}".into(), "no `openapi` field"),
        (deep(200), "nested too deep"),
        (deep(100_000), "nested too deep"),
        ("[".repeat(200), "nested too deep"),
        (
            r#"{"swagger": "2.0", "paths": {}}"#.into(),
            "Swagger version \"2.0\"",
        ),
        (
            with(|d| d["openapi"] = "3.2.0".into()),
            "OpenAPI version \"3.2.0\"",
        ),
        (with(|d| d["openapi"] = 3.0.into()), "is a number"),
        (with(|d| d["paths"] = json!({})), "empty `paths`"),
        (
            with(|d| d["paths"] = json!([])),
            "`paths` of the OpenAPI document is an array",
        ),
        (
            with(|d| drop(d.as_object_mut().unwrap().remove("paths"))),
            "no `paths`",
        ),
        (
            with(|d| d["info"]["title"] = "Pet\nStore".into()),
            "titled \"Pet Store\"",
        ),
    ];
    for (content, problem) in cases {
        sandbox.refuses_file(content, problem);
    }
}

fn with_a_dangling_reference() -> String {
    with(|d| {
        let schema = "/paths/~1api~1clinic/get/responses/200/content/application~1json/schema";
        let missing = json!({ "$ref": "#/components/schemas/Missing" });
        *d.pointer_mut(schema).unwrap() = missing;
    })
}

#[test]
fn a_dangling_reference_costs_its_place_and_is_reported_first() {
    let sandbox = Sandbox::filled();
    let report = sandbox.bring(with_a_dangling_reference());
    let (_, after) = report.split_once("## Errors of the vendor's").unwrap();
    let (faults, _) = after.split_once("## ").unwrap();
    says(
        faults,
        "a dangling $ref \"#/components/schemas/Missing\" at /paths/~1api~1clinic/get",
    );
    says(faults, "any JSON");
    says(after, "## Responses of any shape\n\n- `get_clinic` (Value)");
}

#[test]
fn a_dangling_reference_is_refused_if_strict() {
    let sandbox = Sandbox::filled();
    sandbox.write("given.json", with_a_dangling_reference());
    let given = sandbox.path("given.json");
    sandbox.refuses_with(&["--strict", "--from", &given], "a dangling $ref");
}

#[test]
fn a_yaml_document_is_taken_like_json() {
    let sandbox = Sandbox::filled();
    let yaml: serde_norway::Value = serde_json::from_str(&document("filled")).unwrap();
    sandbox.write("swagger.yaml", serde_norway::to_string(&yaml).unwrap());
    let before = sandbox.read("openapi.json");
    sandbox.update_from("swagger.yaml");
    assert_eq!(sandbox.read("openapi.json"), before);
    says(&sandbox.read("source.toml"), "file = \"swagger.yaml\"");
}

#[test]
fn a_document_is_compiled_before_it_is_written() {
    let sandbox = Sandbox::fresh();
    sandbox.write("given.json", document("1"));
    let run = sandbox.update_compiled("given.json");
    run.done();
    says(&run.stderr(), "compiling the generated crate");
    let files = sandbox.files();
    assert!(files.contains_key("openapi.normalized.json"));
}

#[test]
fn a_document_whose_generated_code_is_no_rust_is_refused() {
    let sandbox = Sandbox::filled();
    let twins = "\
overlay: 1.0.0
info: {title: test, version: 1.0.0}
actions:
  - target: $.paths['/api/clinic'].get
    update:
      parameters:
        - {name: a-b, in: query, schema: {type: string}}
        - {name: a_b, in: query, schema: {type: string}}
";
    fs::write(sandbox.spec().join("overlay.yaml"), twins).unwrap();
    sandbox.refuses_file(document("2"), "GetClinic.a_b is defined twice");
}

#[test]
fn a_directory_that_is_not_one_of_documents_is_refused() {
    let sandbox = Sandbox::fresh();
    fs::remove_file(sandbox.spec().join("overlay.yaml")).unwrap();
    sandbox.refuses_file(document("1"), "no overlay.yaml");
    fs::remove_dir(sandbox.spec()).unwrap();
    let run = sandbox.update(&["--from", &sandbox.path("given.json")]);
    run.ends_with(2);
    says(&run.stderr(), "no directory at");
}

#[test]
fn a_document_whose_generated_code_does_not_compile_is_refused() {
    let sandbox = Sandbox::fresh();
    let absent = "\
overlay: 1.0.0
info: {title: test, version: 1.0.0}
actions:
  - target: $.components.schemas
    update: {Absent: {type: string, x-value: Absent}}
  - target: $.paths['/api/clinic'].get.responses['200'].content['application/json'].schema
    update: {properties: {absent: {$ref: '#/components/schemas/Absent'}}}
";
    fs::write(sandbox.spec().join("overlay.yaml"), absent).unwrap();
    sandbox.write("given.json", document("1"));
    let run = sandbox.update_compiled("given.json");
    run.ends_with(2);
    says(&run.stderr(), "the generated crate does not compile: error");
    says(&run.stderr(), "cannot find type `Absent`");
    assert!(!sandbox.files().contains_key("openapi.json"));
}
