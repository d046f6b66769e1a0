//! Releases: the recorded public surface, the changelog, the version.

pub mod changelog;
pub mod record;
pub mod workspace;
