//! Families for 64-bit Arm. Each can be made only where the processor has what it needs; no other file asks the
//! processor.

mod dotprod;

pub use dotprod::Dotprod;
