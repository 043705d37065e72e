//! Changes of a network that make it smaller, and so change what it computes.
//!
//! [`prune`] removes channels. What keeps the function of a network is a [pass](crate::passes).

pub mod prune;
