//! Turns the generated models into ours, and writes ids and open enums.

pub(super) mod docs;
pub(super) mod models;
pub(super) mod own_types;
pub(super) mod setters;
