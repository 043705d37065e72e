//! `load`: sends a model to the device, and waits until the device runs it.

use super::Connection;
use super::info::head_name;
use super::port::Port;
use crate::cli::device::Load;
use crate::commands::{fit, parse, read_as_is};
use crate::output::{self, Report, Text};
use crate::progress::Bars;
use crate::units;
use anyhow::{Context, Result, anyhow, bail};
use converter::board::{self, Board, Needs, Request};
use converter::pack;
use converter::util::progress::Progress as _;
use edge_runtime::client::ClientError;
use edge_runtime::device::protocol::{LoadInfo, ModelId};
use edge_runtime::device::{DeviceError, LoadError, NotReady};
use edge_runtime::model::{AlignedBytes, DType, Family, Model};
use edge_runtime::signature::{SIGNATURE_LEN, find_signature};
use serde::Serialize;
use std::time::{Duration, Instant};

/// The pause between two tries to reach a device that restarts.
const PAUSE: Duration = Duration::from_millis(200);

/// A model file, and what else is known before the device is asked.
pub struct ModelFile {
    bytes: AlignedBytes,
    signature: Option<[u8; SIGNATURE_LEN]>,
    board: Option<Board>,
}

impl ModelFile {
    /// Reads and checks the files, and that the model fits the board, if that is known.
    pub fn read(args: &Load, port: &Port) -> Result<Self> {
        let path = &args.file;
        let bytes = read_as_is(path)?;
        let model = parse(path, &bytes)?;
        if model.dtype() != DType::I8 {
            bail!("{}: {}", path.display(), LoadError::Float);
        }
        let signature = find_signature(path, args.signature.as_deref())?;
        let board = match (&args.board, port) {
            (Some(name), _) | (None, Port::Board(name)) => Some(board::find(name)?),
            _ => None,
        };
        Ok(Self {
            bytes,
            signature,
            board,
        })
    }

    /// The file for the device: packed for its kernels, as `flash` does. An error if the device would refuse it.
    fn for_device(self, args: &Load, info: &LoadInfo) -> Result<LoadFile> {
        let model = parse(&args.file, &self.bytes)?;
        let family = model.packing().map(|packing| packing.family);
        let (bytes, signature) = if family == info.family {
            (self.bytes, self.signature)
        } else if info.signed {
            // The signature covers the bytes of the file, so the file cannot be packed here.
            bail!(
                "{}: the device takes signed models only, and runs them packed for {}, which this file is not; convert it for the device's board (`convert --board NAME`) and sign that file",
                args.file.display(),
                info.family.map_or("no processor", Family::name)
            );
        } else {
            let plain = pack::unpack(&model)?;
            match info.family {
                Some(family) => (pack::pack(&Model::parse(&plain)?, family)?, None),
                None => (plain, None),
            }
        };
        let (have, need) = (
            info.capacity,
            u32::try_from(bytes.len()).unwrap_or(u32::MAX),
        );
        if need > have {
            return Err(LoadError::TooLong { have, need }.into());
        }
        if info.signed && signature.is_none() {
            return Err(LoadError::Unsigned.into());
        }
        if let Some(board) = &self.board {
            let needs = Needs::of(&Model::parse(&bytes)?, bytes.len());
            fit::require(&board::fit::judge(&needs, board, &Request::default()))?;
        }
        Ok(LoadFile { bytes, signature })
    }
}

/// The bytes that are sent.
struct LoadFile {
    bytes: AlignedBytes,
    signature: Option<[u8; SIGNATURE_LEN]>,
}

pub fn run(
    open: &dyn Fn() -> Result<Connection>,
    mut client: Connection,
    args: &Load,
    file: ModelFile,
    json: bool,
) -> Result<()> {
    let info = client.load_info()?;
    let LoadFile { bytes, signature } = file.for_device(args, &info)?;
    let model = Model::parse(&bytes)?;
    let id = ModelId::of(&model);

    let start = Instant::now();
    let bars = Bars::new();
    let mut before = None;
    client.load(
        &bytes,
        &model,
        signature.as_ref(),
        &mut |done| match before {
            Some(last) => {
                bars.moved(done.saturating_sub(last) as u64);
                before = Some(done);
            }
            None => {
                bars.transfer("sending the model", done as u64, Some(bytes.len() as u64));
                before = Some(done);
            }
        },
    )?;
    let sent = start.elapsed().as_secs_f64();
    drop(client);
    bars.stage("waiting for the device to start", 0);
    let mut client = back(open, &id, Duration::from_secs(args.wait.into()))?;
    drop(bars);
    let state = client.state()?;
    let report = LoadReport {
        file: args.file.display().to_string(),
        model: client.model(|m| m.name.to_string())?,
        trunk_sha256: units::hex(model.trunk_sha256()),
        bytes: bytes.len(),
        packed_for: info.family.map(Family::name),
        signed: signature.is_some(),
        head_sequence: state.active.sequence(),
        samples: state.samples,
        seconds: start.elapsed().as_secs_f64(),
        sending_seconds: sent,
    };
    output::print(json, &report);
    Ok(())
}

#[derive(Serialize)]
struct LoadReport {
    file: String,
    model: String,
    trunk_sha256: String,
    bytes: usize,
    packed_for: Option<&'static str>,
    signed: bool,
    /// Of the active head; 0 is the factory head.
    head_sequence: u32,
    /// Samples that the device kept.
    samples: u32,
    /// Until the device ran the model.
    seconds: f64,
    sending_seconds: f64,
}

impl Report for LoadReport {
    fn text(&self, out: &mut Text) {
        let packed = self.packed_for;
        let packed = packed.map_or(String::new(), |f| format!(", packed for {f}"));
        let sent = self.sending_seconds;
        out.pairs([
            ("model", self.model.escape_debug().to_string()),
            ("trunk", self.trunk_sha256.clone()),
            (
                "file",
                format!("{}{packed}", units::bytes(self.bytes as u64)),
            ),
            ("head", head_name(self.head_sequence)),
            ("samples", self.samples.to_string()),
            (
                "time",
                format!(
                    "{sent:.1} s to send, {:.1} s until it ran",
                    self.seconds - sent
                ),
            ),
        ]);
    }
}

/// Waits until the device runs this model.
fn back(open: &dyn Fn() -> Result<Connection>, id: &ModelId, wait: Duration) -> Result<Connection> {
    let start = Instant::now();
    loop {
        std::thread::sleep(PAUSE);
        let error = match ask(open) {
            Ok((client, found)) if found == Some(*id) => return Ok(client),
            Ok(_) => bail!("the device runs another model than the one that was sent"),
            Err(e) => e,
        };
        if let Some(ClientError::Device(DeviceError::NotReady(reason))) = error.downcast_ref()
            && !matches!(reason, NotReady::Loading { .. })
        {
            return Err(error).context("the device took the model and does not run it");
        }
        if start.elapsed() > wait {
            let waited = wait.as_secs();
            return Err(error.context(anyhow!(
                "the model was sent, and the device was not back within {waited} s"
            )));
        }
    }
}

/// What runs on the device.
fn ask(open: &dyn Fn() -> Result<Connection>) -> Result<(Connection, Option<ModelId>)> {
    let mut client = open()?;
    client.connect(None)?;
    let found = client.load_info()?.model;
    Ok((client, found))
}
