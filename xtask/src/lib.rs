//! The workspace's own commands: bring the vendor's document into `spec/`,
//! repair it, and check what was derived from it.

pub mod changelog;
pub mod check;
#[path = "../../codegen/mod.rs"]
pub mod codegen;
mod committed;
pub mod fetch;
mod incoming;
pub mod judge;
pub mod normalize;
pub mod refusal;
pub mod released;
pub mod review;
pub mod snapshots;
pub mod source;
pub mod spec_dir;
pub mod surface;
mod told;
pub mod update;
pub mod workspace;
