//! The commands, one file each.

pub mod check;
pub mod llms;
pub mod record_release;
pub mod snapshots;
pub mod update_spec;
