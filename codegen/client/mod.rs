//! Turns the generated client into ours: documentation, errors, streams of pages.

pub(super) mod adapt;
pub(super) mod calls;
pub(super) mod docs;
mod lists;
pub(super) mod pages;
mod request;
