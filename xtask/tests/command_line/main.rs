//! The commands as a user types them, on small models and pictures: what they print, what they leave, and
//! that every kind of bad input gets one line that says what is wrong and where.

mod arguments;
mod boards;
mod broken_files;
mod folders;
mod pruning;
mod signing;
mod support;
mod system;
#[cfg(unix)]
mod terminal;
mod workflow;
