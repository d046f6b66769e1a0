//! The commands, a file for each verb.

pub mod check;
pub mod record_release;
pub mod snapshots;
pub mod update_spec;
