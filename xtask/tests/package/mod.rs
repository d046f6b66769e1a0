//! The package as a test builds it: beside the real one, under another name.

use std::path::{Path, PathBuf};

/// A copy of the package under another name, to be built with another document.
pub(crate) fn copy_of_package(root: &Path, name: &str) -> PathBuf {
    let package = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _absent = std::fs::remove_dir_all(&package);
    // What the manifest names must be there, though only `src` is compiled.
    for folder in ["src", "codegen", "benches", "examples"] {
        copy(&root.join(folder), &package.join(folder));
    }
    for file in ["build.rs", "Cargo.lock", "README.md", "CHANGELOG.md"] {
        std::fs::copy(root.join(file), package.join(file)).unwrap();
    }
    let manifest = std::fs::read_to_string(root.join("Cargo.toml")).unwrap();
    // A name of its own: cargo would take it for the package beside it in the
    // shared target directory.
    let changes = [
        (
            "members = [\"fuzz\", \"xtask\"]",
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
    std::fs::write(package.join("Cargo.toml"), alone).unwrap();
    package
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
