//! The arguments of `simulate` and `device`.

use crate::commands::device::port::Port;
use clap::{Args, Subcommand};
use edge_runtime::backend::BackendKind;
use edge_runtime::head::PoolKind;
use std::net::SocketAddr;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub struct Simulate {
    /// The int8 model to put on the device first [default: the one that --state has kept]
    #[arg(value_name = "FILE.edge")]
    pub model: Option<PathBuf>,
    /// A board (`cargo xtask boards`), or a board.toml of your own: its flash, its RAM
    #[arg(long, value_name = "NAME|board.toml")]
    pub board: String,
    /// Where to listen: a loopback address; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:4700")]
    pub listen: SocketAddr,
    /// Folder that keeps the flash: the next start finds model, heads and samples [default: nothing is kept]
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
    /// A public key (PEM): start only a model with a valid signature, and accept only heads with one
    #[arg(long, value_name = "FILE")]
    pub trust: Option<PathBuf>,
    /// The model's signature [default: FILE.edge.sig]
    #[arg(long, value_name = "FILE", requires = "trust")]
    pub signature: Option<PathBuf>,
    /// How many classes can be trained at most [default: as many as fit the board]
    #[arg(long, value_name = "N", value_parser = super::classes)]
    pub classes: Option<u32>,
    /// What runs the trunk; all backends give the same bits [default: the fastest]
    #[arg(long, value_name = "BACKEND")]
    pub backend: Option<BackendKind>,
    /// Probability that a byte on the connection is damaged, in each direction
    #[arg(long, value_name = "P", default_value_t = 0.0, value_parser = probability)]
    pub damage: f64,
    /// Probability that a byte on the connection is lost, in each direction
    #[arg(long, value_name = "P", default_value_t = 0.0, value_parser = probability)]
    pub drop: f64,
    /// Decides which bytes are damaged or lost
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
}

/// Parses the probability of a fault; above one half, no frame would ever arrive.
fn probability(text: &str) -> Result<f64, String> {
    let value = text.parse::<f64>().map_err(|e| e.to_string())?;
    match (0.0..=0.5).contains(&value) {
        true => Ok(value),
        false => Err("a number from 0 to 0.5 is needed".into()),
    }
}

#[derive(Debug, Args)]
pub struct Device {
    /// The connection to the device: `tcp:HOST:PORT`, `unix:PATH`, `serial:/dev/ttyACM0[:BAUD]`, or `board:NAME`
    /// for a board that `flash` flashed
    #[arg(long, value_name = "PORT")]
    pub port: Port,
    /// Key file for an encrypted connection; the device must have been started with the same key
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
    /// Fail unless the device has this model
    #[arg(long, value_name = "FILE.edge")]
    pub model: Option<PathBuf>,
    /// Milliseconds to wait for an answer before a request is sent again; longer after each try
    #[arg(long, value_name = "MS", default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=60_000))]
    pub timeout: u32,
    /// How many times a request is sent before giving up
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub attempts: u32,
    #[command(subcommand)]
    pub command: DeviceCommand,
}

/// What the device shall do.
#[derive(Debug, Subcommand)]
pub enum DeviceCommand {
    /// Show model, head, samples and memory
    Info,
    /// Classify a picture
    Infer(Infer),
    /// Keep pictures as samples of a class
    AddSample(AddSample),
    /// List the classes of the sample store
    Samples,
    /// Delete samples
    ClearSamples(ClearSamples),
    /// Train a new head on the device; commit it if it is not worse than the present one
    RetrainHead(RetrainHead),
    /// Make the trained or imported head the active one
    Commit,
    /// Go back to the previous head
    Rollback,
    /// Save the active head to a file
    ExportHead(ExportHead),
    /// Send a head file; `commit` makes it the active head
    ImportHead(ImportHead),
    /// Time inferences
    Bench(Bench),
    /// Read the power sensor
    Power,
    /// Show the events in the device's log, and clear it
    Log,
    /// Restart the device
    Reset,
    /// Send a model that replaces the device's model; the device restarts with it
    Load(Load),
    /// Measure accuracy on labelled pictures, each inference on the device
    Eval(Eval),
}

#[derive(Debug, Args)]
pub struct Infer {
    /// A picture file: JPEG, PNG, WebP, GIF, BMP, TIFF or binary PNM
    #[arg(value_name = "PICTURE")]
    pub picture: PathBuf,
    /// How many classes to show
    #[arg(long, value_name = "K", default_value_t = 5, value_parser = clap::value_parser!(u8).range(1..=5))]
    pub top: u8,
    /// With --json: all logits as well
    #[arg(long, requires = "json")]
    pub logits: bool,
}

#[derive(Debug, Args)]
pub struct AddSample {
    /// Name of the class, up to 32 bytes
    #[arg(long, value_name = "NAME")]
    pub class: String,
    /// How features are pooled: `avg` or `max` [default: as the stored samples, else as the model's head]
    #[arg(long, value_name = "KIND")]
    pub pool: Option<PoolKind>,
    /// Picture files: JPEG, PNG, WebP, GIF, BMP, TIFF or binary PNM
    #[arg(required = true, value_name = "PICTURE")]
    pub pictures: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub struct ClearSamples {
    /// Delete only the samples of this class [default: all]
    #[arg(long, value_name = "NAME")]
    pub class: Option<String>,
}

#[derive(Debug, Args)]
pub struct RetrainHead {
    /// Class folders whose pictures are added to the stored samples first [default: train on what is stored]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Delete the stored samples first: the new head will know only the classes in DIR
    #[arg(long, requires = "data")]
    pub clear: bool,
    /// How features are pooled: `avg` or `max` [default: as the stored samples, else as the model's head]
    #[arg(long, value_name = "KIND")]
    pub pool: Option<PoolKind>,
    /// Units of a hidden layer in the head, at most 128; 0 for none
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = super::hidden())]
    pub hidden: u16,
    /// Refuse if a class of the present head has no samples, even with --clear or if it is the factory head
    #[arg(long)]
    pub keep_classes: bool,
    /// Go on even if the new head will lack classes of the present trained head [default: refuse, unless --clear
    /// is given]
    #[arg(long, conflicts_with = "keep_classes")]
    pub drop_classes: bool,
    /// Passes over the samples, at most
    #[arg(long, value_name = "N")]
    pub epochs: Option<u32>,
    /// Step size of the training
    #[arg(long, value_name = "RATE")]
    pub learning_rate: Option<f32>,
    /// Decides the order of the samples; the same seed gives the same head, bit for bit
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Commit the new head even if it is worse than the present one
    #[arg(long, conflicts_with = "no_commit")]
    pub force: bool,
    /// Do not commit the new head; `commit` can do it later
    #[arg(long)]
    pub no_commit: bool,
}

#[derive(Debug, Args)]
pub struct ExportHead {
    /// Where to write the head
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}

#[derive(Debug, Args)]
pub struct ImportHead {
    /// A head that `export-head` wrote
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// The head's signature, for devices with a public key [default: FILE.sig, if it exists]
    #[arg(long, value_name = "FILE")]
    pub signature: Option<PathBuf>,
    /// Make it the active head at once
    #[arg(long)]
    pub commit: bool,
}

#[derive(Debug, Args)]
pub struct Load {
    /// The model, int8; packed for the device's kernels before it is sent
    #[arg(value_name = "FILE.edge")]
    pub file: PathBuf,
    /// The model's signature, for devices with a public key [default: FILE.edge.sig, if it exists]
    #[arg(long, value_name = "FILE")]
    pub signature: Option<PathBuf>,
    /// The device's board: send the model only if it fits, as `fit` judges [default: that of --port board:NAME]
    #[arg(long, value_name = "NAME|board.toml")]
    pub board: Option<String>,
    /// Seconds to wait until the device runs the model
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub wait: u32,
}

#[derive(Debug, Args)]
pub struct Bench {
    /// How many inferences to time
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub runs: u16,
}

#[derive(Debug, Args)]
pub struct Eval {
    /// Class folders, or a folder with labels.csv (columns file,class_index)
    #[arg(value_name = "DIR")]
    pub data: PathBuf,
    /// Look at no more than N pictures, spread over the classes
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: Option<u32>,
}
