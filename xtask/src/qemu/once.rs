//! A machine that runs a program to its end, in the foreground, and the messages that the program writes by semihosting.

use super::{QEMU, joined};
use anyhow::{Context, Result, bail};
use converter::board::Board;
use converter::board::schema::Deploy;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

/// How long the program may be silent: many times what the longest layer takes on a busy host.
const SILENCE: Duration = Duration::from_secs(600);

/// How many messages may wait to be read.
const WAITING: usize = 64;

/// A running machine. Dropping it stops QEMU.
pub struct Once {
    child: Child,
    messages: Receiver<Vec<u8>>,
}

/// Starts a program, with the content of a file in memory at `address`. An instruction takes a nanosecond of the
/// machine's clock. Each message of the program has `message_len` bytes.
///
/// # Errors
/// If the board does not run in QEMU, or QEMU is missing.
pub fn start(
    board: &Board,
    elf: &Path,
    file: &Path,
    address: u64,
    message_len: usize,
) -> Result<Once> {
    let Deploy::Qemu { machine, globals } = &board.deploy else {
        bail!("{} does not run in QEMU", board.name);
    };
    let mut loader = joined("loader,file=", file);
    loader.push(format!(",addr={address:#x},force-raw=on"));
    let mut command = Command::new(QEMU);
    command
        .args([
            "-machine", machine, "-display", "none", "-monitor", "none", "-serial", "none",
        ])
        .args(["-icount", "shift=0"])
        .args(["-chardev", "stdio,id=report,signal=off"])
        .args([
            "-semihosting-config",
            "enable=on,target=native,chardev=report",
        ])
        .arg("-kernel")
        .arg(elf)
        .arg("-device")
        .arg(loader);
    for global in globals {
        command.args(["-global", global]);
    }
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = super::spawn(&mut command)?;
    let mut output = child.stdout.take().context("QEMU's output is lost")?;
    let (sender, messages) = sync_channel(WAITING);
    // The thread ends when QEMU closes its output, or the receiver is dropped.
    std::thread::spawn(move || {
        loop {
            let mut message = vec![0; message_len];
            if output.read_exact(&mut message).is_err() || sender.send(message).is_err() {
                break;
            }
        }
    });
    Ok(Once { child, messages })
}

impl Once {
    /// The next message.
    ///
    /// # Errors
    /// If the machine has stopped, with what QEMU printed; or if no message comes for ten minutes.
    pub fn next(&mut self) -> Result<Vec<u8>> {
        match self.messages.recv_timeout(SILENCE) {
            Ok(message) => Ok(message),
            Err(RecvTimeoutError::Timeout) => {
                bail!(
                    "the program in QEMU has sent nothing for {} s",
                    SILENCE.as_secs()
                )
            }
            Err(RecvTimeoutError::Disconnected) => {
                let _ = self.child.kill();
                let mut said = String::new();
                if let Some(errors) = &mut self.child.stderr {
                    let _ = errors.take(4096).read_to_string(&mut said);
                }
                bail!(
                    "QEMU has stopped before the program was done: {}",
                    said.trim()
                )
            }
        }
    }
}

impl Drop for Once {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
