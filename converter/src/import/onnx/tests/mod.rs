//! Models made in code, checked against numbers worked out here; and the shared real ones.

mod build;
mod hostile;
mod numbers;
mod operators;
mod oracle;
mod pixels;
mod quantized;
mod real;
mod real_quantized;
mod saturation;
