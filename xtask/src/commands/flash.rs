//! `flash`: puts firmware and model on a board, and waits until it answers.
//!
//! - [`report`]: what is printed.

mod report;

use super::device::port::Port;
use super::{fit, parse, read};
use crate::cli::Flash;
use crate::firmware;
use crate::qemu::folder::Folder;
use crate::{output, probe_rs, qemu};
use anyhow::{Context, Result, bail};
use converter::board::schema::{Deploy, Kind, Use};
use converter::board::{self, Board, Needs, Request};
use edge_runtime::client::{Client, ClientError, Patience};
use edge_runtime::device::{DeviceError, NotReady};
use edge_runtime::model::DType;
use edge_runtime::signature::{PublicKey, SIGNATURE_LEN, Trust, find_signature};
use report::{BuildReport, FirmwareSize, FlashReport, RunningModel, StopReport};
use std::path::Path;
use std::time::Duration;
use tempfile::NamedTempFile;

/// How long a board may take to start. In QEMU the checksum of a large model takes some seconds.
const PATIENCE: Patience = Patience {
    timeout: Duration::from_millis(250),
    attempts: 20,
};

pub fn run(args: &Flash, json: bool) -> Result<()> {
    if board::find::file(&args.board).is_some() {
        bail!(
            "{}: the firmware is built for boards that come with Graft; give a name (`cargo xtask boards`)",
            args.board
        );
    }
    let board = board::find(&args.board)?;
    if args.stop {
        return stop(&board, json);
    }
    if board.kind != Kind::Mcu {
        bail!(
            "{} runs Linux and no firmware; `cargo xtask deploy --board {0} --host USER@HOST MODEL.edge` brings a model there",
            board.name
        );
    }
    let trust = args.trust.as_deref().map(PublicKey::read).transpose()?;
    if args.build_only {
        return build_only(&board, trust.as_ref(), json);
    }
    let packed = args.model.as_deref().map(|path| packed(path, &board));
    let packed = packed.transpose()?;
    let signature = match (&trust, &args.model, &packed) {
        (Some(key), Some(path), Some(packed)) => {
            Some(signature(key, (path, packed.path()), args, &board)?)
        }
        _ => None,
    };
    let signature = signature.as_ref().map(NamedTempFile::path);
    let image = firmware::build(&board, trust.as_ref())?;
    let model = packed.as_ref().map(NamedTempFile::path);
    let place = match &board.deploy {
        Deploy::Qemu { .. } => {
            let folder = Folder::of(&board)?;
            let options = qemu::Options {
                signature: signature.map(Path::to_path_buf),
                ..qemu::Options::default()
            };
            let machine = qemu::launch(&board, &image, model, folder, &options)?;
            machine.folder.path().display().to_string()
        }
        Deploy::ProbeRs { .. } => {
            probe_rs::flash(&board, &image, model, signature)?;
            "the board".into()
        }
        other => bail!("{} cannot be flashed: {other}", board.name),
    };
    let runs = wait_for_answer(&board, model.is_some())
        .with_context(|| format!("{} was flashed and does not answer", board.name))?;
    let report = FlashReport {
        board: &board.name,
        place,
        port: format!("board:{}", board.name),
        firmware: FirmwareSize::of(&image),
        signature_needed: trust.is_some(),
        model: runs,
        title: &board.title,
    };
    output::print(json, &report);
    Ok(())
}

/// Builds the firmware, and checks that it fits its region and contains only what it may.
fn build_only(board: &Board, trust: Option<&PublicKey>, json: bool) -> Result<()> {
    let image = firmware::build(board, trust)?;
    let report = BuildReport {
        board: &board.name,
        elf: image.elf.display().to_string(),
        firmware: FirmwareSize::of(&image),
        title: &board.title,
    };
    output::print(json, &report);
    Ok(())
}

/// Packs a model for the board and checks that it fits. Returns a file with it.
fn packed(path: &Path, board: &Board) -> Result<NamedTempFile> {
    let bytes = read(path)?;
    let model = parse(path, &bytes)?;
    if model.dtype() != DType::I8 {
        bail!("a device runs int8 models, and this one is float; convert it with --int8");
    }
    let packed = board::pack_for(&model, board)?;
    let needs = Needs::of(&parse(path, &packed)?, packed.len());
    fit::require(&board::fit::judge(&needs, board, &Request::default()))?;
    let file = NamedTempFile::new().context("no temporary file")?;
    std::fs::write(file.path(), &packed[..]).context("cannot write the packed model")?;
    Ok(file)
}

/// Checks that the signature of a model is that of the key, and returns a file with it. The file `packed` goes to the
/// board; the user has named the file `given`, which has the same model.
fn signature(
    key: &PublicKey,
    (given, packed): (&Path, &Path),
    args: &Flash,
    board: &Board,
) -> Result<NamedTempFile> {
    let file = std::fs::read(packed).context("cannot read the packed model")?;
    let signature = find_signature(given, args.signature.as_deref())?;
    let trusted = Trust::Signed(*key).check_model(&file, signature.as_ref());
    trusted.with_context(|| {
        let same = std::fs::read(given).is_ok_and(|given| given == file);
        match same {
            true => given.display().to_string(),
            false => format!(
                "{}: not packed for {name}, so what is flashed is another file; `convert --board {name}` writes that, to be signed",
                given.display(),
                name = board.name
            ),
        }
    })?;
    let region = board.region(Use::Model).map_or(0, |r| r.size);
    let need = (file.len() + SIGNATURE_LEN) as u64;
    if need > region {
        bail!("model and signature have {need} bytes, and region 'model' has {region}");
    }
    let file = NamedTempFile::new().context("no temporary file")?;
    let signature = signature.unwrap_or([0; SIGNATURE_LEN]);
    std::fs::write(file.path(), signature).context("cannot write the signature")?;
    Ok(file)
}

/// Waits until the device answers, and returns what runs on it: nothing if no model was flashed and it has none.
fn wait_for_answer(board: &Board, flashed: bool) -> Result<Option<RunningModel>> {
    let port = Port::Board(board.name.clone());
    let mut client = Client::new(port.open(None)?, super::device::session(), PATIENCE);
    match client.connect(None) {
        Err(ClientError::Device(DeviceError::NotReady(NotReady::NoModel))) if !flashed => {
            return Ok(None);
        }
        connected => connected?,
    };
    let name = client.model(|m| m.name.to_string())?;
    let state = client.state()?;
    Ok(Some(RunningModel {
        name,
        max_classes: state.max_classes,
        ram_bytes: state.ram,
    }))
}

fn stop(board: &Board, json: bool) -> Result<()> {
    if !matches!(board.deploy, Deploy::Qemu { .. }) {
        bail!("only boards in QEMU can be stopped; unplug {}", board.name);
    }
    let stopped = qemu::stop(&Folder::of(board)?)?;
    let board = &board.name;
    output::print(json, &StopReport { board, stopped });
    Ok(())
}
