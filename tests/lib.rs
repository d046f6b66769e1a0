//! What must not compile, each example next to one that differs in one place and compiles.
//!
//! Ids of different types cannot be confused:
//!
//! ```
//! # use fullscript::{Client, types::PatientId};
//! fn call(client: &Client, id: PatientId) {
//!     let _request = client.get_patient().id(id);
//! }
//! ```
//!
//! ```compile_fail
//! # use fullscript::{Client, types::PractitionerId};
//! fn call(client: &Client, id: PractitionerId) {
//!     let _request = client.get_patient().id(id);
//! }
//! ```
//!
//! A request that is not sent is a warning:
//!
//! ```
//! #![deny(unused_must_use)]
//! # fn call(client: &fullscript::Client) {
//! let _request = client.get_clinic();
//! let _request = client.list_patients().page_size(100);
//! # }
//! ```
//!
//! ```compile_fail
//! #![deny(unused_must_use)]
//! # fn call(client: &fullscript::Client) {
//! client.get_clinic();
//! # }
//! ```
//!
//! ```compile_fail
//! #![deny(unused_must_use)]
//! # fn call(client: &fullscript::Client) {
//! client.list_patients().page_size(100);
//! # }
//! ```
