//! What users get: the generated surface, its documentation, its dependencies.

mod compare;
mod coverage;
mod dependencies;
mod docs;
mod layers;
mod shape;
mod surface;
