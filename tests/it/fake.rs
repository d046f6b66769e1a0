//! The fake behaves as the vendor is known to behave.

mod answers;
mod any_request;
mod drift;
mod events;
mod lists;
mod patients;
mod permission;
mod plans;
mod validation;
