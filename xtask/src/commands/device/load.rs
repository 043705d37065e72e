//! `load`: a model to the device, and the device back with it.

use super::Connection;
use super::port::Port;
use crate::cli::device::Load;
use crate::commands::{fit, parse, read_as_is};
use crate::progress::Bars;
use crate::{output, units};
use anyhow::{Context, Result, anyhow, bail};
use converter::board::{self, Board, Needs, Request};
use converter::pack;
use converter::util::progress::Progress as _;
use edge_runtime::client::ClientError;
use edge_runtime::device::protocol::{LoadInfo, ModelId};
use edge_runtime::device::{DeviceError, LoadError, NotReady};
use edge_runtime::model::{AlignedBytes, DType, Family, Model};
use edge_runtime::signature::{SIGNATURE_LEN, find_signature};
use serde_json::json;
use std::time::{Duration, Instant};

/// How long to wait before a device that restarts is asked again.
const PAUSE: Duration = Duration::from_millis(200);

/// A model file as it is, and what else is known before the device is asked.
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

    /// The file that a device takes: packed for its kernels, as `flash` does it. Whatever can be said against it
    /// without asking the device is said.
    fn for_device(self, args: &Load, info: &LoadInfo) -> Result<Prepared> {
        let model = parse(&args.file, &self.bytes)?;
        let family = model.packing().map(|packing| packing.family);
        let (bytes, signature) = if family == info.family {
            (self.bytes, self.signature)
        } else if info.signed {
            // A signature is of these very bytes.
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
        Ok(Prepared { bytes, signature })
    }
}

/// A file as it is sent.
struct Prepared {
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
    let Prepared { bytes, signature } = file.for_device(args, &info)?;
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
    let name = client.model(|m| m.name.to_string())?;
    let state = client.state()?;
    let seconds = start.elapsed().as_secs_f64();
    let family = info.family.map(Family::name);
    let trunk = units::hex(model.trunk_sha256());
    let value = json!({
        "file": args.file.display().to_string(),
        "model": name,
        "trunk_sha256": trunk,
        "bytes": bytes.len(),
        "packed_for": family,
        "signed": signature.is_some(),
        "head_sequence": state.active.sequence(),
        "samples": state.samples,
        "seconds": seconds,
        "sending_seconds": sent,
    });
    output::print(json, value, || {
        let packed = family.map_or(String::new(), |f| format!(", packed for {f}"));
        let head = super::info::active_text(&state.active);
        let rows = [
            ("model", name.escape_debug().to_string()),
            ("trunk", trunk.clone()),
            (
                "file",
                format!("{}{packed}", units::bytes(bytes.len() as u64)),
            ),
            ("head", head),
            ("samples", state.samples.to_string()),
            (
                "time",
                format!("{sent:.1} s to send, {:.1} s until it ran", seconds - sent),
            ),
        ];
        output::pairs(&rows)
    });
    Ok(())
}

/// Waits until the device runs this very model.
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
