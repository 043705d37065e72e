//! Boards behind a debug probe, through the program `probe-rs`. This has never run with a board.

use crate::firmware::Image;
use crate::firmware::toolchain::says;
use anyhow::{Context, Result, bail};
use converter::board::Board;
use converter::board::schema::{Deploy, Use};
use edge_runtime::signature::SIGNATURE_LEN;
use std::path::Path;
use std::process::Command;

/// The program.
const PROBE_RS: &str = "probe-rs";

/// How to install it.
const GET: &str = "`cargo install probe-rs-tools --locked`";

/// The program's name and version; the error says how to get it.
pub fn version() -> Result<String, String> {
    says(PROBE_RS, &["--version"]).ok_or(GET.into())
}

/// Writes firmware, model and the model's signature to a board's flash and restarts it.
pub fn flash(
    board: &Board,
    image: &Image,
    model: Option<&Path>,
    signature: Option<&Path>,
) -> Result<()> {
    let chip = chip(board)?;
    let download = || {
        let mut command = Command::new(PROBE_RS);
        command.args(["download", "--chip", chip]);
        command
    };
    run(download().arg(&image.elf))?;
    if let Some(model) = model {
        let region = board
            .region(Use::Model)
            .context("the board has no region 'model'")?;
        let place = |at: u64| {
            let base = format!("{at:#x}");
            ["--binary-format", "bin", "--base-address", &base].map(String::from)
        };
        run(download().args(place(region.base)).arg(model))?;
        if let Some(signature) = signature {
            // The model may end in the same sector.
            let at = region.base + region.size - SIGNATURE_LEN as u64;
            let kept = "--restore-unwritten";
            run(download().args(place(at)).arg(kept).arg(signature))?;
        }
    }
    run(Command::new(PROBE_RS).args(["reset", "--chip", chip]))
}

/// Shows the logs of a running board until it is interrupted.
pub fn attach(board: &Board, elf: &Path) -> Result<()> {
    let chip = chip(board)?;
    run(Command::new(PROBE_RS)
        .args(["attach", "--chip", chip])
        .arg(elf))
}

/// The serial port of a board, if exactly one has the USB product name that the board's description gives.
pub fn serial_port(board: &Board) -> Result<String> {
    let baud = match &board.deploy {
        Deploy::ProbeRs {
            baud: Some(baud), ..
        } => format!(":{baud}"),
        _ => String::new(),
    };
    let name_it = format!("name it with --port serial:DEVICE{baud}");
    let Deploy::ProbeRs {
        serial: Some(part), ..
    } = &board.deploy
    else {
        bail!(
            "it is not known which serial port leads to {}; {name_it}",
            board.name
        );
    };
    let ports = serialport::available_ports().context("cannot list the serial ports")?;
    let fits = |port: &&serialport::SerialPortInfo| match &port.port_type {
        serialport::SerialPortType::UsbPort(usb) => usb
            .product
            .as_deref()
            .is_some_and(|name| normal(name).contains(&normal(part))),
        _ => false,
    };
    let found: Vec<&str> = ports
        .iter()
        .filter(fits)
        .map(|p| p.port_name.as_str())
        .collect();
    match found[..] {
        [one] => Ok(one.into()),
        [] => bail!(
            "no serial port is a '{part}', which leads to {}; plug it in, or {name_it}",
            board.name
        ),
        _ => bail!("{} may be at {}; {name_it}", board.name, found.join(" or ")),
    }
}

/// Letters and digits only, in lower case: `ST-LINK` and `STLink` are the same.
fn normal(name: &str) -> String {
    let letters = name.chars().filter(char::is_ascii_alphanumeric);
    letters.map(|c| c.to_ascii_lowercase()).collect()
}

fn chip(board: &Board) -> Result<&str> {
    match &board.deploy {
        Deploy::ProbeRs { chip, .. } => Ok(chip),
        other => bail!("{} is not reached by probe-rs but by: {other}", board.name),
    }
}

fn run(command: &mut Command) -> Result<()> {
    let status = match command.status() {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            bail!("{PROBE_RS} is not installed ({GET})")
        }
        status => status.context("cannot start probe-rs")?,
    };
    if !status.success() {
        bail!("probe-rs failed ({status}); what it said stands above");
    }
    Ok(())
}
