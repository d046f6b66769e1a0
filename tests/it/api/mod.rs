//! The public surface, its documentation and the dependencies.

mod compare;
mod coverage;
mod dependencies;
mod docs;
mod layers;
mod shape;
mod surface;

use std::path::Path;
use std::sync::LazyLock;

use xtask::codegen::{Generated, generate};

/// The root of the repository.
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// The bindings, as the build script of the crate generates them.
static GENERATED: LazyLock<Generated> = LazyLock::new(|| {
    let spec = Path::new(ROOT).join("spec/openapi.normalized.json");
    generate(&std::fs::read_to_string(spec).unwrap()).unwrap()
});
