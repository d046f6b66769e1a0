mod policy;
mod shared;
mod simulation;
mod slots;
mod waiting;
