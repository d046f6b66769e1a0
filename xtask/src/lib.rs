//! The commands of the workspace: they download the vendor's document into `spec/`, fix it, and
//! check the files that are derived from it.

#[path = "../../codegen/mod.rs"]
pub mod codegen;
pub mod commands;
mod coverage;
pub mod document;
mod guard;
pub mod normalize;
pub mod refusal;
pub mod release;
pub mod review;
pub mod surface;
pub mod trial;
