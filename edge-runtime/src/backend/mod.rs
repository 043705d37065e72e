//! The trunk of a model on a host: one interface, and every backend that a host has.
//!
//! [`BackendKind`] names the backends and gives the [`Runtime`] of each. A runtime prepares a model once
//! ([`Prepared`]: weights packed, kernels chosen); threads share what is prepared and run it in a [`Session`]
//! each, which holds the activations. An [`Observer`] is a session that shows every layer's output.
//!
//! ```text
//! BackendKind -> Runtime -- prepare(model) --> Prepared (Send + Sync, shared) -- session() --> Session (one per thread)
//!                                                                             -- observer() --> Observer
//! ```
//!
//! A backend runs the trunk only. The head runs in [`crate::head`], the same code everywhere. int8 models give
//! the same bits on every backend; [`conformance`](self) tests hold each against one reference. Needs std.

#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
mod engine;
mod kind;
#[cfg(feature = "threads")]
mod pool;
#[cfg(feature = "tract")]
pub mod tract;

pub use engine::EngineRuntime;
pub use kind::{BackendKind, UnknownBackend};
#[cfg(feature = "tract")]
pub use tract::TractRuntime;

use crate::model::{DType, Model};
use std::sync::Arc;

/// The values of one tensor, NHWC.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Values<'v> {
    /// Of an int8 model.
    I8(&'v [i8]),
    /// Of a float model.
    F32(&'v [f32]),
}

impl Values<'_> {
    /// The type of the elements.
    pub fn dtype(&self) -> DType {
        match self {
            Values::I8(_) => DType::I8,
            Values::F32(_) => DType::F32,
        }
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        match self {
            Values::I8(v) => v.len(),
            Values::F32(v) => v.len(),
        }
    }

    /// True if there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Checks that these are `expected` values of type `dtype`.
    fn check(&self, dtype: DType, expected: usize) -> Result<(), BackendError> {
        let got = self.len();
        match (self.dtype(), got) == (dtype, expected) {
            true => Ok(()),
            false => Err(BackendError::Input {
                got,
                expected,
                dtype,
            }),
        }
    }
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
        dtype: DType,
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

/// A way to run trunks on this host.
pub trait Runtime: Send + Sync {
    /// Name, as `--backend` takes it.
    fn name(&self) -> &'static str;

    /// Makes a model ready to run, once for all threads: checks that every layer is supported and packs weights.
    ///
    /// # Errors
    /// [`BackendError::Unsupported`] if the backend does not run such models, [`BackendError::Engine`] names a
    /// layer that it refuses.
    fn prepare<'m>(&self, model: &Model<'m>) -> Result<Arc<dyn Prepared<'m> + 'm>, BackendError>;
}

/// A model, ready to run. Threads share it; none of them copies weights.
pub trait Prepared<'m>: Send + Sync {
    /// Memory for one inference at a time, which gives the trunk's output.
    ///
    /// # Errors
    /// [`BackendError::Engine`] if the backend refuses the network as a whole.
    fn session(self: Arc<Self>) -> Result<Box<dyn Session + 'm>, BackendError>;

    /// Memory for one inference at a time, which shows the output of every layer.
    ///
    /// # Errors
    /// As [`Self::session`].
    fn observer(self: Arc<Self>) -> Result<Box<dyn Observer + 'm>, BackendError>;
}

/// One thread's place to run a prepared model.
pub trait Session: Send {
    /// Runs the trunk on one picture and returns its last feature map.
    ///
    /// # Errors
    /// [`BackendError::Input`] if the input does not fit, [`BackendError::Engine`] if the backend fails.
    fn run(&mut self, input: Values<'_>) -> Result<Values<'_>, BackendError>;
}

/// One thread's place to run a prepared model and see what every layer gives.
pub trait Observer: Send {
    /// Name of the backend.
    fn backend(&self) -> &'static str;

    /// Runs the trunk on one picture and shows each layer's output, in the file's order and as soon as it is there, to
    /// `observe(layer, values)`.
    ///
    /// # Errors
    /// As [`Session::run`].
    fn run(
        &mut self,
        input: Values<'_>,
        observe: &mut dyn FnMut(usize, Values<'_>),
    ) -> Result<(), BackendError>;
}
