//! The device program for Linux as a process: sessions over sockets, kills, keys, and its own shell.

#![cfg(target_os = "linux")]

mod hostile;
mod kills;
mod load;
mod output;
mod sessions;
mod signatures;

use converter::dataset::{Dataset, image_file};
use converter::jobs::retrain::retrain;
use converter::jobs::sign::{PrivateKey, new_pair, public_half};
use converter::util::progress::Silent;
use edge_runtime::backend::BackendKind;
use edge_runtime::client::{Client, ClientError, Patience, Pipe};
use edge_runtime::device::frame::{self, FrameReader};
use edge_runtime::device::protocol::{
    self as p, Header, MAX_PAYLOAD, Message, Progress, Request, RetrainOptions,
};
use edge_runtime::device::server::{RX_LEN, TX_LEN};
use edge_runtime::device::{DeviceError, LoadError, NotReady};
use edge_runtime::head::store::Active;
use edge_runtime::head::train::TrainOptions;
use edge_runtime::linux::{LocalPipe, MAX_CONNECTIONS};
use edge_runtime::model::{AlignedBytes, Model};
use edge_runtime::signature::{Trust, beside};
use edge_runtime::sim::Faults;
use edge_runtime::transport::{ConnectError, Connection, Key, NoiseError};
use graft_tests::device::{flash, input, int8_model, memory, start, with_client};
use graft_tests::{class_folders, picture};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

static MODEL: LazyLock<AlignedBytes> = LazyLock::new(|| int8_model(7));

/// Sorted, as class folders are.
const CLASSES: [&str; 3] = ["blue", "green", "red"];

/// Pictures a class.
const EACH: usize = 16;

/// A folder with a model and a state.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("model.edge"), &MODEL[..]).unwrap();
        Self(dir)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The program with a command, and model and state of this place.
    fn own(&self, command: &str) -> Command {
        let mut edge = edge(command);
        edge.arg("--model").arg(self.path("model.edge"));
        edge.arg("--state").arg(self.path("state"));
        edge.args(["--samples-mib", "1"]);
        edge
    }

    fn key(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, bytes).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        path
    }
}

/// The program, or what `GRAFT_EDGE` names: `.ci/aarch64` runs one for another processor under an emulator.
fn edge(command: &str) -> Command {
    let built = env!("CARGO_BIN_EXE_edge");
    let mut edge = Command::new(std::env::var_os("GRAFT_EDGE").unwrap_or(built.into()));
    edge.arg(command);
    edge
}

/// The backends of the program. What `GRAFT_EDGE` names has the engine only.
fn backends() -> &'static [BackendKind] {
    match std::env::var_os("GRAFT_EDGE") {
        Some(_) => &[BackendKind::Engine],
        None => BackendKind::ALL,
    }
}

/// A server that is killed when the test is done with it.
struct Running {
    child: Child,
    out: BufReader<ChildStdout>,
    address: String,
}

impl Running {
    fn start(place: &Place, listen: &str, more: &[&str]) -> Self {
        let mut serve = place.own("serve");
        serve.args(["--listen", listen]).args(more);
        let mut child = serve.stdout(Stdio::piped()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let address = String::new();
        let mut running = Self {
            child,
            out,
            address,
        };
        running.wait();
        running
    }

    /// Waits until it listens.
    fn wait(&mut self) {
        let mut line = String::new();
        self.out.read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on ");
        self.address = address.expect("it listens").into();
    }

    fn client(&self) -> Client<Connection> {
        self.client_with(None).unwrap()
    }

    fn client_with(&self, key: Option<&Key>) -> Result<Client<Connection>, ConnectError> {
        static SESSION: AtomicU32 = AtomicU32::new(1000);
        let line = Connection::connect(&self.address.parse().unwrap(), key)?;
        let session = SESSION.fetch_add(1, Ordering::Relaxed);
        let mut client = Client::new(line, session, Patience::default());
        client.connect(None).expect("it answers");
        Ok(client)
    }

    /// SIGKILL.
    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn failure(output: Output) -> String {
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success(), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
    text
}

fn success(output: Output) -> String {
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    String::from_utf8(output.stdout).unwrap()
}

fn options() -> RetrainOptions {
    RetrainOptions {
        seed: 3,
        ..RetrainOptions::default()
    }
}

/// The pictures of [`class_folders`], in the order of a data set.
fn add_samples<P: Pipe>(client: &mut Client<P>, model: &Model<'_>) {
    for (i, class) in CLASSES.iter().enumerate() {
        for k in 0..EACH {
            client.send_input(&input(model, i, 50 + k as u64)).unwrap();
            client.add_sample(class, None).unwrap();
        }
    }
}

/// The head that the simulation trains from these samples.
fn simulated(options: RetrainOptions) -> Vec<u8> {
    let model = Model::parse(&MODEL).unwrap();
    with_client(&model, &mut flash(), Faults::NONE, 1, |client| {
        client.connect(None).unwrap();
        add_samples(client, &model);
        client.retrain(options, &mut |_| ()).unwrap();
        client.export_head().unwrap()
    })
}

/// A pair of keys for signatures.
fn pair(place: &Place, name: &str) -> (PrivateKey, PathBuf) {
    let path = place.path(name);
    new_pair(&path).unwrap();
    (PrivateKey::read(&path).unwrap(), public_half(&path))
}
