//! Models of what is sent and answered, ids, and sets of values.
//!
//! They are generated from the vendor's document, and hold to four rules:
//!
//! - Every field of an answer but an object's own id may be absent.
//! - An enum keeps a value that this version does not know, and every model
//!   may get new fields: both are `#[non_exhaustive]`.
//! - `Debug` shows the names of the fields that are there, never what they
//!   hold. Serialize a value to see all of it.
//! - A model is made by its `builder()`, and a builder is taken wherever its
//!   model is:
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
    reason = "the vendor's words and the generator's style are not ours to polish"
)]
include!(concat!(env!("OUT_DIR"), "/types.rs"));
