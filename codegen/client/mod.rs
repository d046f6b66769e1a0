//! Turns the generated client into ours: documentation, errors, streams of pages.

pub(super) mod builder;
mod docs;
pub(super) mod index;
pub(super) mod lists;
pub(super) mod operation;
mod pages;
mod request;
