//! The vendor's document from where it is published to the files of `spec/`.

pub(crate) mod committed;
pub mod fetch;
mod identify;
pub mod judge;
pub mod source;
pub mod spec_dir;
mod tree;
mod yaml;
