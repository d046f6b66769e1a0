//! Client for the Fullscript partner API.
