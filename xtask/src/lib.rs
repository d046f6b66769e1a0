//! The workspace's own commands: bring the vendor's document into `spec/`,
//! repair it, and check what was derived from it.

#[path = "../../codegen/mod.rs"]
pub mod codegen;
pub mod commands;
pub mod document;
pub mod normalize;
pub mod refusal;
pub mod release;
pub mod review;
pub mod surface;
