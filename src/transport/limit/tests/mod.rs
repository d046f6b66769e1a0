mod policy;
mod simulation;
mod waiting;
