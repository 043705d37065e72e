//! The jobs of the command line, one file or folder each. They put the other modules together; how results
//! are printed is not their business.

pub mod convert;
pub mod evaluate;
pub mod prune;
pub mod report;
pub mod retrain;
pub mod runner;
pub mod sign;
pub mod verify;
