//! Other runtimes, in Python, that take turns with ours: each in a process of its own, which waits while others run.

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// Lists the peers of a Python, and times one of them.
const SCRIPT: &str = include_str!("peers.py");

/// The peers of one Python.
pub struct Peers<'p> {
    python: &'p Path,
    found: BTreeMap<String, Found>,
}

#[derive(Deserialize)]
struct Found {
    version: String,
    /// How the names of its files end.
    reads: String,
}

impl<'p> Peers<'p> {
    /// Asks a Python which peers are installed.
    pub fn find(python: &'p Path) -> Result<Self> {
        let out = Command::new(python).args(["-c", SCRIPT, "list"]).output();
        let out = out.with_context(|| format!("--peers {}: cannot start it", python.display()))?;
        let found: BTreeMap<String, Found> =
            serde_json::from_slice(&out.stdout).with_context(|| {
                format!(
                    "--peers {}: does not answer as a Python 3 does",
                    python.display()
                )
            })?;
        if found.is_empty() {
            bail!(
                "--peers {}: this Python has no peer; install onnxruntime, openvino or ai-edge-litert in it",
                python.display()
            );
        }
        Ok(Self { python, found })
    }

    /// Starts every peer that reads such files.
    pub fn start(&self, file: &Path, threads: usize) -> Result<Vec<Peer>> {
        let name = file.to_string_lossy();
        let able = self.found.iter().filter(|(_, f)| name.ends_with(&f.reads));
        let peers = able
            .map(|(peer, found)| Peer::start(self.python, peer, &found.version, file, threads))
            .collect::<Result<Vec<_>>>()?;
        if peers.is_empty() {
            let all: Vec<&str> = self.found.keys().map(String::as_str).collect();
            bail!(
                "{name}: none of the peers ({}) reads such a file",
                all.join(", ")
            );
        }
        Ok(peers)
    }
}

/// A model on a peer.
pub struct Peer {
    /// `onnxruntime 1.32.0`.
    pub name: String,
    /// The file's name.
    pub file: String,
    /// Of one inference.
    pub threads: usize,
    /// From the file to a session.
    pub prepare_ms: f64,
    /// The first inference.
    pub first_ms: f64,
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

#[derive(Deserialize)]
struct Ready {
    prepare_ms: f64,
    first_ms: f64,
}

impl Peer {
    fn start(
        python: &Path,
        peer: &str,
        version: &str,
        file: &Path,
        threads: usize,
    ) -> Result<Self> {
        let mut child = Command::new(python)
            .args(["-c", SCRIPT, "run", peer])
            .arg(file)
            .arg(threads.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (to, from) = child
            .stdin
            .take()
            .zip(child.stdout.take())
            .context("no pipe")?;
        let mut started = Self {
            name: format!("{peer} {version}"),
            file: file
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into(),
            threads,
            prepare_ms: 0.0,
            first_ms: 0.0,
            child,
            to,
            from: BufReader::new(from),
        };
        let ready: Ready = started.answer()?;
        (started.prepare_ms, started.first_ms) = (ready.prepare_ms, ready.first_ms);
        Ok(started)
    }

    fn answer<T: serde::de::DeserializeOwned>(&mut self) -> Result<T> {
        let mut line = String::new();
        self.from.read_line(&mut line)?;
        let failed = || format!("{}: {} failed; what it says is above", self.file, self.name);
        serde_json::from_str(&line).with_context(failed)
    }

    /// Milliseconds of so many inferences.
    pub fn run(&mut self, count: usize) -> Result<Vec<f64>> {
        writeln!(self.to, "{count}")?;
        self.answer()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
