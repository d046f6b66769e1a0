//! Models of requests and responses, id types and open enums.
//!
//! The types are generated from the OpenAPI document and follow four rules:
//!
//! - Every field of a response may be absent, except an object's own id.
//! - An enum keeps a value that this version does not know in `Unknown`, and every model may get
//!   new fields: both are `#[non_exhaustive]`.
//! - `Debug` shows ids that look opaque and the names of the other fields that are set, never their
//!   values. Serialize a value to see everything; in tests, use `testing::Expose`.
//! - A model is created with `new`, which takes the required fields, and completed with setters:
//!
//! ```
//! use fullscript::types::{CreatePatientRequest, Gender};
//!
//! let patient: CreatePatientRequest = CreatePatientRequest::new("ana@example.com", "Ana", "Lee")
//!     .gender(Gender::from("female"))
//!     .send_welcome_email(false);
//! assert_eq!(patient.first_name, "Ana");
//! # Ok::<_, fullscript::types::error::ConversionError>(())
//! ```
#![allow(
    missing_docs,
    unreachable_pub,
    unused_imports,
    unused_qualifications,
    clippy::all,
    rustdoc::bare_urls,
    reason = "generated code, with descriptions from the OpenAPI document"
)]
include!(concat!(env!("OUT_DIR"), "/types.rs"));
include!(concat!(env!("OUT_DIR"), "/fields.rs"));

/// Returns whether any model has a field with this name on the wire.
pub(crate) fn is_field(name: &str) -> bool {
    FIELDS.binary_search(&name).is_ok()
}
