//! The one integration binary.

mod ids;
mod surface;
mod tolerance;
mod wire;
