//! What a release promises its users: its record, the changelog, the version.

pub mod changelog;
pub mod record;
pub mod workspace;
