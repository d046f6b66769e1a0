//! `cargo xtask`: parses the verb and dispatches.
fn main() {}
