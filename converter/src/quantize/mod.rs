//! Which real numbers the int8 values of each tensor stand for.
//!
//! [`calibrate`] runs the float network on pictures and records what each tensor does ([`observer`]);
//! [`range`] turns that into ranges by a rule; [`assign`] gives every tensor its scale and zero point;
//! [`multiplier`] makes the integers of the format's rescaling rules. Knows nothing of files.

pub mod assign;
pub mod calibrate;
pub mod multiplier;
pub mod observer;
pub mod range;
