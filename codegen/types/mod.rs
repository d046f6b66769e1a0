//! Adapts the generated models and writes id types and open enums.

pub(super) mod docs;
pub(super) mod extra;
pub(super) mod models;
pub(super) mod own_types;
pub(super) mod setters;
