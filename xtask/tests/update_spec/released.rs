//! The drafted changelog, and the version that a check requires.

use crate::documents::{document, with};
use crate::sandbox::{Sandbox, says};

const CHANGELOG: &str = "\
# Changelog

## [Unreleased]

### Added

- Something by hand.

### API surface

Written by hand.

## 0.0.9

### API surface

1 operation.
";

/// A workspace with a package and a changelog next to the spec directory.
fn workspace() -> Sandbox {
    let sandbox = Sandbox::filled();
    sandbox.write("CHANGELOG.md", CHANGELOG);
    version(&sandbox, "0.1.0");
    std::fs::create_dir(sandbox.path("xtask")).unwrap();
    sandbox
}

fn version(sandbox: &Sandbox, version: &str) {
    let manifest = format!("[package]\nname = \"x\"\nversion = \"{version}\"\n");
    sandbox.write("Cargo.toml", manifest);
}

/// Adds the heading of a released version below that of the next one.
fn begin_next_version(sandbox: &Sandbox) {
    let changelog = sandbox.beside("CHANGELOG.md");
    let changelog = changelog.replace("## [Unreleased]", "## [Unreleased]\n\n## 0.1.0");
    sandbox.write("CHANGELOG.md", changelog);
}

/// The document with another operation instead of its own.
fn replaced() -> String {
    with(|document| {
        document["paths"]["/api/clinic"]["get"]["operationId"] = "getOther".into();
    })
}

/// The document with its operation restricted.
fn marked() -> String {
    with(|document| {
        document["paths"]["/api/clinic"]["get"]["x-requires-commercial-approval"] = true.into();
    })
}

#[test]
fn the_changelog_draft_is_replaced_and_handwritten_lines_are_kept() {
    let sandbox = workspace();
    let text = sandbox.check().ends_with(1);
    says(&text, "CHANGELOG.md: the drafted part about the API");

    let text = sandbox.bring(document("filled"));

    says(&text, "changed CHANGELOG.md: +4 -0 lines");
    let draft = "\
        ### API surface\n\n\
        Written by hand.\n\n\
        <!-- drafted by `cargo xtask update-spec` -->\n\
        1 operation, none of which requires commercial approval.\n\
        <!-- end of the draft -->\n\n\
        ## 0.0.9\n";
    let changelog = sandbox.beside("CHANGELOG.md");
    says(&changelog, draft);
    assert_eq!(sandbox.bring(document("filled")).lines().count(), 1);
    sandbox.check().done();
    sandbox.bring(marked());
    let now = sandbox.beside("CHANGELOG.md");
    let replaced = changelog.replace(
        "1 operation, none of which requires commercial approval.",
        "1 operation, of which 1 requires commercial approval: `get_clinic`.",
    );
    assert_eq!(now, replaced, "replaced in its place");
}

#[test]
fn a_changelog_without_a_place_gets_one_or_says_so() {
    let sandbox = workspace();
    sandbox.write(
        "CHANGELOG.md",
        "# Changelog\n\n## 0.2.0 (unreleased)\n\n- One.\n\n## 0.1.0\n",
    );
    sandbox.bring(document("filled"));
    let changelog = sandbox.beside("CHANGELOG.md");
    says(&changelog, "- One.\n\n### API surface\n\n<!-- drafted");
    assert!(
        changelog.ends_with("<!-- end of the draft -->\n\n## 0.1.0\n"),
        "{changelog}"
    );
    sandbox.write("CHANGELOG.md", "# Changelog\n\n## 0.1.0\n");
    sandbox.write("new.json", replaced());
    sandbox.refuses("new.json", "no heading of a version");
}

#[test]
fn a_version_that_moved_less_than_users_were_given_is_found() {
    let sandbox = workspace();
    sandbox.bring(document("filled"));
    // The first release has no requirements.
    sandbox.check().done();

    let text = sandbox.record_release().done();

    assert_eq!(text, "recorded 0.1.0 in xtask/released.json\n");
    assert!(
        !sandbox.beside("CHANGELOG.md").contains("<!--"),
        "what was drafted is written now"
    );
    // Nothing changed since, so nothing is drafted.
    sandbox.check().done();
    begin_next_version(&sandbox);
    let text = sandbox.bring(replaced());
    says(&text, "warning: Cargo.toml: version 0.1.0, but");
    let changelog = sandbox.beside("CHANGELOG.md");
    for line in ["- Added: `get_other`.", "- Removed: `get_clinic`."] {
        says(&changelog, line);
    }
    for (number, is_enough) in [
        ("0.1.0", false),
        ("0.1.9", false),
        ("0.0.9", false),
        ("0.2.0", true),
        ("0.3.1", true),
        ("1.0.0", true),
    ] {
        version(&sandbox, number);
        let text = sandbox.check().ends_with(i32::from(!is_enough));
        let said = text.contains(&format!(
            "Cargo.toml: version {number}, but the changes since 0.1.0 are major; \
             set 0.2.0 or higher"
        ));
        assert_eq!(said, !is_enough, "{text}");
        assert_eq!(
            text.contains("get_clinic: code that calls it no longer compiles"),
            !is_enough
        );
    }
}

#[test]
fn a_mark_alone_demands_a_version_too() {
    let sandbox = workspace();
    sandbox.bring(document("filled"));
    sandbox.record_release().done();
    begin_next_version(&sandbox);
    sandbox.bring(marked());
    let text = sandbox.check().ends_with(1);
    for words in [
        "since 0.1.0 are minor; set 0.1.1 or higher",
        "Apps without commercial approval may no longer call `get_clinic`",
    ] {
        says(&text, words);
    }
    let drafted = "- Requires commercial approval now: `get_clinic`.";
    says(&sandbox.beside("CHANGELOG.md"), drafted);
    version(&sandbox, "0.1.1");
    sandbox.check().done();
}

#[test]
fn an_invalid_release_record_is_reported() {
    let sandbox = workspace();
    sandbox.bring(document("filled"));
    for (record, said) in [("{}", "missing field"), ("?", "expected value")] {
        sandbox.write("xtask/released.json", record);
        let text = sandbox.check().ends_with(1);
        assert!(
            text.contains("released.json") && text.contains(said),
            "{text}"
        );
    }
}
