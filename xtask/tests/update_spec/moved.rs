//! Operations whose paths the vendor changed.

use serde_json::{Value, json};

use crate::documents::with;
use crate::sandbox::{Sandbox, says};

const OVERLAY: &str = "\
overlay: 1.0.0
info: {title: test, version: 1.0.0}
actions:
  # The clinic of the token.
  - target: \"$.paths['/api/clinic'].get\"
    update: {operationId: read_clinic, x-scopes: [[\"clinic:read\"]]}
";

/// The document without operation ids, with the clinic at a path.
fn at(path: &str) -> String {
    with(|document| {
        let mut clinic = document["paths"]["/api/clinic"].take();
        clinic["get"].as_object_mut().unwrap().remove("operationId");
        clinic["get"]["tags"] = json!(["Clinic"]);
        let other = json!({"get": {"summary": "List plans", "tags": ["Plans"], "responses": {}}});
        document["paths"] = json!({path: clinic, "/api/plans": other});
    })
}

fn filled() -> Sandbox {
    let sandbox = Sandbox::fresh();
    sandbox.write("spec/overlay.yaml", OVERLAY);
    sandbox.bring(at("/api/clinic"));
    sandbox
}

#[test]
fn the_overlay_follows_an_operation_that_moved() {
    let sandbox = filled();

    let text = sandbox.bring(at("/api/practice/{id}"));

    says(
        &text,
        "- minor, breaks requests: `read_clinic` moved from GET /api/clinic to GET /api/practice/{id}",
    );
    says(
        &text,
        "- follows `read_clinic` from GET /api/clinic to GET /api/practice/{id}",
    );
    assert!(
        !text.contains("is gone") && !text.contains("is new (GET"),
        "{text}"
    );
    assert!(!text.contains("matched nothing"), "{text}");
    says(&text, "changed overlay.yaml: +2 -1 lines");
    let followed = OVERLAY.replace(
        "  - target: \"$.paths['/api/clinic'].get\"",
        "  # Moved from GET /api/clinic.\n  - target: \"$.paths['/api/practice/{id}'].get\"",
    );
    assert_eq!(sandbox.read("overlay.yaml"), followed);
    sandbox.check().done();
    let text = sandbox.update_from("new.json");
    assert!(text.starts_with("unchanged"), "{text}");
}

#[test]
fn an_operation_without_an_action_gets_one_when_it_moves() {
    let sandbox = filled();
    let moved = |path: &str| {
        let mut document: Value = serde_json::from_str(&at("/api/clinic")).unwrap();
        let paths = document["paths"].as_object_mut().unwrap();
        let plans = paths.remove("/api/plans").unwrap();
        paths.insert(path.into(), plans);
        document.to_string()
    };

    let text = sandbox.bring(moved("/api/treatment_plans"));

    says(
        &text,
        "`get_plans` moved from GET /api/plans to GET /api/treatment_plans",
    );
    let action = "  # Moved from GET /api/plans.\n  \
        - target: \"$.paths['/api/treatment_plans'].get\"\n    \
        update: {\"operationId\":\"get_plans\"}\n";
    says(&sandbox.read("overlay.yaml"), action);
    let before = sandbox.files();
    // Only looking changes nothing.
    sandbox.write("new.json", moved("/api/other_plans"));
    let new = sandbox.path("new.json");
    let text = sandbox.update(&["--from", &new, "--check"]).ends_with(1);
    says(&text, "changed overlay.yaml");
    assert_eq!(sandbox.files(), before);
}

#[test]
fn an_operation_with_another_response_has_not_moved() {
    let sandbox = filled();
    let text = sandbox.bring(at("/api/practice").replace("\"clinic\":{", "\"practice\":{"));
    says(&text, "`read_clinic` is gone (GET /api/clinic)");
    says(
        &text,
        "no longer matches anything: `$.paths['/api/clinic'].get`",
    );
    assert_eq!(sandbox.read("overlay.yaml"), OVERLAY);
}
