//! A board in QEMU: started in the background with a firmware and a model in its region, reached through
//! sockets and files in a folder, stopped through QEMU's own control socket.
//!
//! - [`once`]: a program that runs to its end, in the foreground;
//! - [`qmp`]: the control socket;
//! - [`folder`]: where a board's sockets and files are.
//!
//! Knows no protocol of the device.

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

/// How long QEMU may take to listen.
const START: Duration = Duration::from_secs(20);

/// How long to wait before looking again.
const PAUSE: Duration = Duration::from_millis(20);

/// How long QEMU may take to end.
const END: Duration = Duration::from_secs(10);

/// How a machine is started.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Each instruction takes 2 to the power of this many nanoseconds of the machine's clock, so that counts
    /// repeat exactly [default: the host's time].
    pub icount: Option<u8>,
    /// Further arguments of QEMU.
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

/// Starts a board with a firmware, and a model at the start of its region. A machine that runs in the same
/// folder ends first. RAM is zeros: heads and samples of an earlier run are gone.
///
/// The machine's main memory, in which the model's region is on every board, is a file: QEMU's own way to load files
/// would put the first model back at every reset of the machine, over one that a host has loaded.
///
/// # Errors
/// If QEMU is missing or refuses; says what it said.
pub fn launch(
    board: &Board,
    image: &Image,
    model: Option<&Path>,
    folder: Folder,
    options: &Options,
) -> Result<Machine> {
    let Deploy::Qemu { machine, globals } = &board.deploy else {
        bail!("{} is no board of QEMU", board.name);
    };
    stop(&folder)?;
    folder.clear()?;
    // What runs, for whoever decodes its logs later.
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
    // Not ended by a Ctrl-C that is meant for this program.
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

/// The file that is the machine's main memory, with the model in its region and its signature at the region's end, as
/// an option of QEMU.
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
    // As long as the memory, and taking no more of the disk than is written.
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

/// How to get QEMU.
const GET: &str = "on Debian: `apt install qemu-system-arm`";

/// What QEMU calls itself, or how to get it.
pub fn version() -> Result<String, String> {
    says(QEMU, &["--version"]).ok_or(GET.into())
}

/// Starts QEMU, or says how to get it.
fn spawn(command: &mut Command) -> Result<Child> {
    match command.spawn() {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            bail!("{QEMU} is not installed ({GET})")
        }
        child => child.with_context(|| format!("cannot start {QEMU}")),
    }
}

/// Ends the machine of a folder; false if none runs.
pub fn stop(folder: &Folder) -> Result<bool> {
    let Ok(mut control) = Qmp::connect(&folder.control()) else {
        return Ok(false);
    };
    control.execute("quit")?;
    let start = Instant::now();
    // QEMU removes the file of its process id last.
    while folder.pid().exists() {
        if start.elapsed() > END {
            bail!("QEMU does not end; see {}", folder.pid().display());
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

/// An option of QEMU that ends in a path, in which commas are doubled.
fn joined(option: &str, path: &Path) -> OsString {
    let path = path.to_string_lossy().replace(',', ",,");
    OsString::from(format!("{option}{path}"))
}

/// The same of a socket that QEMU listens on.
fn socket(option: &str, path: &Path) -> OsString {
    let mut whole = joined(option, path);
    whole.push(",server=on,wait=off");
    whole
}
