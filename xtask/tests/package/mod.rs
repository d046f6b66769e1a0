//! A copy of the package for a test build, under another name.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// The workspace.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// Creates a copy of the package under another name that is built with the given document.
pub(crate) fn copy_of_package(name: &str, document: &Value) -> PathBuf {
    let (root, package) = (root(), Path::new(env!("CARGO_TARGET_TMPDIR")).join(name));
    let _absent = fs::remove_dir_all(&package);
    // Files that the manifest names must exist, although only `src` is compiled.
    for folder in ["src", "codegen", "benches", "examples"] {
        copy(&root.join(folder), &package.join(folder));
    }
    for file in ["build.rs", "Cargo.lock", "README.md", "CHANGELOG.md"] {
        fs::copy(root.join(file), package.join(file)).unwrap();
    }
    let manifest = fs::read_to_string(root.join("Cargo.toml")).unwrap();
    // The name must differ, because cargo would confuse it with the real package in the shared
    // target directory.
    let changes = [
        (
            "members = [\"examples/mcp\", \"fuzz\", \"tests\", \"xtask\"]",
            "members = []".to_string(),
        ),
        ("\nname = \"fullscript\"", format!("\nname = \"{name}\"")),
        (
            "\nfullscript = { path = \".\"",
            format!("\n{name} = {{ path = \".\""),
        ),
    ];
    let alone = changes.iter().fold(manifest, |manifest, (from, to)| {
        assert!(manifest.contains(from), "{from}");
        manifest.replace(from, to)
    });
    fs::write(package.join("Cargo.toml"), alone).unwrap();
    fs::create_dir_all(package.join("spec")).unwrap();
    let spec = package.join("spec/openapi.normalized.json");
    fs::write(spec, document.to_string()).unwrap();
    package
}

/// Checks a package in the target directory of the workspace, offline.
pub(crate) fn cargo_check(package: &Path, arguments: &[&str]) -> Output {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    Command::new(env!("CARGO"))
        .args(["check", "--offline"])
        .args(arguments)
        .env("CARGO_TARGET_DIR", target)
        .current_dir(package)
        .output()
        .unwrap()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
