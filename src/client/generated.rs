//! The generated client and its request builders, and the lints they are exempt from.
#![allow(
    missing_docs,
    unreachable_pub,
    unused_imports,
    unused_qualifications,
    clippy::all,
    rustdoc::bare_urls,
    reason = "generated code, with descriptions from the OpenAPI document"
)]
include!(concat!(env!("OUT_DIR"), "/client.rs"));
