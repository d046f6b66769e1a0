mod policy;
mod shared;
mod simulation;
mod waiting;
