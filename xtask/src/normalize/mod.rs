//! The normalizer (being written).
