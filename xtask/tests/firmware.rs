//! `flash`, `monitor` and `device --port board:NAME` as a user types them, on every board in QEMU: the
//! firmware is built, boots, gives the simulation's bits, keeps its head over a restart, and tells what
//! happened after a fault.
//!
//! Each board is built once, about a minute the first time, so these tests run only when asked for (`cargo
//! test --workspace --test firmware -- --ignored`), as `.ci/run` does. They need a compiler for the boards and
//! QEMU. Without them a test says `skipped` and passes, unless the environment variable `CI` is `true`.

#![cfg(unix)]

use converter::board::schema::{Deploy, Use};
use converter::board::{self, Board};
use converter::jobs::convert::convert;
use converter::util::progress::Silent;
use edge_runtime::client::{Client, ClientError, Patience, Pipe};
use edge_runtime::device::protocol::{Demand, LoadFile, Request};
use edge_runtime::device::{DeviceError, NotReady};
use edge_runtime::model::{AlignedBytes, Model};
use graft_tests::{class_folders, int8, source};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

const CLASSES: [&str; 2] = ["green", "red"];

/// An address that the processor executes nothing from.
const NOWHERE: u32 = 0xe000_0000;

/// A folder with a model and pictures, and the board that is tested with them.
struct Bench {
    folder: tempfile::TempDir,
    board: &'static str,
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = self
            .command(&["flash", "--board", self.board, "--stop"])
            .output();
    }
}

impl Bench {
    fn new(board: &'static str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let model = convert(source(1), Some(&int8()), &Silent).unwrap();
        std::fs::write(folder.path().join("small.edge"), &model.bytes[..]).unwrap();
        class_folders(&folder.path().join("train"), &CLASSES, 12, 100);
        Self { folder, board }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_graft"));
        command
            .args(args)
            .current_dir(self.folder.path())
            .env("GRAFT_STATE", self.folder.path());
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// Runs a command that must succeed, and reads what it prints, one JSON object a line.
    fn lines(&self, args: &[&str]) -> Vec<Value> {
        let out = self.run(&[args, &["--json"]].concat());
        let error = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.success(), "{}: {args:?}: {error}", self.board);
        let text = String::from_utf8(out.stdout).unwrap();
        text.lines()
            .map(|l| serde_json::from_str(l).unwrap())
            .collect()
    }

    fn json(&self, args: &[&str]) -> Value {
        let lines = self.lines(args);
        assert_eq!(lines.len(), 1, "{args:?}");
        lines.into_iter().next().unwrap()
    }

    /// A command for the device at a port.
    fn device(&self, port: &str, args: &[&str]) -> Value {
        self.json(&[&["device", "--port", port], args].concat())
    }

    /// A command for the board.
    fn on_board(&self, args: &[&str]) -> Value {
        self.device(&format!("board:{}", self.board), args)
    }

    fn logs(&self) -> String {
        let lines = self.lines(&["monitor", "--board", self.board, "--no-follow"]);
        let text = |l: &Value| {
            format!(
                "{}: {}\n",
                l["level"].as_str().unwrap(),
                l["message"].as_str().unwrap()
            )
        };
        lines.iter().map(text).collect()
    }

    /// A model as the board runs it.
    fn packed(&self, model: &str) -> AlignedBytes {
        let bytes = AlignedBytes::read(&self.path(model)).unwrap();
        let board = board::find(self.board).unwrap();
        board::pack_for(&Model::parse(&bytes).unwrap(), &board).unwrap()
    }

    /// The board's folder of sockets.
    fn state(&self) -> PathBuf {
        self.path("boards").join(self.board)
    }

    /// A host's program of another kind, for what the command line hides.
    fn client(&self) -> Client<Line> {
        let stream = UnixStream::connect(self.state().join("uart.sock")).unwrap();
        Client::new(Line(stream), std::process::id(), Patience::default())
    }
}

struct Line(UnixStream);

impl Pipe for Line {
    fn send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.0.write_all(bytes)
    }

    fn receive(&mut self, buffer: &mut [u8], timeout: Duration) -> std::io::Result<usize> {
        self.0
            .set_read_timeout(Some(timeout.max(Duration::from_millis(1))))?;
        match self.0.read(buffer) {
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Ok(0),
            result => result,
        }
    }
}

/// The simulation of a board, with the same model.
struct Simulation {
    process: Child,
    port: String,
}

impl Drop for Simulation {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Simulation {
    fn start(bench: &Bench) -> Self {
        Self::start_with(bench, "small.edge")
    }

    fn start_with(bench: &Bench, model: &str) -> Self {
        let args = [
            "simulate",
            model,
            "--board",
            bench.board,
            "--listen",
            "127.0.0.1:0",
            "--json",
        ];
        let mut process = bench.command(&args).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        let stdout = process.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        let ready: Value = serde_json::from_str(&line).unwrap();
        let port = format!("tcp:{}", ready["listening"].as_str().unwrap());
        Self { process, port }
    }
}

/// Flashes the small model; nothing if this machine cannot.
fn flashed(board: &'static str) -> Option<Bench> {
    let bench = Bench::new(board);
    let out = bench.run(&["flash", "small.edge", "--board", board, "--json"]);
    if out.status.success() {
        let told: Value = serde_json::from_slice(&out.stdout).unwrap();
        assert_eq!(told["model"]["name"], "small", "{told}");
        assert!(
            told["firmware"]["flash_bytes"].as_u64().unwrap() > 10_000,
            "{told}"
        );
        return Some(bench);
    }
    let error = String::from_utf8_lossy(&out.stderr);
    let missing = error.contains("nothing here compiles")
        || error.contains("no linker for")
        || error.contains("is not installed");
    let in_ci = std::env::var("CI").is_ok_and(|v| v == "true");
    assert!(missing && !in_ci, "{board}: {error}");
    println!("skipped: {board}: {error}");
    None
}

/// A life of a device, next to the simulation's.
fn a_device_lives(board: &'static str) {
    let Some(bench) = flashed(board) else {
        return;
    };
    let simulation = Simulation::start(&bench);
    let ports = [format!("board:{board}"), simulation.port.clone()];
    let picture = "train/red/000.png";
    let [real, simulated] = ports.each_ref().map(|port| {
        let info = bench.device(port, &["info"]);
        let inferred = bench.device(port, &["infer", picture, "--logits"]);
        let one = ["add-sample", "--class", "green", "train/green/001.png"];
        bench.device(port, &one);
        let options = [
            "retrain-head",
            "--data",
            "train",
            "--clear",
            "--epochs",
            "4",
            "--no-commit",
        ];
        let retrained = bench.device(port, &options);
        assert_eq!(bench.device(port, &["commit"])["head_sequence"], 1);
        let head = format!("{}.head", port.replace(':', "-"));
        bench.device(port, &["export-head", &head]);
        let head = std::fs::read(bench.path(&head)).unwrap();
        let after = bench.device(port, &["infer", picture, "--logits"]);
        let samples = bench.device(port, &["samples"]);
        let hidden = [
            "retrain-head",
            "--hidden",
            "5",
            "--epochs",
            "3",
            "--no-commit",
        ];
        let hidden = bench.device(port, &hidden)["head_sha256"].clone();
        (
            info,
            inferred["logits"].clone(),
            retrained,
            head,
            after["logits"].clone(),
            samples,
            hidden,
        )
    });
    // The same memory, and the same bits.
    for key in ["samples", "model"] {
        assert_eq!(real.0[key], simulated.0[key], "{board}: {key}");
    }
    for key in ["bytes", "training_bytes"] {
        assert_eq!(
            real.0["ram"][key], simulated.0["ram"][key],
            "{board}: {key}"
        );
    }
    // The board's kernels take scratch memory besides.
    let arena = |info: &Value| info["ram"]["arena_bytes"].as_u64().unwrap();
    assert!(arena(&real.0) >= arena(&simulated.0), "{board}");
    let stack = &real.0["stack"];
    let used = stack["used_bytes"].as_u64().unwrap();
    assert!(
        used > 1000 && used < stack["bytes"].as_u64().unwrap(),
        "{stack}"
    );
    assert_eq!(real.1.as_array().unwrap().len(), 4);
    assert_eq!(
        (&real.1, &real.4, &real.5),
        (&simulated.1, &simulated.4, &simulated.5),
        "{board}"
    );
    assert_eq!(real.2["head_sha256"], simulated.2["head_sha256"]);
    assert_eq!(real.6, simulated.6, "{board}: with a hidden layer");
    assert_ne!(real.6, real.2["head_sha256"]);
    assert!(
        real.3 == simulated.3,
        "{board}: another head than the simulation's"
    );

    // A restart keeps head and samples.
    bench.on_board(&["reset"]);
    let info = bench.on_board(&["info"]);
    assert_eq!(
        (&info["head"]["active"], &info["head"]["sequence"]),
        (&"slot".into(), &1.into())
    );
    assert_eq!(bench.on_board(&["samples"]), real.5);
    assert_eq!(
        bench.on_board(&["infer", picture, "--logits"])["logits"],
        real.4
    );
    let logs = bench.logs();
    let start = format!("info: {board} runs small: ");
    assert_eq!(logs.matches(&start).count(), 2, "{logs}");
    assert!(
        logs.contains("restarts, as the host asked") && logs.contains("stack: "),
        "{logs}"
    );
}

#[test]
#[ignore = "builds firmware, which takes minutes the first time; .ci/run calls it"]
fn qemu_m4() {
    a_device_lives("qemu-m4");
}

#[test]
#[ignore = "builds firmware, which takes minutes the first time; .ci/run calls it"]
fn qemu_m7() {
    a_device_lives("qemu-m7");
}

#[test]
#[ignore = "builds firmware, which takes minutes the first time; .ci/run calls it"]
fn qemu_m33() {
    a_device_lives("qemu-m33");
}

#[test]
#[ignore = "builds firmware, which takes minutes the first time; .ci/run calls it"]
fn qemu_m55() {
    a_device_lives("qemu-m55");
}

/// QEMU's control socket.
struct Control(BufReader<UnixStream>);

impl Control {
    fn connect(path: &Path) -> Self {
        let mut control = Self(BufReader::new(UnixStream::connect(path).unwrap()));
        control.line();
        control.execute(r#"{"execute": "qmp_capabilities"}"#);
        control
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        line
    }

    fn execute(&mut self, command: &str) {
        self.0.get_mut().write_all(command.as_bytes()).unwrap();
        while !self.line().contains("return") {}
    }
}

/// Makes the processor jump to where nothing is, through QEMU's server for debuggers.
fn jump_nowhere(bench: &Bench) {
    let mut control = Control::connect(&bench.state().join("control.sock"));
    let socket = bench.state().join("gdb.sock");
    let server = |device: &str| {
        format!(
            r#"{{"execute": "human-monitor-command", "arguments": {{"command-line": "gdbserver {device}"}}}}"#
        )
    };
    control.execute(&server(&format!(
        "unix:{},server=on,wait=off",
        socket.display()
    )));
    let mut gdb = UnixStream::connect(&socket).unwrap();
    gdb.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut send = |text: &str, answer: &str| {
        let sum = text.bytes().fold(0u8, u8::wrapping_add);
        let packet = format!("+${text}#{sum:02x}");
        gdb.write_all(packet.as_bytes()).unwrap();
        let mut got = String::new();
        // Other packets come in between, such as the one that tells that the processor was halted.
        while !got.contains(answer) {
            let mut byte = [0];
            gdb.read_exact(&mut byte).unwrap();
            got.push(byte[0].into());
        }
    };
    // Only after its description has been asked for does QEMU set single registers.
    send("qXfer:features:read:target.xml:0,8", "$m<?xml");
    let address = NOWHERE.swap_bytes();
    send(&format!("Pf={address:08x}"), "$OK#");
    control.execute(&server("none"));
    control.execute(r#"{"execute": "cont"}"#);
}

/// Waits until `text` was logged so often.
fn logged(bench: &Bench, text: &str, count: usize) {
    for _ in 0..100 {
        if bench.logs().matches(text).count() >= count {
            return;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("no '{text}', {count} times, in: {}", bench.logs());
}

/// Another model over the line, and back; a reset in the middle, and a device that had none.
fn a_device_takes_another_model(board: &'static str) {
    let Some(bench) = flashed(board) else {
        return;
    };
    let other = convert(source(2), Some(&int8()), &Silent).unwrap();
    std::fs::write(bench.path("other.edge"), &other.bytes[..]).unwrap();
    let trunk = |info: &Value| info["model"]["trunk_sha256"].clone();
    let old = trunk(&bench.on_board(&["info"]));
    bench.on_board(&["add-sample", "--class", "green", "train/green/001.png"]);
    let loaded = bench.on_board(&["load", "other.edge"]);
    let packed = if board == "qemu-m55" { "mve" } else { "dsp" };
    assert_eq!(
        (&loaded["packed_for"], &loaded["samples"]),
        (&packed.into(), &0.into())
    );
    assert_ne!(loaded["trunk_sha256"], old);
    // It computes what the simulation computes with the same file, and a restart keeps it.
    let picture = ["infer", "train/red/000.png", "--logits"];
    let simulation = Simulation::start_with(&bench, "other.edge");
    let simulated = bench.device(&simulation.port, &picture);
    assert_eq!(bench.on_board(&picture)["logits"], simulated["logits"]);
    bench.on_board(&["reset"]);
    assert_eq!(trunk(&bench.on_board(&["info"])), loaded["trunk_sha256"]);

    // A host that breaks off leaves a device without a model, which says so over a reset, and takes one.
    let packed = bench.packed("small.edge");
    let model = Model::parse(&packed).unwrap();
    let mut client = bench.client();
    client.connect(None).unwrap();
    let file = LoadFile {
        len: packed.len() as u32,
        sha256: Sha256::digest(&packed[..]).into(),
        signature: None,
        demand: Demand::of(&model),
    };
    let begin = Request::BeginLoad(file);
    client.call(&begin, |_| Some(())).unwrap();
    let data = &packed[..1000];
    let chunk = Request::LoadChunk { offset: 0, data };
    client.call(&chunk, |_| Some(())).unwrap();
    drop(client);
    let refused = |words: &str| {
        let out = bench.run(&["device", "--port", &format!("board:{board}"), "info"]);
        let text = String::from_utf8_lossy(&out.stderr);
        assert!(
            text.starts_with("error: ") && text.contains(words),
            "{text}"
        );
    };
    refused("has 1000 of its");
    bench.on_board(&["reset"]);
    refused("the device has no model");
    let loaded = bench.on_board(&["load", "small.edge"]);
    assert_eq!(
        (&loaded["trunk_sha256"], &loaded["samples"]),
        (&old, &1.into())
    );
    let logs = bench.logs();
    assert!(
        logs.contains("the application ends: a host sends a model of"),
        "{logs}"
    );
}

#[test]
#[ignore = "builds firmware, which takes minutes the first time; .ci/run calls it"]
fn a_model_is_loaded_on_qemu_m4() {
    a_device_takes_another_model("qemu-m4");
}

#[test]
#[ignore = "builds firmware, which takes minutes the first time; .ci/run calls it"]
fn a_model_is_loaded_on_qemu_m7() {
    a_device_takes_another_model("qemu-m7");
}

#[test]
#[ignore = "builds firmware, which takes minutes the first time; .ci/run calls it"]
fn a_model_is_loaded_on_qemu_m33() {
    a_device_takes_another_model("qemu-m33");
}

#[test]
#[ignore = "builds firmware, which takes minutes the first time; .ci/run calls it"]
fn a_model_is_loaded_on_qemu_m55() {
    a_device_takes_another_model("qemu-m55");
}

#[test]
#[ignore = "builds firmware, which takes minutes the first time; .ci/run calls it"]
fn faults_are_told_after_a_clean_restart() {
    let Some(bench) = flashed("qemu-m4") else {
        return;
    };
    let fault = format!("error: restarted after a hard fault at {NOWHERE:#010x}");
    jump_nowhere(&bench);
    logged(&bench, &format!("{fault}, 1 in a row"), 1);
    let log = bench.on_board(&["log"]);
    let events = log["events"].as_array().unwrap();
    let told = events.iter().find(|e| e["event"] == "fault").unwrap();
    assert_eq!(
        (&told["kind"], &told["at"], &told["in_a_row"]),
        (&"hard-fault".into(), &NOWHERE.into(), &1.into())
    );

    // It was asked and answered, so the next fault is the first again. The third in a row is the last.
    for row in 1..=3 {
        jump_nowhere(&bench);
        logged(
            &bench,
            &format!("{fault}, {row} in a row"),
            1 + usize::from(row == 1),
        );
    }
    logged(&bench, "3 faults in a row: waits", 1);
    let error = bench.client().connect(None).unwrap_err();
    let expected = DeviceError::NotReady(NotReady::Faults { faults: 3 });
    assert!(
        matches!(error, ClientError::Device(e) if e == expected),
        "{error}"
    );
    let out = bench.run(&["device", "--port", "board:qemu-m4", "info"]);
    let text = String::from_utf8_lossy(&out.stderr);
    assert!(
        text.starts_with("error: ") && text.contains("3 faults in a row"),
        "{text}"
    );
    // The host's reset is a new start.
    bench.on_board(&["reset"]);
    assert_eq!(bench.on_board(&["info"])["model"]["name"], "small");
}

/// Starts a machine by hand, as one who writes to its flash could, and asks what runs there. `contents` are files
/// and where they lie in the model's region, from its start or, if negative, its end.
fn asked_by_hand(bench: &Bench, board: &Board, contents: &[(&str, i64)]) -> Output {
    let Deploy::Qemu { machine, .. } = &board.deploy else {
        panic!("{} is no board of QEMU", board.name);
    };
    let region = board.region(Use::Model).unwrap();
    let socket = bench.path("by-hand.sock");
    let mut command = Command::new("qemu-system-arm");
    command
        .args(["-machine", machine, "-display", "none", "-monitor", "none"])
        .arg("-chardev")
        .arg(format!(
            "socket,id=line,path={},server=on,wait=off",
            socket.display()
        ))
        .args(["-serial", "chardev:line"])
        .args(["-semihosting-config", "enable=on,target=native"])
        .arg("-kernel")
        .arg(bench.state().join("firmware.elf"))
        .stdout(Stdio::null());
    for (file, at) in contents {
        let start = if *at < 0 {
            region.base + region.size
        } else {
            region.base
        };
        let (path, at) = (bench.path(file), start.wrapping_add_signed(*at));
        let device = format!("loader,file={},addr={at:#x},force-raw=on", path.display());
        command.args(["-device", &device]);
    }
    let mut machine = command.spawn().unwrap();
    for _ in 0..100 {
        if UnixStream::connect(&socket).is_ok() {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let port = format!("unix:{}", socket.display());
    let out = bench.run(&["device", "--port", &port, "info", "--json"]);
    machine.kill().unwrap();
    machine.wait().unwrap();
    std::fs::remove_file(&socket).unwrap();
    out
}

#[test]
#[ignore = "builds firmware, which takes minutes the first time; .ci/run calls it"]
fn with_a_key_only_what_is_signed_runs() {
    let Some(bench) = flashed("qemu-m4") else {
        return;
    };
    let board = board::find("qemu-m4").unwrap();
    let model = convert(source(1), Some(&int8()), &Silent).unwrap();
    let packed = board::pack_for(&Model::parse(&model.bytes).unwrap(), &board).unwrap();
    std::fs::write(bench.path("packed.edge"), &packed[..]).unwrap();
    for key in ["key.pem", "other.pem"] {
        bench.json(&["keygen", "--signing", key]);
    }
    let flash = |model: &str, more: &[&str]| {
        let args = [
            "flash",
            model,
            "--board",
            "qemu-m4",
            "--trust",
            "key.pem.pub",
        ];
        bench.run(&[&args, more, &["--json"]].concat())
    };
    let refused = |out: &Output, words: &str| {
        let text = String::from_utf8_lossy(&out.stderr);
        assert!(!out.status.success() && text.contains(words), "{text}");
    };
    // The host knows before anything is built.
    refused(&flash("packed.edge", &[]), "has no signature; sign it");
    bench.json(&["sign", "packed.edge", "--key", "other.pem"]);
    std::fs::rename(bench.path("packed.edge.sig"), bench.path("other.sig")).unwrap();
    let other = ["--signature", "other.sig"];
    refused(
        &flash("packed.edge", &other),
        "does not fit the device's public key",
    );
    bench.json(&["sign", "packed.edge", "small.edge", "--key", "key.pem"]);
    refused(&flash("small.edge", &[]), "not packed for qemu-m4");

    let out = flash("packed.edge", &[]);
    let told: Value = serde_json::from_slice(&out.stdout).expect("runs");
    assert_eq!(
        (&told["model"]["name"], &told["signature_needed"]),
        (&"small".into(), &true.into())
    );
    assert_eq!(bench.on_board(&["info"])["head"]["signature_needed"], true);
    // Heads from outside: without a signature, with another key's, with the right one.
    bench.on_board(&["export-head", "a.head"]);
    let import = [
        "device",
        "--port",
        "board:qemu-m4",
        "import-head",
        "a.head",
        "--commit",
    ];
    refused(&bench.run(&import), "the head has no signature; sign it");
    bench.json(&["sign", "a.head", "--key", "other.pem"]);
    refused(
        &bench.run(&import),
        "the signature of the head does not fit",
    );
    assert_eq!(bench.on_board(&["info"])["head"]["active"], "factory");
    std::fs::remove_file(bench.path("a.head.sig")).unwrap();
    bench.json(&["sign", "a.head", "--key", "key.pem"]);
    assert_eq!(bench.json(&import)["head_sequence"], 1);
    // It is judged again at every start.
    bench.on_board(&["reset"]);
    assert_eq!(bench.on_board(&["info"])["head"]["active"], "slot");

    // A model over the line, likewise.
    let next = convert(source(2), Some(&int8()), &Silent).unwrap();
    let next = board::pack_for(&Model::parse(&next.bytes).unwrap(), &board).unwrap();
    std::fs::write(bench.path("next.edge"), &next[..]).unwrap();
    let load = ["device", "--port", "board:qemu-m4", "load", "next.edge"];
    refused(&bench.run(&load), "takes signed models only");
    bench.json(&["sign", "next.edge", "--key", "other.pem"]);
    refused(&bench.run(&load), "the signature of the model does not fit");
    let old = bench.on_board(&["info"])["model"]["trunk_sha256"].clone();
    std::fs::remove_file(bench.path("next.edge.sig")).unwrap();
    bench.json(&["sign", "next.edge", "--key", "key.pem"]);
    let loaded = bench.json(&load);
    assert_eq!(loaded["signed"], true);
    assert_ne!(loaded["trunk_sha256"], old);
    bench.on_board(&["reset"]);
    let info = bench.on_board(&["info"]);
    assert_eq!(info["model"]["trunk_sha256"], loaded["trunk_sha256"]);
    let back = ["device", "--port", "board:qemu-m4", "load", "packed.edge"];
    assert_eq!(bench.json(&back)["head_sequence"], 1);

    // Past the host, the firmware itself refuses.
    let mut changed = packed.to_vec();
    *changed.last_mut().unwrap() ^= 1;
    std::fs::write(bench.path("changed.edge"), changed).unwrap();
    let (right, wrong) = (("packed.edge.sig", -64), ("other.sig", -64));
    let good = asked_by_hand(&bench, &board, &[("packed.edge", 0), right]);
    let info: Value = serde_json::from_slice(&good.stdout).expect("runs");
    assert_eq!(info["model"]["name"], "small");
    for contents in [
        &[("packed.edge", 0)][..],
        &[("packed.edge", 0), wrong],
        &[("packed.edge", 0), ("packed.edge.sig", -65)],
        &[("changed.edge", 0), right],
    ] {
        let out = asked_by_hand(&bench, &board, contents);
        refused(&out, "the device takes signed models only");
    }
    refused(
        &asked_by_hand(&bench, &board, &[right]),
        "the device has no model",
    );
}

#[test]
#[ignore = "builds firmware, which takes minutes the first time; .ci/run calls it"]
fn without_a_model_the_device_says_so() {
    let Some(bench) = flashed("qemu-m7") else {
        return;
    };
    // Flashing again replaces what runs.
    assert_eq!(
        bench.json(&["flash", "--board", "qemu-m7"])["model"],
        Value::Null
    );
    let out = bench.run(&["device", "--port", "board:qemu-m7", "info"]);
    let text = String::from_utf8_lossy(&out.stderr);
    assert!(
        !out.status.success() && text.contains("the device has no model"),
        "{text}"
    );
    assert!(bench.logs().contains("warn: no model; load or flash one"));
    let stop = ["flash", "--board", "qemu-m7", "--stop"];
    assert_eq!(bench.json(&stop)["stopped"], true);
    assert_eq!(bench.json(&stop)["stopped"], false);
    let out = bench.run(&["device", "--port", "board:qemu-m7", "info"]);
    let text = String::from_utf8_lossy(&out.stderr);
    assert!(text.contains("does not run; start it with"), "{text}");
}

#[test]
fn what_does_not_fit_is_said_before_anything_is_built() {
    let bench = Bench::new("nrf5340-dk");
    for (args, words) in [
        (
            &["flash", "small.edge", "--board", "raspberry-pi-5"][..],
            "runs Linux and no firmware",
        ),
        (
            &["flash", "small.edge", "--board", "./mine/board.toml"],
            "give a name",
        ),
        (
            &["flash", "small.edge", "--board", "qemu-m8"],
            "unknown board",
        ),
        (
            &["flash", "--board", "nrf5340-dk", "--stop"],
            "only boards in QEMU",
        ),
        (
            &["monitor", "--board", "qemu-m4", "--no-follow"],
            "has no log; start it",
        ),
    ] {
        let out = bench.run(args);
        let text = String::from_utf8_lossy(&out.stderr);
        assert!(
            !out.status.success() && text.lines().count() == 1,
            "{args:?}: {text}"
        );
        assert!(
            text.starts_with("error: ") && text.contains(words),
            "{args:?}: {text}"
        );
    }
}
