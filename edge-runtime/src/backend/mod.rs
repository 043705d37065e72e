//! The same model on other engines: one trait, and what all of them share.
//!
//! A backend runs the trunk. The head runs in `crate::head`, the same code everywhere. Needs std.

mod engine;
#[cfg(feature = "tract")]
pub mod tract;

pub use engine::EngineBackend;
#[cfg(feature = "tract")]
pub use tract::TractBackend;

/// The values of one tensor, NHWC.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Values<'v> {
    /// Of an int8 model.
    I8(&'v [i8]),
    /// Of a float model.
    F32(&'v [f32]),
}

/// Why a backend could not run.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// The input is not of the model's element type or length.
    #[error(
        "input of {got} values does not fit the model, which takes {expected} of type {dtype:?}"
    )]
    Input {
        /// Number of values given.
        got: usize,
        /// Number of values the model takes.
        expected: usize,
        /// Their type.
        dtype: crate::model::DType,
    },
    /// The backend cannot run this kind of model.
    #[error("backend {backend} cannot run this model: {why}")]
    Unsupported {
        /// Name of the backend.
        backend: &'static str,
        /// What it lacks and what to do.
        why: String,
    },
    /// The engine underneath failed.
    #[error("backend {backend}, layer '{layer}': {why}")]
    Engine {
        /// Name of the backend.
        backend: &'static str,
        /// The layer, or empty.
        layer: String,
        /// Its message.
        why: String,
    },
}

/// Something that runs the trunk of a model.
pub trait Backend: Send {
    /// Name, as `--backend` takes it.
    fn name(&self) -> &'static str;

    /// Runs the trunk on one picture and returns its last feature map.
    fn run(&mut self, input: Values<'_>) -> Result<Values<'_>, BackendError>;

    /// Runs the trunk and shows each layer's output, in the file's order, to `observe(layer, values)`.
    fn run_observed(
        &mut self,
        input: Values<'_>,
        observe: &mut dyn FnMut(usize, Values<'_>),
    ) -> Result<(), BackendError>;
}
