//! Families for x86-64. Each can be made only where the processor has what it needs; no other file asks the
//! processor.

mod avx2;

pub use avx2::Avx2;
