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
        ("openapi: 3.0.1\n".into(), "invalid JSON"),
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
        (
            with(|d| {
                let schema =
                    "/paths/~1api~1clinic/get/responses/200/content/application~1json/schema";
                let missing = json!({ "$ref": "#/components/schemas/Missing" });
                *d.pointer_mut(schema).unwrap() = missing;
            }),
            "Missing",
        ),
    ];
    for (content, problem) in cases {
        sandbox.refuses_file(content, problem);
    }
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
