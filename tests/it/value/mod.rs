//! Values and models: ids, lenient decoding, round trips, JSON Schema.

mod drift;
mod ids;
mod json_schema;
mod reported;
pub(crate) mod round_trip;
mod tolerance;
