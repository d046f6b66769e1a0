//! The public surface, its documentation and the dependencies.

mod compare;
mod coverage;
mod dependencies;
mod layers;
mod shape;
mod surface;
