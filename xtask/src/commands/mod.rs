//! The commands, each in a file or folder of its own. A command gets its arguments, calls a crate and prints a report.

mod bench;
mod boards;
mod convert;
pub mod deploy;
pub mod device;
mod doctor;
mod eval;
mod fit;
mod flash;
mod folder;
mod inspect;
mod keygen;
mod models;
mod monitor;
mod retrain_head;
mod run;
mod sign;
mod simulate;
pub mod verify;

use crate::cli::{Cli, Command};
use anyhow::{Context, Result, bail};
use converter::pack;
use edge_runtime::kernels;
use edge_runtime::model::header::{self, Header};
use edge_runtime::model::{AlignedBytes, Model, ModelFile};
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Runs the command.
pub fn run(cli: Cli) -> Result<()> {
    let json = cli.json;
    if let Some(family) = &cli.kernels {
        kernels::force(family)?;
    }
    match cli.command {
        Command::Models => models::run(json),
        Command::Convert(args) => convert::run(&args, json),
        Command::Inspect(args) => inspect::run(&args, json),
        Command::Run(args) => run::run(&args, json),
        Command::Eval(args) => eval::run(&args, json),
        Command::Verify(args) => verify::run(&args, json),
        Command::Bench(args) => bench::run(&args, json),
        Command::RetrainHead(args) => retrain_head::run(&args, json),
        Command::Boards(args) => boards::run(&args, json),
        Command::Fit(args) => fit::run(&args, json),
        Command::Simulate(args) => simulate::run(&args, json),
        Command::Flash(args) => flash::run(&args, json),
        Command::Monitor(args) => monitor::run(&args, json),
        Command::Doctor => doctor::run(json),
        Command::Device(args) => device::run(&args, json),
        Command::Deploy(args) => deploy::run(&args, json),
        Command::Keygen(args) => keygen::run(&args, json),
        Command::Sign(args) => sign::run(&args, json),
    }
}

/// The bytes of a model file as the host runs it: unpacked if it is packed for a microcontroller.
fn read(path: &Path) -> Result<AlignedBytes> {
    let bytes = read_as_is(path)?;
    match Model::peek_packing(&bytes) {
        None => Ok(bytes),
        Some(_) => pack::unpack(&parse(path, &bytes)?).with_context(|| path.display().to_string()),
    }
}

/// A model file that inferences run from: mapped, so that the memory of weights that a backend has copied can go.
enum Opened {
    Mapped(ModelFile),
    /// Packed for a microcontroller in the file.
    Unpacked(AlignedBytes),
}

impl Opened {
    fn open(path: &Path) -> Result<Self> {
        check_header(path)?;
        let file = ModelFile::map(path).with_context(|| unreadable(path))?;
        match Model::peek_packing(&file) {
            None => Ok(Self::Mapped(file)),
            Some(_) => read(path).map(Self::Unpacked),
        }
    }

    /// Parses and checks it; an error names the file.
    fn model(&self, path: &Path) -> Result<Model<'_>> {
        match self {
            Self::Mapped(file) => Ok(parse(path, file)?.backed_by(file)),
            Self::Unpacked(bytes) => parse(path, bytes),
        }
    }
}

fn unreadable(path: &Path) -> String {
    format!("{}: cannot read the model", path.display())
}

/// The bytes of a model file. The header is checked first, so that a file that is no model is not read.
fn read_as_is(path: &Path) -> Result<AlignedBytes> {
    check_header(path)?;
    AlignedBytes::read(path).with_context(|| unreadable(path))
}

/// Whether a file can be a model, by its header and its length.
fn check_header(path: &Path) -> Result<()> {
    let unreadable = || unreadable(path);
    // Before the file is opened: opening a pipe would wait for its writer.
    if !path.metadata().with_context(unreadable)?.is_file() {
        bail!("{}: not a regular file, so no model", path.display());
    }
    let file = File::open(path).with_context(unreadable)?;
    let mut start = vec![];
    (&file)
        .take(header::LEN as u64)
        .read_to_end(&mut start)
        .with_context(unreadable)?;
    let len = file.metadata().with_context(unreadable)?.len();
    Header::read(&start)
        .and_then(|header| header.check_len(len))
        .with_context(|| path.display().to_string())
}

/// Parses and checks a model file; an error names the file.
fn parse<'a>(path: &Path, bytes: &'a [u8]) -> Result<Model<'a>> {
    Model::parse(bytes).with_context(|| path.display().to_string())
}

/// `DIR/NAME-SUFFIX.edge` for `DIR/NAME.edge`.
fn beside(path: &Path, suffix: &str) -> std::path::PathBuf {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!("{stem}-{suffix}.edge"))
}
