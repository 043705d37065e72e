//! The folder with the sockets and files of a board in QEMU.

use anyhow::{Context, Result, bail};
use converter::board::Board;
use std::path::{Path, PathBuf};

/// The environment variable that names the folder for all boards.
const VARIABLE: &str = "GRAFT_STATE";

/// The longest path of a Unix socket that every system accepts.
const MAX_SOCKET: usize = 100;

/// The folder of a board.
#[derive(Clone, Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// The folder of a board for the user's commands: `boards/NAME` in `$GRAFT_STATE`, else in `$XDG_STATE_HOME/graft`,
    /// else in `~/.local/state/graft`.
    ///
    /// # Errors
    /// If there is no such folder, or its path is too long for a socket.
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

    /// Any other folder, e.g. a temporary one.
    ///
    /// # Errors
    /// If its path is too long for a socket.
    pub fn at(path: PathBuf) -> Result<Self> {
        let folder = Self(path);
        let socket = folder.control();
        if socket.as_os_str().len() > MAX_SOCKET {
            bail!(
                "{}: the path is too long for a socket; set {VARIABLE} to a shorter folder",
                socket.display()
            );
        }
        Ok(folder)
    }

    /// Creates the folder, and removes the files of a machine that ran before.
    ///
    /// # Errors
    /// If the system refuses.
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

    /// The log of the firmware, encoded by `defmt`.
    pub fn log(&self) -> PathBuf {
        self.0.join("defmt.log")
    }

    /// QEMU's error messages.
    pub fn errors(&self) -> PathBuf {
        self.0.join("qemu.log")
    }

    /// The file with QEMU's process id.
    pub fn pid(&self) -> PathBuf {
        self.0.join("qemu.pid")
    }

    /// The firmware that runs.
    pub fn firmware(&self) -> PathBuf {
        self.0.join("firmware.elf")
    }

    /// The main memory of the machine, with the model.
    pub fn memory(&self) -> PathBuf {
        self.0.join("memory.bin")
    }
}
