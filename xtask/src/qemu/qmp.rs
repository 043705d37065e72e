//! QEMU's control socket. Its protocol is QMP: one JSON object per line.

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::time::Duration;

#[cfg(unix)]
use std::os::unix::net::UnixStream;

/// How long QEMU may take to answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Longest line that is read.
const MAX_LINE: u64 = 1 << 20;

/// A connection to a running QEMU.
#[cfg(unix)]
pub struct Qmp(BufReader<UnixStream>);

#[cfg(unix)]
impl Qmp {
    /// Connects to QEMU.
    ///
    /// # Errors
    /// If no QEMU listens there.
    pub fn connect(socket: &Path) -> Result<Self> {
        let stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        let mut qmp = Self(BufReader::new(stream));
        if qmp.line()?.get("QMP").is_none() {
            bail!("{}: this is not QEMU", socket.display());
        }
        qmp.execute("qmp_capabilities")?;
        Ok(qmp)
    }

    /// Executes a command without arguments.
    pub fn execute(&mut self, command: &str) -> Result<Value> {
        self.request(&json!({"execute": command}))
    }

    /// Sends a request and waits for its answer.
    pub fn request(&mut self, request: &Value) -> Result<Value> {
        let text = format!("{request}\n");
        self.0.get_mut().write_all(text.as_bytes())?;
        loop {
            let mut answer = self.line()?;
            if let Some(error) = answer.get("error") {
                bail!("QEMU refuses {request}: {error}");
            }
            // Lines between request and answer are events.
            if let Some(value) = answer.get_mut("return") {
                return Ok(value.take());
            }
        }
    }

    fn line(&mut self) -> Result<Value> {
        let mut line = String::new();
        let count = (&mut self.0).take(MAX_LINE).read_line(&mut line)?;
        if count == 0 {
            bail!("QEMU has stopped");
        }
        serde_json::from_str(&line).context("QEMU's control socket sent a line that is not JSON")
    }
}

/// A connection to QEMU, which this system cannot have.
#[cfg(not(unix))]
pub struct Qmp;

#[cfg(not(unix))]
impl Qmp {
    /// Fails.
    pub fn connect(_: &Path) -> Result<Self> {
        bail!("boards in QEMU need Unix sockets");
    }

    /// Fails.
    pub fn execute(&mut self, _: &str) -> Result<Value> {
        bail!("boards in QEMU need Unix sockets");
    }
}
