//! Every error that ends the program, in one line each.

use edge_runtime::backend::BackendError;
use edge_runtime::client::ClientError;
use edge_runtime::device::app::AppError;
use edge_runtime::kernels::UnknownKernels;
use edge_runtime::linux::{ListenError, StateError};
use edge_runtime::model::ModelError;
use edge_runtime::picture::{DatasetError, LoadError};
use edge_runtime::signature::{SignatureFileError, TrustError};
use edge_runtime::transport::{ConnectError, KeyError};
use std::path::PathBuf;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The model file.
    #[error("{}: cannot read the model: {source}", path.display())]
    ReadModel {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// Its content.
    #[error("{}: {source}", path.display())]
    Model {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: ModelError,
    },
    /// The public key, or a signature.
    #[error(transparent)]
    Signature(#[from] SignatureFileError),
    /// The model is not one that this device takes.
    #[error("{}: {source}", path.display())]
    Untrusted {
        /// The file.
        path: PathBuf,
        /// Why.
        source: TrustError,
    },
    /// The folder with the state.
    #[error(transparent)]
    State(#[from] StateError),
    /// The application.
    #[error(transparent)]
    App(#[from] AppError),
    /// The family of kernels.
    #[error(transparent)]
    Kernels(#[from] UnknownKernels),
    /// The backend.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// The key file.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The socket.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The line to a running program.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// What was asked of the application.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The folder of pictures.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// A picture.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// Pictures without classes.
    #[error("{}: training needs class folders (DIR/daisy/*.jpg, DIR/rose/*.jpg, ...)", .0.display())]
    NoClasses(PathBuf),
    /// A head can wait for its commit only in a running program.
    #[error(
        "a head waits for its commit in the memory of a running program; name that with --connect"
    )]
    NoWaitingHead,
    /// The output is gone.
    #[error("cannot write the output: {0}")]
    Output(#[from] std::io::Error),
}
