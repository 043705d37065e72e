//! A board in QEMU: it starts in the background with a firmware and a model, is reached through sockets and files in a
//! folder, and is stopped through QEMU's control socket.
//!
//! - [`once`]: runs a program to its end, in the foreground;
//! - [`qmp`]: the control socket;
//! - [`folder`]: where the sockets and files of a board are.
//!
//! Does not know the protocol of the device.

pub mod folder;
pub mod once;
pub mod qmp;

use crate::firmware::Image;
use crate::firmware::toolchain::says;
use anyhow::{Context, Result, bail};
use converter::board::Board;
use converter::board::schema::{Deploy, Use};
use edge_runtime::signature::SIGNATURE_LEN;
use folder::Folder;
use qmp::Qmp;
use std::ffi::OsString;
use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// QEMU's program.
const QEMU: &str = "qemu-system-arm";

/// How long QEMU may take to start.
const START: Duration = Duration::from_secs(20);

/// How long to wait between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// How long QEMU may take to stop.
const END: Duration = Duration::from_secs(10);

/// How a machine is started.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// If given, an instruction takes 2 to the power of this many nanoseconds of the machine's clock, so that counts are
    /// the same in every run. Otherwise the machine's clock is the host's.
    pub icount: Option<u8>,
    /// More arguments of QEMU.
    pub args: Vec<OsString>,
    /// A file with the model's signature, for the end of the model's region.
    pub signature: Option<PathBuf>,
}

/// A machine that runs in the background.
#[derive(Debug)]
pub struct Machine {
    /// Its sockets and files.
    pub folder: Folder,
}

/// Starts a board with a firmware, and with a model at the start of its region. Stops a machine that runs in the same
/// folder first. RAM starts with zeros, so heads and samples of an earlier run are lost.
///
/// The main memory of the machine, which contains the model's region on every board, is a file. QEMU's own option to load
/// files would load the first model again at every reset of the machine, over one that a host has sent.
///
/// # Errors
/// If QEMU is missing or does not start; with what it printed.
pub fn launch(
    board: &Board,
    image: &Image,
    model: Option<&Path>,
    folder: Folder,
    options: &Options,
) -> Result<Machine> {
    let Deploy::Qemu { machine, globals } = &board.deploy else {
        bail!("{} does not run in QEMU", board.name);
    };
    stop(&folder)?;
    folder.clear()?;
    // A copy of what runs: `monitor` decodes the logs with it.
    let firmware = folder.firmware();
    copy(&image.elf, &firmware)?;
    let mut command = Command::new(QEMU);
    let memory = main_memory(board, model, options.signature.as_deref(), &folder)?;
    command
        .arg("-object")
        .arg(memory)
        .args(["-machine", &format!("{machine},memory-backend=main")])
        .args(["-display", "none", "-monitor", "none"])
        .arg("-pidfile")
        .arg(folder.pid())
        .arg("-qmp")
        .arg(socket("unix:", &folder.control()))
        .arg("-chardev")
        .arg(socket("socket,id=line,path=", &folder.line()))
        .args(["-serial", "chardev:line"])
        .args(["-semihosting-config", "enable=on,target=native"])
        .arg("-kernel")
        .arg(&firmware);
    for global in globals {
        command.args(["-global", global]);
    }
    if let Some(shift) = options.icount {
        command.args(["-icount", &format!("shift={shift}")]);
    }
    command.args(&options.args);
    // The firmware's semihosting writes to QEMU's standard output.
    command
        .stdin(Stdio::null())
        .stdout(create(&folder.log())?)
        .stderr(create(&folder.errors())?);
    // A Ctrl-C for this program must not end QEMU.
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let mut child = spawn(&mut command)?;
    let start = Instant::now();
    while Qmp::connect(&folder.control()).is_err() {
        let ended = child.try_wait().context("QEMU is lost")?.is_some();
        if ended || start.elapsed() > START {
            if !ended {
                let _ = child.kill();
            }
            let said = std::fs::read_to_string(folder.errors()).unwrap_or_default();
            bail!("{QEMU} does not start {}: {}", board.name, said.trim());
        }
        std::thread::sleep(PAUSE);
    }
    Ok(Machine { folder })
}

/// Writes the file that is the machine's main memory, with the model at the start of its region and the signature at the
/// end of it. Returns the option of QEMU for it.
fn main_memory(
    board: &Board,
    model: Option<&Path>,
    signature: Option<&Path>,
    folder: &Folder,
) -> Result<OsString> {
    let region = board.region(Use::Model);
    let region = region.context("the board has no region 'model'")?;
    let memory = board.memory(&region.memory);
    let memory = memory.context("the board has no memory of its region 'model'")?;
    let path = folder.memory();
    let cannot = || format!("{}: cannot write", path.display());
    let mut file = create(&path)?;
    // As long as the memory; the disk only holds what is written.
    file.set_len(memory.size).with_context(cannot)?;
    let start = region.base.saturating_sub(memory.base);
    let end = (start + region.size).saturating_sub(SIGNATURE_LEN as u64);
    for (part, at) in [(model, start), (signature, end)] {
        let Some(part) = part else { continue };
        let bytes = std::fs::read(part);
        let bytes = bytes.with_context(|| format!("{}: cannot read", part.display()))?;
        file.seek(SeekFrom::Start(at)).with_context(cannot)?;
        file.write_all(&bytes).with_context(cannot)?;
    }
    let mut option = joined("memory-backend-file,id=main,share=on,mem-path=", &path);
    option.push(format!(",size={}", memory.size));
    Ok(option)
}

/// How to install QEMU.
const GET: &str = "on Debian: `apt install qemu-system-arm`";

/// QEMU's version, or how to install it.
pub fn version() -> Result<String, String> {
    says(QEMU, &["--version"]).ok_or(GET.into())
}

/// Starts QEMU, or says how to install it.
fn spawn(command: &mut Command) -> Result<Child> {
    match command.spawn() {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            bail!("{QEMU} is not installed ({GET})")
        }
        child => child.with_context(|| format!("cannot start {QEMU}")),
    }
}

/// Stops the machine of a folder. Returns false if none runs.
pub fn stop(folder: &Folder) -> Result<bool> {
    let Ok(mut control) = Qmp::connect(&folder.control()) else {
        return Ok(false);
    };
    control.execute("quit")?;
    let start = Instant::now();
    // QEMU removes the file with its process id last.
    while folder.pid().exists() {
        if start.elapsed() > END {
            bail!("QEMU does not stop; see {}", folder.pid().display());
        }
        std::thread::sleep(PAUSE);
    }
    Ok(true)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    let result = std::fs::copy(from, to);
    result.with_context(|| format!("{}: cannot copy to {}", from.display(), to.display()))?;
    Ok(())
}

fn create(path: &Path) -> Result<File> {
    File::create(path).with_context(|| format!("{}: cannot write", path.display()))
}

/// An option of QEMU that ends with a path. QEMU wants commas in it doubled.
fn joined(option: &str, path: &Path) -> OsString {
    let path = path.to_string_lossy().replace(',', ",,");
    OsString::from(format!("{option}{path}"))
}

/// An option of QEMU for a socket that it listens on.
fn socket(option: &str, path: &Path) -> OsString {
    let mut whole = joined(option, path);
    whole.push(",server=on,wait=off");
    whole
}
