//! Generates the crate's bindings from `spec/openapi.normalized.json`, offline.

use std::path::PathBuf;

#[allow(unreachable_pub, reason = "xtask publishes the same files")]
mod codegen;

const SPEC: &str = "spec/openapi.normalized.json";

#[allow(clippy::print_stdout, reason = "how a build script talks to cargo")]
fn main() {
    println!("cargo::rerun-if-changed={SPEC}");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=codegen");
    let spec = std::fs::read_to_string(SPEC).unwrap_or_else(|error| panic!("{SPEC}: {error}"));
    let generated = codegen::generate(&spec).unwrap_or_else(|error| panic!("{SPEC}: {error}"));
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    for (name, text) in [
        ("types.rs", &generated.types),
        ("client.rs", &generated.client),
        ("operations.rs", &generated.operations),
        ("index.md", &generated.index),
        ("fields.rs", &generated.fields),
        ("round_trip.rs", &generated.round_trip),
    ] {
        std::fs::write(out.join(name), text).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}
