//! The workspace's own commands: bring the vendor's document into `spec/`,
//! repair it, and check what was derived from it.

pub mod normalize;
