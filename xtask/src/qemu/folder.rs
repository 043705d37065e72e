//! Where the sockets and files of a board in QEMU are: one folder a board.

use anyhow::{Context, Result, bail};
use converter::board::Board;
use std::path::{Path, PathBuf};

/// Environment variable with the folder of all boards.
const VARIABLE: &str = "GRAFT_STATE";

/// Longest path of a Unix socket that every system takes.
const MAX_SOCKET: usize = 100;

/// The folder of a board.
#[derive(Clone, Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// The folder of a board for the user's commands: `boards/NAME` in `$GRAFT_STATE`, else in
    /// `$XDG_STATE_HOME/graft`, else in `~/.local/state/graft`.
    pub fn of(board: &Board) -> Result<Self> {
        let var = |name| {
            std::env::var_os(name)
                .filter(|v| !v.is_empty())
                .map(PathBuf::from)
        };
        let state = var(VARIABLE)
            .or_else(|| Some(var("XDG_STATE_HOME")?.join("graft")))
            .or_else(|| Some(var("HOME")?.join(".local/state/graft")));
        let Some(state) = state else {
            bail!("there is no home folder to keep the board's state in; set {VARIABLE}");
        };
        let state = std::path::absolute(&state)
            .with_context(|| format!("{}: no such folder", state.display()))?;
        Self::at(state.join("boards").join(&board.name))
    }

    /// A folder of one's own, e.g. a temporary one.
    pub fn at(path: PathBuf) -> Result<Self> {
        let folder = Self(path);
        let socket = folder.control();
        if socket.as_os_str().len() > MAX_SOCKET {
            bail!(
                "{}: too long a path for a socket; name a shorter folder in {VARIABLE}",
                socket.display()
            );
        }
        Ok(folder)
    }

    /// Makes it, without the files of a machine before.
    pub fn clear(&self) -> Result<()> {
        let cannot = || format!("{}: cannot prepare the folder", self.0.display());
        std::fs::create_dir_all(&self.0).with_context(cannot)?;
        let files = [
            self.line(),
            self.control(),
            self.log(),
            self.errors(),
            self.pid(),
            self.firmware(),
            self.memory(),
        ];
        for file in files {
            match std::fs::remove_file(&file) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                    return Err(e).with_context(cannot);
                }
                _ => (),
            }
        }
        Ok(())
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The socket of the machine's UART.
    pub fn line(&self) -> PathBuf {
        self.0.join("uart.sock")
    }

    /// The socket that controls QEMU.
    pub fn control(&self) -> PathBuf {
        self.0.join("control.sock")
    }

    /// What the firmware logs, as `defmt` encodes it.
    pub fn log(&self) -> PathBuf {
        self.0.join("defmt.log")
    }

    /// What QEMU complains about.
    pub fn errors(&self) -> PathBuf {
        self.0.join("qemu.log")
    }

    /// QEMU's process id.
    pub fn pid(&self) -> PathBuf {
        self.0.join("qemu.pid")
    }

    /// The firmware that runs.
    pub fn firmware(&self) -> PathBuf {
        self.0.join("firmware.elf")
    }

    /// The machine's main memory, model and all.
    pub fn memory(&self) -> PathBuf {
        self.0.join("memory.bin")
    }
}
