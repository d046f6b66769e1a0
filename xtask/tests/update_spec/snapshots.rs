//! The command that writes the snapshots.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::sandbox::{Run, says};

#[test]
fn the_command_writes_the_snapshots_that_the_tests_hold() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let workspace = tempfile::tempdir().unwrap();
    let spec = workspace.path().join("spec");
    fs::create_dir(&spec).unwrap();
    for name in ["openapi.json", "overlay.yaml"] {
        fs::copy(root.join("spec").join(name), spec.join(name)).unwrap();
    }
    let snapshots = workspace.path().join("tests/snapshots");
    fs::create_dir_all(&snapshots).unwrap();
    fs::create_dir(workspace.path().join("docs")).unwrap();
    let write = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        Run(command
            .args(["snapshots", "--spec"])
            .arg(&spec)
            .output()
            .unwrap())
        .done()
    };

    let said = write();

    let mut names = Vec::new();
    for entry in fs::read_dir(root.join("tests/snapshots")).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let written = fs::read_to_string(snapshots.join(&name)).unwrap();
        assert_eq!(written, fs::read_to_string(entry.path()).unwrap(), "{name}");
        says(&said, &format!("changed tests/snapshots/{name}: +"));
        names.push(name);
    }
    assert_eq!(names.len(), fs::read_dir(&snapshots).unwrap().count());
    let coverage = fs::read_to_string(workspace.path().join("docs/coverage.md")).unwrap();
    let committed = fs::read_to_string(root.join("docs/coverage.md")).unwrap();
    assert_eq!(coverage, committed, "run `cargo xtask snapshots`");
    assert_eq!(write(), "unchanged: tests/snapshots and docs/coverage.md\n");
}
