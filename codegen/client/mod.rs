//! Adapts the generated client: documentation, errors, pagination.

mod argument;
pub(super) mod builder;
mod docs;
pub(super) mod index;
pub(super) mod lists;
pub(super) mod operation;
mod pages;
mod request;
