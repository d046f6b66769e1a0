//! The public surface, its documentation and the dependencies.

mod compare;
mod coverage;
mod dependencies;
mod docs;
mod layers;
mod shape;
mod surface;
