//! The dependencies of the crate.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

#[test]
fn without_features_there_is_no_http_dependency() {
    const HTTP: [&str; 8] = [
        "h2",
        "http",
        "hyper",
        "progenitor-client",
        "reqwest",
        "rustls",
        "tokio",
        "url",
    ];
    let http = |features: &[&str]| {
        let mut found = Vec::new();
        for package in packages("normal", features) {
            let (name, _) = package.split_once(' ').unwrap();
            found.extend(HTTP.into_iter().filter(|http| *http == name));
        }
        found
    };
    assert_eq!(http(&["--no-default-features"]), [""; 0]);
    // Proves that the search finds them where they exist.
    assert_eq!(http(&[]), HTTP);
}

/// Lints check our own code against the version, and CI builds with it if it is installed. This
/// check runs everywhere.
#[test]
fn no_dependency_needs_a_newer_rust_with_any_feature() {
    let version = cargo(&["-vV"]);
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    let metadata = ["metadata", "--format-version", "1", "--locked"];
    let metadata = cargo(&[&metadata[..], &["--filter-platform", host.unwrap()]].concat());
    let metadata: Value = serde_json::from_str(&metadata).unwrap();
    let needed: BTreeMap<String, (u32, u32)> = metadata["packages"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|package| {
            let needed = release(package["rust_version"].as_str()?);
            let [name, version] = ["name", "version"].map(|field| package[field].as_str().unwrap());
            Some((format!("{name} v{version}"), needed))
        })
        .collect();
    let ours = release(env!("CARGO_PKG_RUST_VERSION"));
    let packages = packages("normal,build", &["--all-features"]);
    let known = packages
        .iter()
        .filter(|package| needed.contains_key(*package));
    assert!(known.clone().count() > 100, "{packages:?}");
    let newer = known.filter(|package| needed[*package] > ours);
    assert_eq!(newer.collect::<Vec<_>>(), [""; 0]);
}

/// `1.88.0` without its last part.
fn release(version: &str) -> (u32, u32) {
    let mut parts = version.split('.').map(|part| part.parse().unwrap());
    (parts.next().unwrap(), parts.next().unwrap())
}

/// The packages of these dependency kinds: `url v2.5.0`.
fn packages(edges: &str, features: &[&str]) -> BTreeSet<String> {
    let tree = ["tree", "--locked", "-p", "fullscript", "--edges", edges];
    let tree = cargo(
        &[
            &tree[..],
            &["--prefix", "none", "--format", "{p}"],
            features,
        ]
        .concat(),
    );
    let packages = tree.lines().map(|line| line.split(' ').take(2));
    packages
        .map(|words| words.collect::<Vec<_>>().join(" "))
        .collect()
}

fn cargo(arguments: &[&str]) -> String {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(program)
        .args(arguments)
        .current_dir(super::ROOT)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}
