//! `monitor`: prints the log of a board's firmware. The file of the firmware that runs there decodes it.

use crate::cli::Monitor;
use crate::output::{Report, Text, render};
use crate::qemu::folder::Folder;
use crate::qemu::qmp::Qmp;
use crate::{firmware, probe_rs};
use anyhow::{Context, Result, bail};
use converter::board::schema::Deploy;
use converter::board::{self, Board};
use defmt_decoder::{DecodeError, Frame, Locations, Table};
use edge_runtime::signature::PublicKey;
use serde::Serialize;
use std::fs::File;
use std::io::{Read, Write};
use std::time::Duration;

/// How long to wait for more of the log.
const PAUSE: Duration = Duration::from_millis(100);

/// Most bytes that are read at once.
const MAX_READ: usize = 4096;

pub fn run(args: &Monitor, json: bool) -> Result<()> {
    let board = board::find(&args.board)?;
    match board.deploy {
        Deploy::Qemu { .. } => follow(&board, args.no_follow, json),
        Deploy::ProbeRs { .. } => {
            let trust = args.trust.as_deref().map(PublicKey::read).transpose()?;
            let image = firmware::build(&board, trust.as_ref())?;
            probe_rs::attach(&board, &image.elf)
        }
        _ => bail!("{} has no firmware whose logs could be shown", board.name),
    }
}

/// Prints the log of a board in QEMU until QEMU stops. With `once`, stops at the end of the log.
fn follow(board: &Board, once: bool, json: bool) -> Result<()> {
    let folder = Folder::of(board)?;
    let path = folder.log();
    let mut log = File::open(&path).with_context(|| {
        let (name, path) = (&board.name, path.display());
        format!(
            "{path}: {name} has no log; start it with `cargo xtask flash --board {name} MODEL.edge`"
        )
    })?;
    let elf = folder.firmware();
    let bytes = std::fs::read(&elf).with_context(|| elf.display().to_string())?;
    let cannot = || format!("{}: cannot decode its logs", elf.display());
    let table = Table::parse(&bytes)
        .with_context(cannot)?
        .with_context(cannot)?;
    let locations = table.get_locations(&bytes).with_context(cannot)?;
    let mut decoder = table.new_stream_decoder();
    let mut piece = [0; MAX_READ];
    loop {
        // Before reading, so that what QEMU wrote last is still read.
        let ended = once || Qmp::connect(&folder.control()).is_err();
        loop {
            let count = log
                .read(&mut piece)
                .with_context(|| path.display().to_string())?;
            if count == 0 {
                break;
            }
            decoder.received(&piece[..count]);
            loop {
                match decoder.decode() {
                    Ok(frame) => {
                        if !print(&frame, &locations, json) {
                            return Ok(());
                        }
                    }
                    Err(DecodeError::UnexpectedEof) => break,
                    // A restart has cut a frame off. The decoder finds the next one.
                    Err(DecodeError::Malformed) if table.encoding().can_recover() => (),
                    Err(DecodeError::Malformed) => bail!("{}: damaged", path.display()),
                }
            }
        }
        if ended {
            return Ok(());
        }
        std::thread::sleep(PAUSE);
    }
}

/// Prints a line. Returns false if the output is closed.
fn print(frame: &Frame<'_>, locations: &Locations, json: bool) -> bool {
    let place = locations.get(&frame.index());
    let report = LogLine {
        level: frame.level().map_or("print", |level| level.as_str()),
        seconds: frame.display_timestamp().map(|time| time.to_string()),
        message: frame.display_message().to_string(),
        file: place.map(|p| p.file.display().to_string()),
        line: place.map(|p| p.line),
    };
    writeln!(std::io::stdout().lock(), "{}", render(json, &report)).is_ok()
}

/// A line of the firmware's log.
#[derive(Serialize)]
struct LogLine {
    level: &'static str,
    /// Since the start.
    seconds: Option<String>,
    message: String,
    /// Where it is logged.
    file: Option<String>,
    line: Option<u64>,
}

impl Report for LogLine {
    fn text(&self, out: &mut Text) {
        let seconds = self.seconds.as_deref().unwrap_or_default();
        let (level, message) = (self.level, self.message.escape_debug());
        out.line(format_args!("{seconds:>12} {level:<5} {message}"));
    }
}
