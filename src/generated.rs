//! The generated code, and every lint it is exempt from.
#![allow(
    missing_docs,
    unreachable_pub,
    unused_imports,
    unused_qualifications,
    clippy::all,
    rustdoc::bare_urls,
    reason = "the vendor's words and the generator's style are not ours to polish"
)]

/// Models, identifiers and sets of values, generated from the vendor's
/// document; every field of an answer but an object's own id may be absent.
pub mod types {
    include!(concat!(env!("OUT_DIR"), "/types.rs"));
}

#[cfg(feature = "client")]
pub(crate) mod client {
    include!(concat!(env!("OUT_DIR"), "/client.rs"));
}
