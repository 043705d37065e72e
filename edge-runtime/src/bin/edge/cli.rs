//! The arguments.

use clap::{Args, Parser, Subcommand};
use edge_runtime::backend::BackendKind;
use edge_runtime::device::samples::MAX_CLASSES;
use edge_runtime::head::{MAX_HIDDEN, PoolKind};
use edge_runtime::transport::Address;
use std::path::PathBuf;

/// Runs a model on this device, and trains new heads for it here.
#[derive(Debug, Parser)]
#[command(name = "edge", version, max_term_width = 100)]
pub struct Cli {
    /// Print one JSON object on stdout instead of text
    #[arg(long, global = true)]
    pub json: bool,
    /// Run int8 layers with these kernels of the processor [default: the fastest that it can run]
    #[arg(
        long,
        global = true,
        value_name = "FAMILY",
        env = "GRAFT_KERNELS",
        hide_env_values = true
    )]
    pub kernels: Option<String>,
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Answer hosts until stopped
    Serve(Serve),
    /// Show model, head, samples and memory
    Info(DeviceArgs),
    /// Classify a picture
    Infer(Infer),
    /// Store the pictures of class folders as samples, and train a head on all samples
    RetrainHead(RetrainHead),
    /// Make the head that waits for it in a running program the active one
    Commit(DeviceArgs),
    /// Go back to the head before
    Rollback(DeviceArgs),
    /// List the stored samples by class
    Samples(DeviceArgs),
}

/// The device's model and memory.
#[derive(Clone, Debug, Args)]
pub struct LocalArgs {
    /// The .edge model
    #[arg(long, value_name = "FILE")]
    pub model: PathBuf,
    /// Folder with heads and samples; made if there is none
    #[arg(long, value_name = "DIR")]
    pub state: PathBuf,
    /// Size of the sample store, when the state is made; 64 without it
    #[arg(long, value_name = "N")]
    pub samples_mib: Option<u32>,
    /// Most classes that can be trained
    #[arg(long, value_name = "N", default_value_t = MAX_CLASSES)]
    pub classes: usize,
    /// What runs the trunk; all backends give the same bits [default: the fastest]
    #[arg(long, value_name = "BACKEND")]
    pub backend: Option<BackendKind>,
    /// Threads of one inference, where the backend can divide one [default: all cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub threads: Option<u16>,
    #[command(flatten)]
    pub trust: TrustArgs,
}

/// Whose models and heads this device takes.
#[derive(Clone, Debug, Default, Args)]
pub struct TrustArgs {
    /// A public key (PEM): run only a model with a valid signature, and take only heads with one
    #[arg(long, value_name = "FILE")]
    pub trust: Option<PathBuf>,
    /// The model's signature [default: the model's name and .sig]
    #[arg(long, value_name = "FILE", requires = "trust")]
    pub signature: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct Serve {
    #[command(flatten)]
    pub own: LocalArgs,
    /// HOST:PORT or unix:PATH; what other machines can reach needs --key
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:4700")]
    pub listen: Address,
    /// File with 32 random bytes; hosts need the same
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
}

/// Whom to ask: the application in this process, or a running program.
#[derive(Debug, Args)]
pub struct DeviceArgs {
    /// The .edge model
    #[arg(
        long,
        value_name = "FILE",
        requires = "state",
        required_unless_present = "connect",
        conflicts_with = "connect"
    )]
    pub model: Option<PathBuf>,
    /// Folder with heads and samples; made if there is none
    #[arg(
        long,
        value_name = "DIR",
        requires = "model",
        conflicts_with = "connect"
    )]
    pub state: Option<PathBuf>,
    /// Size of the sample store, when the state is made; 64 without it
    #[arg(long, value_name = "N", requires = "state")]
    pub samples_mib: Option<u32>,
    /// Most classes that can be trained
    #[arg(long, value_name = "N", default_value_t = MAX_CLASSES)]
    pub classes: usize,
    /// What runs the trunk; all backends give the same bits [default: the fastest]
    #[arg(long, value_name = "BACKEND", conflicts_with = "connect")]
    pub backend: Option<BackendKind>,
    /// Threads of one inference, where the backend can divide one [default: all cores]
    #[arg(long, value_name = "N", conflicts_with = "connect", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub threads: Option<u16>,
    #[command(flatten)]
    pub trust: TrustArgs,
    /// Ask the program that listens there: HOST:PORT or unix:PATH
    #[arg(long, value_name = "ADDRESS", conflicts_with = "trust")]
    pub connect: Option<Address>,
    /// File with the key of that program
    #[arg(long, value_name = "FILE", requires = "connect")]
    pub key: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct Infer {
    #[command(flatten)]
    pub target: DeviceArgs,
    /// A picture file: JPEG, PNG, WebP, GIF, BMP, TIFF or binary PNM
    pub picture: PathBuf,
    /// How many classes to show, at most 5
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u8).range(1..=5))]
    pub top: u8,
}

#[derive(Debug, Args)]
pub struct RetrainHead {
    #[command(flatten)]
    pub target: DeviceArgs,
    /// Folder with a folder of pictures for each class; without it, the stored samples are all
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Delete all stored samples first: the classes in DIR are all that the new head shall know
    #[arg(long)]
    pub clear: bool,
    /// How features are pooled: `avg` or `max` [default: as the stored samples, else as the model's head]
    #[arg(long, value_name = "KIND")]
    pub pool: Option<PoolKind>,
    /// Refuse if a class of the present head has no samples, even with --clear or if it is the factory head
    #[arg(long)]
    pub keep_classes: bool,
    /// Go on if the new head will lack classes of the present one, which was trained, too [default: refuse,
    /// but with --clear]
    #[arg(long, conflicts_with = "keep_classes")]
    pub drop_classes: bool,
    /// Units of a hidden layer in the head, at most 128; 0 is none
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u16).range(0..=MAX_HIDDEN as i64))]
    pub hidden: u16,
    /// Most epochs
    #[arg(long, value_name = "N")]
    pub epochs: Option<u32>,
    /// Learning rate
    #[arg(long, value_name = "RATE")]
    pub learning_rate: Option<f32>,
    /// Seed of the order of samples
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Keep the new head waiting for `commit`, in a running program
    #[arg(long, requires = "connect")]
    pub no_commit: bool,
    /// Commit the new head even if it is worse than the one before
    #[arg(long, conflicts_with = "no_commit")]
    pub force: bool,
}
