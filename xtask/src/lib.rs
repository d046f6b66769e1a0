//! The workspace's own commands: bring the vendor's document into `spec/`,
//! repair it, and check what was derived from it.

pub mod changelog;
pub mod check;
mod committed;
pub mod fetch;
#[path = "../../build.rs"]
#[allow(dead_code, reason = "its `main` is the build script's")]
pub mod generate;
mod incoming;
pub mod judge;
pub mod normalize;
mod overlay;
pub mod released;
pub mod review;
pub mod snapshots;
pub mod source;
pub mod spec_dir;
pub mod surface;
mod told;
pub mod update;
pub mod workspace;
