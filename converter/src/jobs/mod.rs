//! What a user asks for, one file a job: each puts the modules below together, and none prints.

pub mod convert;
pub mod evaluate;
pub mod report;
pub mod retrain;
pub mod runner;
pub mod sign;
pub mod verify;
