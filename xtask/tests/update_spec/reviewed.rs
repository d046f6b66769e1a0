//! The report of an update: on the terminal, in `REVIEW.md`, in JSON.

use std::process::Command;

use serde_json::Value;

use crate::documents::{document, with};
use crate::sandbox::{OVERLAY, Sandbox, says};

const SCHEMA: &str = "/paths/~1api~1clinic/get/responses/200/content/application~1json/schema/properties/clinic/properties";

/// The document with one more field.
fn grown() -> String {
    with(|document| {
        let fields = document.pointer_mut(SCHEMA).unwrap();
        fields["motto"] = serde_json::json!({ "type": "string" });
    })
}

#[test]
fn an_update_prints_and_writes_its_review() {
    let sandbox = Sandbox::filled();

    let text = sandbox.bring(grown());

    let review = sandbox.read("REVIEW.md");
    assert!(text.starts_with(&review), "{text}");
    says(&text, "next: run `cargo xtask snapshots`");
    assert!(
        review.starts_with("# new.json compared with filled.json: minor\n"),
        "{review}"
    );
    says(&review, "field `motto` is new (string)");
    says(&review, "in responses of `get_clinic`");
    assert!(
        review.ends_with("minor: because of `GetClinicResponseClinic.motto`.\n"),
        "{review}"
    );
    let text = sandbox.update_from("new.json");
    assert_eq!(text.lines().count(), 1, "{text}");
    assert_eq!(
        sandbox.read("REVIEW.md"),
        review,
        "the review of the last update stays"
    );
}

#[test]
fn a_document_without_a_predecessor_is_the_first() {
    let sandbox = Sandbox::filled();
    let review = sandbox.read("REVIEW.md");
    assert_eq!(
        review,
        "# filled.json: first document\n\n\
         1 operation, none of which requires commercial approval.\n3 types.\n"
    );
}

#[test]
fn a_document_that_only_another_order_is_the_same() {
    let sandbox = Sandbox::filled();
    let given: Value = serde_json::from_str(&document("filled")).unwrap();
    let paths = given["paths"].to_string();
    let info = given["info"].to_string();
    sandbox.write(
        "turned.json",
        format!(r#"{{"paths": {paths}, "openapi": "3.0.1", "info": {info}}}"#),
    );
    let text = sandbox
        .update(&["--from", &sandbox.path("turned.json"), "--dry-run"])
        .done();
    // Other bytes were received, so only their record changes.
    assert!(text.starts_with("changed source.toml"), "{text}");
    assert_eq!(text.lines().count(), 2, "{text}");
}

#[test]
fn machines_read_the_review_in_json() {
    let sandbox = Sandbox::filled();
    sandbox.write("new.json", grown());
    let new = sandbox.path("new.json");
    let json = |args: &[&str], code: i32| -> Value {
        let args = [&["--from", &new, "--format", "json"], args].concat();
        serde_json::from_str(&sandbox.update(&args).ends_with(code)).unwrap()
    };

    let report = json(&["--check"], 1);

    assert_eq!(report["format"], 1);
    assert_eq!(report["outcome"], "would_change");
    assert_eq!(report["review"]["verdict"], "minor");
    assert_eq!(report["review"]["from"], "filled.json");
    let ty = &report["review"]["types"][0];
    assert_eq!(ty["name"], "GetClinicResponseClinic");
    assert_eq!(ty["used"]["answers"], serde_json::json!(["get_clinic"]));
    assert_eq!(
        ty["lines"][0],
        serde_json::json!({
            "subject": "GetClinicResponseClinic.motto",
            "level": "minor",
            "wire": { "breaks_requests": false, "breaks_answers": false },
            "change": "is new (string)",
            "effect": "a new field",
        })
    );
    assert_eq!(json(&[], 0)["outcome"], "updated");
    let report = json(&[], 0);
    assert_eq!(report["outcome"], "unchanged");
    assert_eq!(report["review"], Value::Null);
    sandbox.refuses_with(&["--format", "xml"], "neither text nor json");
}

#[test]
fn a_review_is_of_the_last_commit_until_it_is_committed_itself() {
    let sandbox = Sandbox::filled();
    let git = |args: &[&str]| {
        let mut git = Command::new("git");
        git.arg("-C").arg(sandbox.path("")).args(args);
        for variable in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"] {
            git.env_remove(variable);
        }
        let output = git.output().unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    };
    git(&["init", "--quiet"]);
    git(&["add", "."]);
    let author = ["-c", "user.name=Test", "-c", "user.email=test@example.com"];
    git(&[&author[..], &["commit", "--quiet", "-m", "spec: first"]].concat());
    sandbox.bring(grown());

    // The overlay adds facts to the update, and everything is derived again.
    let action = "  - target: $.paths['/api/clinic'].get\n    update: {deprecated: true}\n";
    sandbox.write("spec/overlay.yaml", format!("{OVERLAY}{action}"));
    let committed = sandbox.path("spec/openapi.json");
    sandbox.update(&["--from", &committed]).done();

    let review = sandbox.read("REVIEW.md");
    assert!(
        review.starts_with("# new.json compared with filled.json: minor\n"),
        "{review}"
    );
    says(&review, "field `motto` is new");
    says(&review, "`get_clinic` is deprecated");
    sandbox.write("spec/overlay.yaml", OVERLAY);
    sandbox.update_from("filled.json");
    assert!(
        sandbox
            .read("REVIEW.md")
            .starts_with("# filled.json: first document"),
        "an update that is taken back leaves the review of the one before"
    );
}
