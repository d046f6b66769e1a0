//! The check of committed files, and deriving them again.

use std::fs;
use std::process::Command;

use crate::documents::document;
use crate::sandbox::{OVERLAY, Run, Sandbox, says};

#[test]
fn the_committed_document_is_derived_again_with_its_record_kept() {
    let sandbox = Sandbox::filled();
    let source = sandbox.read("source.toml");
    sandbox.write("spec/overlay.yaml", OVERLAY.replace("x-test", "x-other"));
    let text = sandbox.check().ends_with(1);
    says(
        &text,
        "openapi.normalized.json: differs from the derived file, first at /",
    );
    let repair = text
        .lines()
        .last()
        .unwrap()
        .strip_prefix("fix with: cargo xtask ")
        .unwrap();

    let repaired = Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args(repair.split(' '))
        .arg("--no-check")
        .output()
        .unwrap();

    Run(repaired).done();
    sandbox.check().done();
    assert_eq!(sandbox.read("source.toml"), source);
    let committed = sandbox.path("spec/openapi.json");
    sandbox.refuses_with(
        &["--from", &committed, "--kind", "vendor"],
        "--kind cannot be used",
    );
}

#[test]
fn a_check_finds_every_kind_of_difference() {
    let sandbox = Sandbox::filled();
    sandbox.check().done();
    for (name, content, finding) in [
        (
            "openapi.json",
            document("filled"),
            "openapi.json: not in the form",
        ),
        (
            "openapi.normalized.json",
            "{".into(),
            "openapi.normalized.json: not JSON",
        ),
        (
            "openapi.normalized.json",
            "{}".into(),
            "openapi.normalized.json: differs from the derived file",
        ),
        (
            "source.toml",
            "kind = \"vendor\"".into(),
            "source.toml: missing field",
        ),
        ("source.toml", "?".into(), "source.toml: "),
    ] {
        let good = sandbox.read(name);
        sandbox.write(&format!("spec/{name}"), content);
        let text = sandbox.check().ends_with(1);
        assert!(text.starts_with(finding), "{text}");
        says(&text, "fix with: cargo xtask update-spec");
        fs::remove_file(sandbox.spec().join(name)).unwrap();
        let text = sandbox.check().ends_with(1);
        assert!(text.starts_with(&format!("{name}: missing")), "{text}");
        sandbox.write(&format!("spec/{name}"), good);
    }
}
